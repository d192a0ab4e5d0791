"""Small logs for tests, written the way a person would draw them."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ulid import ULID

START = dt.datetime(2026, 11, 22, 12, 0, 0, tzinfo=dt.UTC)
RUN = "wrun_01KAP2D000RRRRRRRRRRRRRRRR"
_BODY = "01KAP2D000AAAAAAAAAAAAAA"


def time(seconds: float) -> str:
    return (START + dt.timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event_id(position: int) -> str:
    """ULIDs that increase with the position, one second apart."""
    milliseconds = int(START.timestamp() * 1000) + position * 1000
    return f"evnt_{ULID(milliseconds.to_bytes(6, 'big') + bytes(10))}"


def slot(position: int) -> str:
    return f"evnt_{position:026d}"


def entity(kind: str, ordinal: int) -> str:
    """The correlation id of the ordinal-th draw of the run's sequence (below 1024)."""
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    return f"{kind}_{_BODY}{digits[ordinal // 32]}{digits[ordinal % 32]}"


class Log:
    """A log of one run that grows by `add`; `lines` and `write` give it as auditor.log/v1."""

    def __init__(
        self,
        run_id: str = RUN,
        *,
        core: str | None = "4.8.9",
        spec: int = 3,
        slots: bool = False,
        workflow: str = "workflow//./flows//order",
    ) -> None:
        self.run_id = run_id
        self.spec = spec
        self.events: list[dict[str, Any]] = []
        self._ids = slot if slots else event_id
        context = {"executionContext": {"workflowCoreVersion": core}} if core else {}
        self.add("run_created", data={"workflowName": workflow, "deploymentId": "dpl_1", **context})
        self.add("run_started")

    def add(
        self,
        event_type: str,
        correlation_id: str | None = None,
        *,
        at: float | None = None,
        data: dict[str, Any] | None = None,
        **more: Any,
    ) -> Log:
        position = len(self.events) + 1
        event: dict[str, Any] = {
            "eventType": event_type,
            "specVersion": self.spec,
            "runId": self.run_id,
            "eventId": self._ids(position),
            "createdAt": time(position if at is None else at),
        }
        if correlation_id is not None:
            event["correlationId"] = correlation_id
        if data is not None:
            event["eventData"] = data
        self.events.append(event | more)
        return self

    def life(self, kind: str, ordinal: int, *stages: str, **data: Any) -> Log:
        """Add events of one entity: `life("step", 0, "created", "started", "completed")`."""
        for stage in stages:
            self.add(f"{kind}_{stage}", entity(kind, ordinal), data=data or None)
        return self


def manifest(*fields: str, **more: Any) -> dict[str, Any]:
    return {"record": "manifest", "schema": "auditor.log/v1", "producer": "tests", "fields": list(fields), **more}


def write(path: Path, *records: Iterable[dict[str, Any]] | dict[str, Any]) -> Path:
    """Write manifests, logs' events and other records as NDJSON."""
    rows = itertools.chain.from_iterable([r] if isinstance(r, dict) else r for r in records)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path

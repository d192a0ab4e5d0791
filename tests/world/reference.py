"""A run as the documents tell it, written a second time: what an append comes to, and what the rows are then.

Slow and plain on purpose, and without any code of the world: one dict a row, one branch an event type.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ulid import ULID

from auditor.model.rows import Event
from auditor.world import Fence, NewEvent

Row = dict[str, Any]
CLOSED = ("completed", "failed", "disposed")
ENDS = {"run_completed": "completed", "run_failed": "failed", "run_cancelled": "cancelled"}
NEWER = ("hook_received", "run_cancelled", "step_completed", "step_failed")


def ms_of(event_id: str | None) -> int:
    return -1 if event_id is None else ULID.from_str(event_id.removeprefix("evnt_")).milliseconds


class No(Exception):
    """A refusal: its code, and whether it is a divergence."""

    def __init__(self, code: str, *, diverged: bool = False) -> None:
        super().__init__(code)
        self.code, self.diverged = code, diverged


@dataclass
class Run:
    """One run: its row, its entities, the tokens that are taken and the names that were used."""

    run_id: str
    row: Row | None = None
    entities: dict[tuple[str, str], Row] = field(default_factory=dict)
    tokens: dict[str, tuple[str, str | None, int | None]] = field(default_factory=dict)
    log: list[Event] = field(default_factory=list)
    keys: dict[str, tuple[Any, tuple[Event, ...]]] = field(default_factory=dict)

    def judged(
        self, events: Sequence[NewEvent], fence: Fence | None, key: str | None, now: int
    ) -> tuple[Event, ...] | list[str]:
        """What an append comes to: the events that it repeats, or the types of those it makes; nothing is changed.

        Raises No. The order of the checks is that of the documents.
        """
        self._malformed(events, fence, now)
        if self.row is None and events[0].event_type != "run_created":
            raise No("NOT_FOUND")
        if key in self.keys:
            body, first = self.keys[key]
            if body != said(events):
                raise No("INVALID_EVENT")
            return first
        for event in self.log:
            if event.resume_id is not None and event.resume_id == events[0].resume_id:
                if event.correlation_id != events[0].correlation_id:
                    raise No("INVALID_EVENT")
                return (event,)
        ended = self.row is not None and self.row["status"] in ENDS.values()
        if not ended:
            self._reachable(events)
        self._fenced(fence)
        if ended:
            raise No("RUN_TERMINAL")
        self._due(events, now)
        trial = Run(self.run_id, copy.deepcopy(self.row), copy.deepcopy(self.entities), dict(self.tokens))
        return trial.take(events, now, proven=fence is not None and fence.kind == "tail")

    def take(self, events: Sequence[NewEvent], now: int, *, proven: bool = False) -> list[str]:
        """Fold the events in; the types that they get in the log. Raises No if one of them cannot follow."""
        fresh: set[str] = set()
        types = [self._one(event, now, proven, fresh) for event in events]
        assert self.row is not None
        self.row["updated_at"] = now
        if self.row["status"] in ENDS.values():
            self._end(now, fresh)
        return types

    def logged(self, events: Sequence[Event], key: str | None, asked: Sequence[NewEvent]) -> None:
        """Take note of what the world has written: ids and hashes are its own to choose."""
        assert self.row is not None
        self.log += events
        self.row |= {"version": len(self.log), "tail": events[-1].event_id, "hash": events[-1].hash}
        for event in events:
            if event.event_type in NEWER:
                self.row["marker"] = ms_of(event.event_id)
        if key is not None:
            self.keys[key] = (said(asked), tuple(events))

    def _malformed(self, events: Sequence[NewEvent], fence: Fence | None, now: int) -> None:
        for place, event in enumerate(events):
            about = event.event_type.split("_")[0]
            if event.event_type in ("hook_conflict", "noop"):
                raise No("INVALID_EVENT")
            if about in ("step", "wait", "hook") and event.correlation_id is None:
                raise No("INVALID_EVENT")
            if event.event_type in ENDS and place < len(events) - 1:
                raise No("INVALID_EVENT")
            if event.event_type == "run_created" and place > 0:
                raise No("INVALID_EVENT")
            if event.resume_id is not None and len(events) > 1:
                raise No("INVALID_EVENT")
        if fence is not None and fence.kind == "as_of" and int(fence.value or "") > max(now, self._tail_ms() + 1):
            raise No("INVALID_EVENT")

    def _tail_ms(self) -> int:
        return ms_of(self.log[-1].event_id if self.log else None)

    def _reachable(self, events: Sequence[NewEvent]) -> None:
        made = {event.correlation_id for event in events if event.event_type == "hook_created"}
        for event in events:
            if event.event_type == "hook_received" and event.correlation_id not in made:
                hook = self.entities.get(("hook", event.correlation_id or ""))
                if hook is None or hook["status"] != "open":
                    raise No("NOT_FOUND")

    def _fenced(self, fence: Fence | None) -> None:
        ids = [event.event_id for event in self.log]
        kind, value = (None, "") if fence is None else (fence.kind, fence.value or "")
        if kind == "tail" and value != (ids[-1] if ids else "none"):
            raise No("FENCE_CONFLICT")
        if kind == "as_of" and any(ms_of(one) >= int(value) for one in ids):
            raise No("FENCE_CONFLICT")
        newer = (ms_of(event.event_id) for event in self.log if event.event_type in NEWER)
        if kind == "state_updated_at" and any(ms > int(value) for ms in newer):
            raise No("PRECONDITION_FAILED")

    def _due(self, events: Sequence[NewEvent], now: int) -> None:
        due = {
            key: row["retry_after"] if key[0] == "step" else row["resume_at"]
            for key, row in self.entities.items()
            if row["status"] not in CLOSED
        }
        named: set[tuple[str, str]] = set()
        for event in events:
            key = event.event_type.split("_")[0], event.correlation_id or ""
            data = event.data or {}
            if event.event_type == "step_retrying":
                due[key] = data.get("retryAfter")
            elif event.event_type == "wait_created" and key not in named:
                # Also of a wait that exists already: by its own words the request comes too early.
                due[key] = data["resumeAt"]
            elif event.event_type in ("step_started", "wait_completed") and (due.get(key) or 0) > now:
                raise No("TOO_EARLY")
            named.add(key)

    def _one(self, event: NewEvent, now: int, proven: bool, fresh: set[str]) -> str:
        about, _, verb = event.event_type.partition("_")
        if about in ("run", "attr"):
            self._of_run(event, now, proven)
            return event.event_type
        key, data = (about, event.correlation_id or ""), event.data or {}
        row = self.entities.get(key)
        if (row is not None) if verb == "created" else (row is None or row["status"] in CLOSED):
            raise No("ENTITY_CONFLICT", diverged=proven)
        if verb == "created":
            return self._created(key, data, now, fresh)
        assert row is not None
        if data.get("stepName", row["step_name"]) != row["step_name"]:
            raise No("ENTITY_CONFLICT", diverged=proven)
        if verb == "completed" and data.get("resumeAt", row["resume_at"]) != row["resume_at"]:
            raise No("ENTITY_CONFLICT", diverged=proven)
        row["updated_at"] = now
        match event.event_type:
            case "step_started":
                started = now if row["started_at"] is None else row["started_at"]
                row |= {"status": "running", "started_at": started, "retry_after": None}
                row["attempt"] += 1
            case "step_retrying":
                row |= {"status": "pending", "retry_after": data.get("retryAfter")}
            case "step_completed" | "step_failed" | "wait_completed":
                row |= {"status": verb, "completed_at": now}
            case "hook_disposed":
                row |= {"status": "disposed", "completed_at": now}
                del self.tokens[row["token"]]
        return event.event_type

    def _of_run(self, event: NewEvent, now: int, proven: bool) -> None:
        if event.event_type == "run_created":
            if self.row is not None:
                raise No("ENTITY_CONFLICT", diverged=proven)
            self.row = {"status": "pending", "created_at": now, "started_at": None, "completed_at": None}
            self.row |= {"error_code": None, "marker": 0, "workflow_name": (event.data or {})["workflowName"]}
            return
        assert self.row is not None
        if event.event_type == "run_started":
            if self.row["started_at"] is not None:
                raise No("ENTITY_CONFLICT", diverged=proven)
            self.row |= {"status": "running", "started_at": now}
        if event.event_type in ENDS:
            code = (event.data or {}).get("errorCode") if event.event_type == "run_failed" else None
            self.row |= {"status": ENDS[event.event_type], "completed_at": now, "error_code": code}

    def _created(self, key: tuple[str, str], data: Mapping[str, Any], now: int, fresh: set[str]) -> str:
        kind, name = key
        row: Row = {"run_id": self.run_id, "kind": kind, "correlation_id": name, "created_at": now}
        row |= {"updated_at": now, "status": {"step": "pending", "wait": "waiting", "hook": "open"}[kind]}
        row |= dict.fromkeys(("started_at", "completed_at", "retry_after", "token_retention_until", "token"))
        row |= {"resume_at": data.get("resumeAt"), "step_name": data.get("stepName")}
        row |= {"attempt": 0 if kind == "step" else None}
        self.entities[key] = row
        if kind != "hook":
            return f"{kind}_created"
        token = data["token"]
        if token in self.tokens:
            row |= {"status": "disposed", "completed_at": now}
            return "hook_conflict"
        row |= {"token": token, "token_retention_until": data.get("tokenRetentionUntil")}
        self.tokens[token] = (self.run_id, name, None)
        fresh.add(token)
        return "hook_created"

    def _end(self, now: int, fresh: set[str]) -> None:
        for (kind, name), row in self.entities.items():
            if kind != "hook" or row["status"] != "open":
                continue
            row |= {"status": "disposed", "updated_at": now, "completed_at": now}
            until = row["token_retention_until"] or 0
            del self.tokens[row["token"]]
            if until > now and row["token"] not in fresh:
                self.tokens[row["token"]] = (self.run_id, name, until)


def said(events: Sequence[NewEvent]) -> list[Any]:
    """What a request says, as far as an idempotency key asks."""
    return [[event.event_type, event.correlation_id, dict(event.data or {}), event.resume_id] for event in events]

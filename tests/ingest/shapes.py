"""One log in every shape that ingest reads."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cbor2

Event = dict[str, Any]


def ndjson(events: Iterable[Event], target: Path) -> Path:
    target.write_text("".join(json.dumps(event) + "\n" for event in events), "utf-8")
    return target


def world_local(events: Iterable[Event], target: Path, runs: Iterable[Event] = ()) -> Path:
    """The folder of the SDK's world-local, pretty-printed as it writes it."""
    for name in ("events", "runs", "streams/chunks", ".locks/runs", "hooks/tokens"):
        (target / name).mkdir(parents=True)
    for event in events:
        path = target / "events" / f"{event['runId']}-{event['eventId']}.json"
        path.write_text(json.dumps(event, indent=2), "utf-8")
    for run in runs:
        (target / "runs" / f"{run['runId']}.json").write_text(json.dumps(run, indent=2), "utf-8")
    (target / "version.txt").write_text("@workflow/world-local@4.4.1", "utf-8")
    (target / "hooks" / "tokens" / "abc.json").write_text('{"token":"t"}', "utf-8")
    return target


def postgres_csv(events: Iterable[Event], target: Path) -> Path:
    """`COPY workflow.workflow_events TO ... CSV HEADER` of the SDK's Postgres world."""
    target.mkdir(exist_ok=True)
    columns = ("id", "type", "correlation_id", "created_at", "run_id", "payload", "payload_cbor", "spec_version")
    with (target / "workflow_events.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for event in events:
            data = event.get("eventData")
            writer.writerow(
                [
                    event["eventId"],
                    event["eventType"],
                    event.get("correlationId", ""),
                    event["createdAt"].replace("T", " ").removesuffix("Z"),
                    event["runId"],
                    "",
                    "\\x" + cbor2.dumps(_cbor(data)).hex() if data is not None else "",
                    event["specVersion"],
                ]
            )
    return target


def tar_gz(source: Path, target: Path) -> Path:
    with tarfile.open(target, "w:gz") as archive:
        archive.add(source, source.name)
    return target


def tar_with(name: str, content: bytes, target: Path) -> Path:
    with tarfile.open(target, "w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return target


def _cbor(data: Any) -> Any:
    """The SDK's JSON values as it writes them to CBOR: dates as dates, bytes as tag 64."""
    if isinstance(data, dict):
        if data.get("__type") == "Uint8Array":
            return cbor2.CBORTag(64, base64.b64decode(data["data"]))
        times = {"resumeAt", "retryAfter"}
        return {
            key: dt.datetime.fromisoformat(value) if key in times else _cbor(value) for key, value in data.items()
        }
    return data

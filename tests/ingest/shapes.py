"""One log in every shape that ingest reads."""

from __future__ import annotations

import base64
import bz2
import csv
import datetime as dt
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cbor2
import pyarrow as pa
import pyarrow.parquet as pq

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


def cli_array(events: Iterable[Event], target: Path, *, newest_first: bool = True) -> Path:
    """`workflow inspect events --runId R --json`: a bare array, newest first."""
    rows = sorted(events, key=lambda event: event["eventId"], reverse=newest_first)
    target.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    return target


def cli_page(rows: Iterable[Event], target: Path, *, more: bool = False) -> Path:
    """`workflow inspect runs --json`: a page."""
    page = {"data": list(rows), "cursor": "2026-11-22T12:00:00.000Z|x", "hasMore": more}
    target.write_text(json.dumps(page, indent=2) + "\n", "utf-8")
    return target


SNAKE = {
    "runId": "run_id",
    "eventId": "event_id",
    "eventType": "event_type",
    "correlationId": "correlation_id",
    "createdAt": "created_at",
    "specVersion": "spec_version",
    "eventData": "event_data",
}


def renamed(events: Iterable[Event], names: dict[str, str] | None = None) -> list[Event]:
    """The events under other names; every row has every column."""
    names = SNAKE if names is None else names
    return [{theirs: event.get(ours) for ours, theirs in names.items()} for event in events]


def foreign_csv(rows: Iterable[Event], target: Path) -> Path:
    """A CSV whose objects are JSON text."""
    rows = list(rows)
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            objects = {key: json.dumps(value) for key, value in row.items() if isinstance(value, dict)}
            writer.writerow(row | objects)
    return target


def parquet(rows: Iterable[Event], target: Path) -> Path:
    """A Parquet file whose objects are JSON text and whose times are timestamps, as most tools write it."""
    rows = [dict(row) for row in rows]
    for row in rows:
        for key, value in row.items():
            if isinstance(value, dict):
                row[key] = json.dumps(value)
            elif key in ("createdAt", "created_at", "at") and value is not None:
                row[key] = dt.datetime.fromisoformat(value)
    names = dict.fromkeys(key for row in rows for key in row)
    pq.write_table(pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows]), target)
    return target


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(content)
    return sink.getvalue().to_pybytes()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd,
}


def compressed(source: Path, target: Path) -> Path:
    """The file compressed as the name of the target says."""
    target.write_bytes(COMPRESS[target.suffix[1:]](source.read_bytes()))
    return target


def zipped(source: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in [source] if source.is_file() else sorted(source.rglob("*")):
            archive.write(path, path.relative_to(source.parent))
    return target


def tar(source: Path, target: Path) -> Path:
    with tarfile.open(target, "w") as archive:
        archive.add(source, source.name)
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

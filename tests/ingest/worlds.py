"""A world of ours, filled with the records of an auditor.log/v1: the same SQL for SQLite and PostgreSQL."""

from __future__ import annotations

import datetime as dt
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any

Record = dict[str, Any]

DDL = resources.files("auditor.schemas").joinpath("world.sql").read_text("utf-8")

TIMES = {
    "createdAt",
    "occurredAt",
    "updatedAt",
    "startedAt",
    "completedAt",
    "resumeAt",
    "retryAfter",
    "tokenRetentionUntil",
    "at",
}
RENAMED = {"eventData": "data", "at": "refused_at", "events": "version"}


def statements(records: Iterable[Record]) -> Iterator[str]:
    """What makes the world: its tables, and then its rows."""
    yield DDL
    yield insert("meta", {"key": "schema", "value": "auditor.world/v1"})
    heads: dict[str, Record] = {}
    runs: dict[str, Record] = {}
    for record in records:
        match record.get("record", "event"), record.get("kind"):
            case "event", _:
                yield insert("event", row(record))
            case "refusal", _:
                heads.setdefault("refusals", {"n": 0})["n"] += 1
                yield insert("refusal", {"refusal_no": heads["refusals"]["n"], **row(record)})
            case "entity", "run":
                runs[record["runId"]] = row(record, "kind")
            case "entity", _:
                yield insert("entity", row(record))
            case "head", _:
                heads[record["runId"]] = row(record)
    for run_id, run in runs.items():
        yield insert("run", run | heads[run_id])


def golden() -> list[Record]:
    """The golden example of the log's contract: every kind of record and fence, and a hash chain that holds."""
    lines = (Path(__file__).parents[1] / "schemas" / "golden" / "log.ndjson").read_text("utf-8").splitlines()
    # The world always knows when a row was last changed; a log need not.
    return [_dated(json.loads(line)) for line in lines]


def _dated(record: Record) -> Record:
    return {"updatedAt": record["createdAt"], **record} if record.get("record") == "entity" else record


def row(record: Record, *without: str) -> Record:
    """A record as columns."""
    columns = {}
    for key, value in record.items():
        if key in ("record", *without) or value is None:
            continue
        if key == "executionContext":
            columns["core_version"] = value["workflowCoreVersion"]
        elif key in ("stepId", "hookId", "waitId"):
            columns["correlation_id"] = value
        else:
            columns[RENAMED.get(key, snake(key))] = column(key, value)
    return columns


def column(key: str, value: Any) -> str | int:
    if key in TIMES:
        return milliseconds(value)
    return json.dumps(value) if isinstance(value, dict) else value


def snake(key: str) -> str:
    return re.sub("([A-Z])", lambda match: "_" + match.group().lower(), key.replace("Sha256", "_sha256"))


def milliseconds(time: str) -> int:
    return round(dt.datetime.fromisoformat(time).timestamp() * 1000)


def insert(table: str, columns: Record) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({', '.join(map(literal, columns.values()))});\n"


def literal(value: str | int | None) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def sqlite(records: Iterable[Record], path: Path, *more: str, journal: str = "wal") -> Path:
    """A SQLite file with this world, closed."""
    with closing(sqlite3.connect(path)) as con:
        con.execute(f"PRAGMA journal_mode = {journal}")
        con.executescript("".join([*statements(records), *more]))
    return path


def script(records: Iterable[Record], *more: str) -> str:
    """The SQL that makes this world on PostgreSQL."""
    return "".join(["CREATE SCHEMA auditor; SET search_path = auditor;\n", *statements(records), *more])

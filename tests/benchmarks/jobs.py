"""What is measured, each in a process of its own: `python -m tests.benchmarks.jobs JOB PATH`.

A job prints one JSON object; every time in it is in seconds and leaves out the start of the interpreter.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import duckdb

from . import stages
from .truth import Truth

_KEYS = {
    **dict.fromkeys(
        ("runId", "eventId", "eventType", "correlationId", "createdAt", "occurredAt", "specVersion", "resumeId"),
        "VARCHAR",
    ),
    # The keys of `eventData` that are no payload.
    "eventData": "STRUCT(workflowName VARCHAR, deploymentId VARCHAR, "
    "executionContext STRUCT(workflowCoreVersion VARCHAR), stepName VARCHAR, attempt VARCHAR, "
    "ownerMessageId VARCHAR, resumeAt VARCHAR, token VARCHAR, conflictingRunId VARCHAR, forceClaimedBy VARCHAR, "
    "tokenRetentionUntil VARCHAR, errorCode VARCHAR, retryAfter VARCHAR, sealed VARCHAR)",
}
"""All that an event of the SDK has, payloads aside."""

_ENVELOPE = "event_no, run_id, event_id, event_type, correlation_id, created_at, spec_version"


class Clock:
    """Seconds by name; as `con` it also remembers what each statement cost."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.statements: list[tuple[str, float]] = []
        self._stage = ""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._stage = name
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started

    def watched(self, con: duckdb.DuckDBPyConnection) -> Any:
        return _Watched(con, self)

    def statement(self, sql: str, seconds: float) -> None:
        first = next((line.strip() for line in sql.splitlines() if line.strip()), "")
        self.statements.append((f"{self._stage}: {first[:70]}", seconds))


class _Watched:
    """A connection that reports to a clock."""

    def __init__(self, con: duckdb.DuckDBPyConnection, clock: Clock) -> None:
        self._con = con
        self._clock = clock

    def execute(self, sql: str, *values: Any) -> duckdb.DuckDBPyConnection:
        started = time.perf_counter()
        result = self._con.execute(sql, *values)
        self._clock.statement(sql, time.perf_counter() - started)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._con, name)


def ingest(path: Path, scratch: Path) -> dict[str, Any]:
    """The auditor's ingest alone, to the file that holds it."""
    started = time.perf_counter()
    with stages.opened(scratch) as con:
        stages.ingest(con, path, scratch)
    return {"seconds": time.perf_counter() - started}


def bare_read(path: Path, scratch: Path) -> dict[str, Any]:
    """The same log, read by DuckDB with explicit columns and in order, into a table of the same kind of file."""
    columns = ", ".join(f"'{key}': '{type}'" for key, type in _KEYS.items())
    started = time.perf_counter()
    with duckdb.connect(":memory:") as con:
        con.execute("SET preserve_insertion_order = true")
        con.execute(f"ATTACH '{scratch / 'bare.duckdb'}' AS bare (STORAGE_VERSION 'v1.2.0')")
        con.execute(
            "CREATE TABLE bare.event AS SELECT * "
            f"FROM read_json('{path}', format = 'newline_delimited', columns = {{{columns}}})"
        )
        con.execute("DETACH bare")
    return {"seconds": time.perf_counter() - started}


def sort(path: Path, scratch: Path) -> dict[str, Any]:
    """From ingested tables: the seven columns of the envelope, sorted as a replay reads them."""
    with stages.opened(scratch) as con:
        stages.ingest(con, path, scratch)
        started = time.perf_counter()
        con.execute(
            f"CREATE TABLE sorted AS SELECT {_ENVELOPE} FROM {stages.EVENTS} ORDER BY run_id, event_id"
        ).fetchall()
        return {"seconds": time.perf_counter() - started}


def audit(path: Path, scratch: Path) -> dict[str, Any]:
    """Every stage of an audit, and how its findings differ from what is known to be in the log."""
    clock = Clock()
    with ExitStack() as closing:
        con = clock.watched(closing.enter_context(stages.opened(scratch)))
        with clock.stage("ingest"):
            stages.ingest(con, path, scratch)
        with clock.stage("replay"):
            stages.replay(con)
        with clock.stage("rules"):
            stages.rules(con)
        with clock.stage("judge"):
            stages.judge(con)
        rules, found = stages.rule_seconds(con), stages.findings(con)
        with clock.stage("close the file"):
            closing.close()
    truth = Truth.of(path)
    return {
        "stages": clock.seconds,
        "statements": clock.statements,
        "rules": rules,
        "differences": truth.differences(found),
        "others": truth.others(found),
    }


def main() -> None:
    """Run one job and print what it measured."""
    job, path = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="auditor-bench-") as scratch:
        report = {job.__name__: job for job in (ingest, bare_read, sort, audit)}[job](Path(path), Path(scratch))
    print(json.dumps(report))


if __name__ == "__main__":
    main()

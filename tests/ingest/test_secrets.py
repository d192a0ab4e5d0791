"""A log may hold secrets. What is dropped at ingest is nowhere in the audit file and in no report."""

from __future__ import annotations

from pathlib import Path

import pytest
from ingest.shapes import postgres_csv, world_local
from logs import Log, entity, manifest, time, write

from auditor import audit
from auditor.report.formats import FORMATS

MARKER = "XyZZy-s3cr3t"


def secretive() -> Log:
    log = Log()
    log.events[0]["eventData"] |= {"input": {"card": MARKER}}
    log.add("hook_created", entity("hook", 0), data={"token": MARKER, "metadata": {"m": MARKER}})
    log.add("hook_received", entity("hook", 0), data={"token": MARKER, "payload": [MARKER]})
    log.add("step_created", entity("step", 1), data={"stepName": "s", "input": MARKER})
    log.add("step_failed", entity("step", 1), data={"stepName": "s", "error": MARKER, "stack": MARKER})
    log.add("step_started", entity("step", 1), data={"stepName": "s"})
    log.add("attr_set", data={"changes": {"a": MARKER}})
    error = {"message": f"Unconsumed event in event log: {MARKER}", "stack": MARKER}
    log.add("run_failed", data={"errorCode": "RUNTIME_ERROR", "error": error})
    return log.add("run_cancelled", data={"cancelReason": MARKER})


def as_ndjson(folder: Path) -> Path:
    log = secretive()
    log.add("run_completed", fence={"kind": "unfenced", "value": "x", "reason": MARKER})
    refusal = {"record": "refusal", "runId": log.run_id, "eventType": "wait_created", "reason": MARKER}
    return write(folder / "log.ndjson", manifest("fence", "refusal"), log.events, refusal)


def as_broken_ndjson(folder: Path) -> Path:
    path = as_ndjson(folder)
    path.write_text(path.read_text() + f'{{"runId": "r", "input": "{MARKER}\n[{MARKER}\n')
    return path


def as_world_local(folder: Path) -> Path:
    log = secretive()
    run = {"runId": log.run_id, "status": "failed", "createdAt": time(0), "output": MARKER, "input": MARKER}
    return world_local(
        log.events, folder / "world", [run | {"error": {"message": MARKER, "code": "RUNTIME_ERROR"}}]
    )


def as_table(folder: Path) -> Path:
    return postgres_csv(secretive().events, folder / "csv")


@pytest.mark.parametrize("make", [as_ndjson, as_broken_ndjson, as_world_local, as_table])
def test_a_marker_in_every_payload_token_reason_and_message_is_nowhere(make, tmp_path: Path) -> None:
    with audit(make(tmp_path), save=tmp_path / "audit.duckdb") as result:
        assert result.findings
        for name, render in FORMATS.items():
            assert MARKER not in render(result), name
        tables = [row[0] for row in result.con.execute("SHOW TABLES").fetchall()]
        for table in tables:
            rows = result.con.execute(f"SELECT CAST(t AS VARCHAR) FROM {table} AS t").fetchall()
            assert not [row for row in rows if MARKER in str(row)], table
    assert MARKER.encode() not in (tmp_path / "audit.duckdb").read_bytes()

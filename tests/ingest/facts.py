"""What was read, and what was found, without what says from where: equal for one log in two formats."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from auditor import audit
from auditor.database import new_audit
from auditor.ingest import Reader

NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
"""A reference time, for formats that do not carry one."""

_PLACES = {
    "event": "event_no, source_id, line",
    "refusal": "refusal_no, source_id, line",
    "entity_row": "entity_no, source_id, line",
    "head": "source_id, line",
}

Rows = list[tuple[Any, ...]]


@contextmanager
def ingested(path: str | Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The ingested tables of one input; no rule is run."""
    with (
        tempfile.TemporaryDirectory() as folder,
        new_audit(Path(folder) / "audit.duckdb", Path(folder)) as con,
    ):
        reader = Reader(con, Path(folder))
        reader.read(str(path))
        reader.finish()
        yield con


def rows(path: str | Path) -> dict[str, Rows]:
    """The ingested rows. Nothing was rejected, and there was no problem."""
    with ingested(path) as con:
        assert con.execute("SELECT problem FROM input").fetchall() == [(None,)]
        assert con.execute("SELECT reason FROM reject").fetchall() == []
        return {table: _rows(con, table) for table in _PLACES}


def _rows(con: duckdb.DuckDBPyConnection, table: str) -> Rows:
    return sorted(con.execute(f"SELECT * EXCLUDE ({_PLACES[table]}) FROM {table}").fetchall(), key=repr)


def facts(path: str | Path, now: dt.datetime | None = NOW) -> dict[str, Any]:
    """The ingested rows, and all that was concluded from them."""
    with audit(path, now=now) as result:
        report = result.report
        return {
            **{table: _rows(result.con, table) for table in _PLACES},
            "rejects": report["rejects"],
            "problems": [row["problem"] for row in report["inputs"]],
            "capabilities": report["capabilities"],
            "verdicts": [(run["run_id"], run["log_verdict"], run["runtime_verdict"]) for run in report["runs"]],
            "findings": [(f["rule"], f["severity"], f["because"], f["fingerprint"]) for f in report["findings"]],
            "rules": [(rule["id"], rule["outcome"], rule["reason"]) for rule in report["rules"]],
            "audit": report["audit"]["id"],
            "exit_code": report["exit_code"],
        }


def problem(path: str | Path) -> str:
    """Why an input cannot be read; nothing of it was loaded."""
    with ingested(path) as con:
        ((events, entities, refusals, text),) = con.execute(
            "SELECT events, entities, refusals, problem FROM input"
        ).fetchall()
        assert (events, entities, refusals) == (0, 0, 0)
        return str(text)


def rejects(path: str | Path) -> Rows:
    """Every row that could not be read: source, line, run, reason."""
    with ingested(path) as con:
        return con.execute(
            "SELECT name, line, run_id, reason FROM reject JOIN source USING (source_id) ORDER BY ALL"
        ).fetchall()

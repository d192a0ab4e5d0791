"""The auditor's own calls, stage by stage. What the benchmark knows of the product's inside is in this file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from auditor.check.catalogue import load
from auditor.check.causes import group
from auditor.check.decisions import trim
from auditor.check.engine import run_rules
from auditor.check.judge import judge as give_verdicts
from auditor.database import new_audit
from auditor.ingest import Reader
from auditor.replay import derive

EVENTS = "event"
"""The ingested table of events, whose columns run_id and event_id say which event is meant and in what order."""


@contextmanager
def opened(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A new audit file; it is written to the end when the block ends."""
    with new_audit(scratch / "audit.duckdb", scratch) as con:
        yield con


def ingest(con: Any, path: Path, scratch: Path) -> None:
    """From the input at `path` to the ingested tables."""
    reader = Reader(con, scratch)
    reader.read(str(path))
    reader.finish()


def replay(con: Any) -> None:
    """From the ingested tables to the relations that the rules read."""
    derive(con)


def rules(con: Any) -> None:
    """The whole catalogue: findings and witnesses."""
    run_rules(con, list(load().values()), everything=True)


def judge(con: Any) -> None:
    """Fingerprints, folding, decisions, verdicts and causes, without a baseline and suppressions."""
    catalogue = list(load().values())
    give_verdicts(con, catalogue, (), None, dt.datetime.now(dt.UTC).date())
    group(con, catalogue)
    trim(con)


def findings(con: Any) -> list[tuple[str, str, str]]:
    """Run id, rule and severity of every finding."""
    return list(con.execute("SELECT run_id, rule, severity FROM finding").fetchall())


def rule_seconds(con: Any) -> dict[str, float]:
    """What each rule cost, by the auditor's own clock."""
    return dict(con.execute("SELECT rule, seconds FROM rule").fetchall())

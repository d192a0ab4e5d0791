"""Every point of a SQLite transaction, as the process that writes passes it.

A point has a name: the kind of a statement and its table ("INSERT event"), as it begins to run, so that all before
it is done and itself is not; BEGUN, once the lock is held; AFTER, once the commit has returned and nobody has been
told yet. At LOCKING a writer may also be waiting for another one.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from auditor.world.sqlite import committer

LOCKING = "BEGIN IMMEDIATE"
BEGUN = "after BEGIN"
AFTER = "after COMMIT"
OUTSIDE = "between transactions"

Passed = Callable[[str], object]

_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+\"?(\w+)")


def name_of(statement: str) -> str:
    verb = statement.split(maxsplit=1)[0].upper()
    table = _TABLE.search(statement)
    return f"{verb} {table.group(1)}" if table is not None else statement


class Watched:
    """A connection that says where it is."""

    def __init__(self, con: sqlite3.Connection, passed: Passed) -> None:
        self._con = con
        self._passed = passed
        con.set_trace_callback(self._begins)

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        cursor = self._con.execute(sql, *values)
        if sql == LOCKING:
            self._passed(BEGUN)
        elif sql == "COMMIT":
            self._passed(AFTER)
            self._passed(OUTSIDE)
        elif sql == "ROLLBACK":
            self._passed(OUTSIDE)
        return cursor

    def _begins(self, statement: str) -> None:
        if not statement.startswith("PRAGMA"):
            self._passed(name_of(statement))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._con, name)


def watch(passed: Passed) -> None:
    """From now on, the writer of every world that this process opens says each point that it comes to.

    `passed` is called in the thread that writes.
    """
    connect = committer.connect

    def watched(path: Path, busy_seconds: float) -> Any:
        return Watched(connect(path, busy_seconds), passed)

    committer.connect = watched  # type: ignore[assignment]

"""Every point of an append, as the process that writes passes it.

A point has a name: the kind of a statement and its table ("INSERT event"), as it begins to run, so that all before
it is done and itself is not; BEGUN, once the lock is held; AFTER, once the commit has returned and nobody has been
told yet. At LOCKING a writer may also be waiting for another one.

PostgreSQL does all of that in one statement, of which a writer sees three points: it is not sent yet; it is sent
and nobody has answered; it is answered and nobody has been told.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from auditor.world.postgres import committer as postgres_committer
from auditor.world.sqlite import committer

LOCKING = "BEGIN IMMEDIATE"
BEGUN = "after BEGIN"
AFTER = "after COMMIT"
OUTSIDE = "between transactions"

UNSENT = "before the statement"
SENT = "statement sent"
ANSWERED = "statement answered"

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
    """From now on, the writer of every SQLite world that this process opens says each point that it comes to.

    `passed` is called in the thread that writes.
    """
    connect = committer.connect

    def watched(path: Path, busy_seconds: float) -> Any:
        return Watched(connect(path, busy_seconds), passed)

    committer.connect = watched  # type: ignore[assignment]


def watch_statements(passed: Passed) -> None:
    """The same, of every PostgreSQL world."""
    commit = postgres_committer.commit

    async def watched(con: Any, group: Any) -> Any:
        passed(UNSENT)
        answer = asyncio.ensure_future(commit(con, group))
        # The statement goes out in the first turns of its task, and the server needs longer than that to answer.
        for _ in range(3):
            await asyncio.sleep(0)
        passed(SENT)
        told = await answer
        passed(ANSWERED)
        passed(OUTSIDE)
        return told

    postgres_committer.commit = watched  # type: ignore[assignment]

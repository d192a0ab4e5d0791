"""`state.sqlite`: what the dashboard knows beside the audit files."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCHEMA = "auditor.dashboard/v1"
_WAIT_SECONDS = 30.0


class State:
    """The database of a dashboard folder. Any thread may use it; each has a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        with self._connected() as con:
            con.executescript(Path(__file__).with_name("state.sql").read_text("utf-8"))
            con.execute("INSERT OR IGNORE INTO meta VALUES ('schema', ?)", [SCHEMA])
            con.commit()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """What a query gives, a dictionary a row."""
        with self._connected() as con:
            return [dict(row) for row in con.execute(sql, values)]

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes: all of it, or nothing."""
        with self._connected() as con:
            con.execute("BEGIN IMMEDIATE")
            try:
                yield con
            except BaseException:
                con.rollback()
                raise
            con.commit()

    def note(self, con: sqlite3.Connection, who: str, action: str, subject: str, **detail: Any) -> None:
        """Write into the trail, in the transaction of what is noted."""
        con.execute(
            "INSERT INTO trail (at, who, action, subject, detail) VALUES (?, ?, ?, ?, ?)",
            [now_ms(), who, action, subject, json.dumps(detail, sort_keys=True)],
        )

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        con: sqlite3.Connection | None = getattr(self._local, "con", None)
        if con is None:
            con = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None)
            con.row_factory = sqlite3.Row
            con.execute("PRAGMA journal_mode = WAL")
            con.execute("PRAGMA foreign_keys = ON")
            self._local.con = con
        yield con


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000

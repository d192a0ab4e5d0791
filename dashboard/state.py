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

from auditor import UsageError

SCHEMA = "auditor.dashboard/v1"
_WAIT_SECONDS = 30.0


class State:
    """The database of a dashboard folder. Any thread may use it; each has a connection of its own.

    Raises UsageError if the file is damaged, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        try:
            with self._connected() as con:
                con.executescript(Path(__file__).with_name("state.sql").read_text("utf-8"))
                con.execute("INSERT OR IGNORE INTO meta VALUES ('schema', ?)", [SCHEMA])
                con.commit()
                ((found,),) = con.execute("PRAGMA quick_check(1)").fetchall()
        except sqlite3.DatabaseError as error:
            raise UsageError(f"{path}: {_meant(error)}") from None
        if found != "ok":
            raise UsageError(f"{path}: {_DAMAGED}")

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


_DAMAGED = "is damaged; restore its backup, or move it away: what was decided about findings is in it alone"


def _meant(error: sqlite3.DatabaseError) -> str:
    code = getattr(error, "sqlite_errorname", "")
    return _DAMAGED if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")) else f"cannot be used: {error}"


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000

"""A world in one SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from auditor.errors import NotFound, StoreUnavailable
from auditor.model.rows import Entity, Event, Refusal, Run
from auditor.world.base import BaseWorld
from auditor.world.clock import system_clock
from auditor.world.draft import Request
from auditor.world.protocol import MAX_DELIVERIES, Appended, Snapshot, StoredMessage
from auditor.world.sqlite import appends, file
from auditor.world.sqlite.appends import NO_LIMIT, SELECT_RUN, columns
from auditor.world.sqlite.committer import Committer
from auditor.world.sqlite.queue import SqliteQueue
from auditor.world.sqlite.streams import SqliteStreams

T = TypeVar("T")

READERS = 2
"""Threads that read beside the one that writes."""

BATCH = 1_000
"""Rows in one batch of a dump."""

_DUMPS = {
    "run": f"SELECT {columns(Run)} FROM run {{where}} ORDER BY run_id",
    "event": f'SELECT {columns(Event)} FROM event {{where}} ORDER BY run_id, "position"',
    "refusal": f"SELECT refusal_no, {columns(Refusal)} FROM refusal {{where}} ORDER BY run_id, refusal_no",
    "entity": f"SELECT {columns(Entity)} FROM entity {{where}} ORDER BY run_id, kind, correlation_id",
    "message": "SELECT CAST(message_id AS TEXT), run_id, kind, correlation_id, key, state, ready_at "
    "FROM message {where} ORDER BY run_id, message_id",
}


class SqliteWorld(BaseWorld):
    """A world in a file: one process or many, any number of tasks and threads.

    Every acknowledged write is on disk (`synchronous="FULL"`; with `NORMAL` a power loss may take the last ones).
    Appends that are under way at the same time share a commit. `busy_seconds` is how long to wait for the lock of
    another process. Raises NotAWorld if there is none at `path`.
    """

    def __init__(
        self,
        path: Path,
        *,
        synchronous: str = "FULL",
        busy_seconds: float = file.BUSY_SECONDS,
        clock: Callable[[], int] = system_clock,
        max_deliveries: int = MAX_DELIVERIES,
    ) -> None:
        self._path = path = path.absolute()  # a process may change its folder
        self._busy_seconds = busy_seconds
        self._clock = clock
        self._readers = ThreadPoolExecutor(READERS, f"reads of {path.name}")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        with file.translated(str(path)):
            con = file.connect(path, busy_seconds)
            try:
                file.migrate(con, str(path))
            finally:
                con.close()
            self._committer = Committer(path, busy_seconds, synchronous, clock)
        self.queue = SqliteQueue(self._committer, self._read, clock, max_deliveries)
        self.streams = SqliteStreams(self._committer, self._read)

    async def _append(self, request: Request) -> Appended:
        return await self._committer.run(lambda tx: appends.append(tx, request))

    async def events(self, run_id: str, after: int = 0, limit: int | None = None) -> Snapshot:
        """See `World.events`."""

        def read(con: sqlite3.Connection) -> Snapshot:
            con.execute("BEGIN")
            try:
                row = con.execute(SELECT_RUN, (run_id,)).fetchone()
                if row is None:
                    raise NotFound(f"there is no run {run_id}", reason="no_such_run")
                run = Run._make(row)
                events = tuple(appends.read(con, run_id, after, NO_LIMIT if limit is None else limit))
            finally:
                con.execute("ROLLBACK")
            last = events[-1].position if events else after
            return Snapshot(run, after, events, last >= run.version)

        return await self._reading(read)

    async def run(self, run_id: str) -> Run | None:
        """See `World.run`."""
        rows = await self._read(SELECT_RUN, (run_id,))
        return Run._make(rows[0]) if rows else None

    async def runs(self, status: str | None = None, after: str | None = None, limit: int = 100) -> list[Run]:
        """See `World.runs`."""
        rows = await self._read(
            f"SELECT {columns(Run)} FROM run WHERE run_id > ? AND coalesce(status = ?, 1) ORDER BY run_id LIMIT ?",
            (after or "", status, limit),
        )
        return [Run._make(row) for row in rows]

    async def entities(self, run_id: str, kind: str | None = None) -> list[Entity]:
        """See `World.entities`."""
        rows = await self._read(
            f"SELECT {columns(Entity)} FROM entity WHERE run_id = ? AND coalesce(kind = ?, 1) "
            "ORDER BY kind, correlation_id",
            (run_id, kind),
        )
        return [Entity._make(row) for row in rows]

    async def hook_by_token(self, token: str) -> Entity | None:
        """See `World.hook_by_token`."""
        rows = await self._read(
            f"SELECT {columns(Entity)} FROM entity WHERE kind = 'hook' AND (run_id, correlation_id) = "
            "(SELECT run_id, correlation_id FROM token WHERE token = ? AND until IS NULL)",
            (token,),
        )
        return Entity._make(rows[0]) if rows else None

    async def now(self) -> int:
        """See `World.now`."""
        rows = await self._read("SELECT commit_seq, at FROM last_commit", ())
        _, at = file.whole(str(self._path), next(iter(rows), None))
        return max(self._clock(), at)

    async def dump(
        self, tables: Sequence[str], run_id: str | None = None
    ) -> AsyncIterator[tuple[str, Sequence[tuple[Any, ...]]]]:
        """See `World.dump`."""
        where, values = ("", ()) if run_id is None else ("WHERE run_id = ?", (run_id,))
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, f"dump of {self._path.name}") as thread:

            def call(work: Callable[[], T]) -> asyncio.Future[T]:
                return loop.run_in_executor(thread, self._guarded, work)

            con = await call(lambda: file.connect(self._path, self._busy_seconds))
            try:
                await call(lambda: con.execute("BEGIN"))
                for table in tables:
                    sql = _DUMPS[table].format(where=where)
                    cursor = await call(lambda sql=sql: con.execute(sql, values))  # type: ignore[misc]
                    while rows := await call(lambda cursor=cursor: cursor.fetchmany(BATCH)):  # type: ignore[misc]
                        yield table, [StoredMessage._make(row) for row in rows] if table == "message" else rows
            finally:
                await call(con.close)

    async def _read(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        return await self._reading(lambda con: con.execute(sql, values).fetchall())

    async def _reading(self, work: Callable[[sqlite3.Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._readers, self._guarded, lambda: work(self._reader()))
        except RuntimeError as error:
            raise StoreUnavailable(f"{self._path} was closed") from error

    def _guarded(self, work: Callable[[], T]) -> T:
        with file.translated(str(self._path)):
            return work()

    def _reader(self) -> sqlite3.Connection:
        con: sqlite3.Connection | None = getattr(self._local, "con", None)
        if con is None:
            con = file.connect(self._path, self._busy_seconds)
            con.execute("PRAGMA query_only = ON")
            self._local.con = con
            self._connections.append(con)
        return con

    async def close(self) -> None:
        """Finish what was asked for, then let go of the file."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._committer.close()
        self._readers.shutdown()
        for con in self._connections:
            con.close()
        self._connections.clear()

"""Group commit: what is asked for in one turn of the event loop goes into one transaction.

A transaction is short, and a thread of its own costs more than it: so it is made on the event loop, after all that
is ready in this turn has asked. Only if another process holds the lock, a thread waits for it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from auditor.errors import StoreUnavailable, WorldError
from auditor.world.sqlite.file import connect, identity, is_locked, meaning, whole

T = TypeVar("T")

MAX_GROUP = 64
"""Jobs in one transaction: some ten milliseconds, in which the event loop does nothing else."""

_NEXT = "UPDATE last_commit SET commit_seq = commit_seq + 1, at = max(at, ?) RETURNING commit_seq, at"


@dataclass(slots=True)
class Tx:
    """The transaction that a job works in: its connection, time (ms since 1970) and number."""

    con: sqlite3.Connection
    now: int
    commit_seq: int


Work = Callable[[Tx], T]


@dataclass(slots=True, eq=False)
class _Job:
    work: Work[Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class _Locked(Exception):
    """Another process holds the lock."""

    def __init__(self, error: sqlite3.Error) -> None:
        self.error = error


class Committer:
    """The one connection of this process that writes to a file. `clock` gives ms since 1970."""

    def __init__(self, path: Path, busy_seconds: float, synchronous: str, clock: Callable[[], int]) -> None:
        self._name = str(path)
        self._path = path.absolute()
        self._busy_ms = int(busy_seconds * 1000)
        # Settings read the file, and somebody who opens or closes it just now is waited for.
        self._con = connect(path, busy_seconds)
        self._con.execute(f"PRAGMA synchronous = {synchronous}")
        self._con.execute("PRAGMA busy_timeout = 0")
        self._file = identity(self._path)
        self._clock = clock
        self._waiting: deque[_Job] = deque()
        self._turn = threading.Lock()
        self._thread = ThreadPoolExecutor(1, f"waits for {path.name}")
        self._closed = False

    async def run(self, work: Work[T]) -> T:
        """Do some work in the next transaction; its result, or what it raised, once that is committed.

        A WorldError that the work raises is its answer, and what it wrote before stays. Raises StoreUnavailable if
        nothing could be committed.
        """
        if self._closed:
            raise StoreUnavailable(f"{self._name} was closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append(_Job(work, loop, future))
        loop.call_soon(self._commit_here)
        return await future

    def close(self) -> None:
        """Finish what was asked for, then let go of the file."""
        if self._closed:
            return
        self._closed = True
        self._thread.shutdown()
        with self._turn:
            self._commit_all()
            self._con.close()

    def _commit_here(self) -> None:
        """Commit one group on the event loop that asked; if somebody is at it already, that one goes on."""
        if not self._waiting or not self._turn.acquire(blocking=False):
            return
        group = self._next_group()
        try:
            self._commit(group)
        except _Locked:
            self._waiting.extendleft(reversed(group))
            try:
                # The turn stays taken until the thread has waited.
                self._thread.submit(self._commit_there)
            except RuntimeError:
                # The thread is gone: `close` waits for the turn, and then for the lock.
                self._turn.release()
            return
        self._end_turn()

    def _commit_there(self) -> None:
        """Commit all that waits, in the thread that may be kept waiting."""
        self._commit_all()
        self._end_turn()

    def _commit_all(self) -> None:
        self._con.execute(f"PRAGMA busy_timeout = {self._busy_ms}")
        while self._waiting:
            together = len(self._waiting)
            group = self._next_group()
            try:
                self._commit(group)
            except _Locked as locked:
                # They all have waited by now: the next group must not wait as long again.
                group += [self._waiting.popleft() for _ in range(together - len(group))]
                for job in group:
                    job.result, job.error = None, meaning(self._name, locked.error)
                _answer(group)
        self._con.execute("PRAGMA busy_timeout = 0")

    def _end_turn(self) -> None:
        self._turn.release()
        # What was asked for meanwhile found the turn taken. Some of their event loops may have ended since.
        for loop in {job.loop for job in tuple(self._waiting)}:
            _call(loop, self._commit_here)

    def _next_group(self) -> list[_Job]:
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP))]

    def _commit(self, group: list[_Job]) -> None:
        left = list(group)
        # What one job cannot do must not fail the others: they are tried again without it.
        while left and (culprit := self._attempt(left)) is not None:
            left.remove(culprit)
        _answer(group)

    def _attempt(self, group: list[_Job]) -> _Job | None:
        """Commit a group whole, or nothing of it. Returns the job that was in the way of the others."""
        con = self._con
        job, committing = None, False
        try:
            self._begin()
            number, now = whole(self._name, con.execute(_NEXT, (self._clock(),)).fetchone())
            tx = Tx(con, now, number)
            for job in group:
                job.result = job.error = None
                try:
                    job.result = job.work(tx)
                except WorldError as answer:
                    job.error = answer
            job, committing = None, True
            con.execute("COMMIT")
        except _Locked:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for it
            self._undo()
            told = meaning(self._name, error, committing) if isinstance(error, sqlite3.Error) else error
            for failed in [job] if job is not None else group:
                failed.result, failed.error = None, told
        return job

    def _begin(self) -> None:
        if identity(self._path) != self._file:
            # SQLite would go on to write to a file that has no name any more.
            raise StoreUnavailable(f"{self._name} was deleted, moved or replaced; nothing was written")
        try:
            self._con.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if is_locked(error):
                raise _Locked(error) from error
            raise

    def _undo(self) -> None:
        # It fails if the connection was closed, or if the disk fails again: the next group then fails, and undoes.
        with suppress(sqlite3.Error):
            if self._con.in_transaction:
                self._con.execute("ROLLBACK")


def _answer(group: list[_Job]) -> None:
    """Tell every caller: at once on its own event loop, else by one call to each other loop."""
    try:
        here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    loops: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in group:
        loops.setdefault(job.loop, []).append(job)
    for loop, jobs in loops.items():
        if loop is here:
            _resolve(jobs)
        else:
            _call(loop, _resolve, jobs)


def _call(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *values: Any) -> None:
    """Let an event loop call something. One that is closed, or closes right now, has nobody left who waits."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *values)


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.cancelled():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)

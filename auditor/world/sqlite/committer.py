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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from auditor.errors import StoreUnavailable, WorldError
from auditor.world.sqlite.file import connect, is_locked, meaning

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
    """Another process holds the lock, and nobody has waited for it yet."""


class Committer:
    """The one connection of this process that writes to a file. `clock` gives ms since 1970."""

    def __init__(self, path: Path, busy_seconds: float, synchronous: str, clock: Callable[[], int]) -> None:
        self._name = str(path)
        self._busy_ms = int(busy_seconds * 1000)
        self._con = connect(path, 0)
        self._con.execute(f"PRAGMA synchronous = {synchronous}")
        self._clock = clock
        self._waiting: deque[_Job] = deque()
        self._turn = threading.Lock()
        self._thread = ThreadPoolExecutor(1, f"waits for {path.name}")
        self._waits = False
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
            self._set_busy_timeout(self._busy_ms)
            while self._waiting:
                self._commit(self._next_group())
            self._con.close()

    def _commit_here(self) -> None:
        """Commit one group on the event loop that asked; if somebody is at it already, that one goes on."""
        if not self._waiting or not self._turn.acquire(blocking=False):
            return
        group = self._next_group()
        try:
            self._commit(group)
        except _Locked:
            # The turn stays taken until the thread has waited.
            self._waiting.extendleft(reversed(group))
            self._thread.submit(self._commit_there)
            return
        self._end_turn()

    def _commit_there(self) -> None:
        """Commit all that waits, in the thread that may be kept waiting."""
        self._set_busy_timeout(self._busy_ms)
        while self._waiting:
            self._commit(self._next_group())
        self._set_busy_timeout(0)
        self._end_turn()

    def _end_turn(self) -> None:
        self._turn.release()
        # What was asked for meanwhile found the turn taken.
        if self._waiting:
            loop = self._waiting[0].loop
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._commit_here)

    def _set_busy_timeout(self, milliseconds: int) -> None:
        self._waits = milliseconds > 0
        self._con.execute(f"PRAGMA busy_timeout = {milliseconds}")

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
        job = None
        try:
            self._begin()
            number, now = con.execute(_NEXT, (self._clock(),)).fetchone()
            tx = Tx(con, now, number)
            for job in group:
                job.result = job.error = None
                try:
                    job.result = job.work(tx)
                except WorldError as answer:
                    job.error = answer
            job = None
            con.execute("COMMIT")
        except _Locked:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for it
            if con.in_transaction:
                con.execute("ROLLBACK")
            told = meaning(self._name, error) if isinstance(error, sqlite3.Error) else error
            for failed in [job] if job is not None else group:
                failed.result, failed.error = None, told
        return job

    def _begin(self) -> None:
        try:
            self._con.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if is_locked(error) and not self._waits:
                raise _Locked from None
            raise


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
        elif not loop.is_closed():  # one that is closed has nobody left who waits
            loop.call_soon_threadsafe(_resolve, jobs)


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.cancelled():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)

"""Group commit: what is asked for while one commit is under way goes into the next one, together.

One thread owns the connection that writes. It takes all jobs that wait, runs them in one transaction and answers
after the commit; one writer alone has a commit of its own, many share them.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from auditor.errors import StoreUnavailable, WorldError
from auditor.world.sqlite.file import connect, meaning

T = TypeVar("T")

MAX_GROUP = 256
"""Jobs in one transaction."""


@dataclass(slots=True)
class Tx:
    """The transaction that a job works in: its connection, time (ms since 1970) and number."""

    con: sqlite3.Connection
    now: int
    commit_seq: int


Work = Callable[[Tx], T]


@dataclass(slots=True)
class _Job:
    work: Work[Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Committer:
    """The thread that writes to a file. `clock` gives ms since 1970."""

    def __init__(self, path: Path, busy_seconds: float, synchronous: str, clock: Callable[[], int]) -> None:
        self._name = str(path)
        self._con = connect(path, busy_seconds)
        self._con.execute(f"PRAGMA synchronous = {synchronous}")
        self._clock = clock
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"commits to {path.name}", daemon=True)
        self._thread.start()

    async def run(self, work: Work[T]) -> T:
        """Do some work in the next transaction; its result, or what it raised, once that is committed.

        A WorldError that the work raises is its answer, and what it wrote before stays. Raises StoreUnavailable if
        nothing could be committed.
        """
        if self._closed:
            raise StoreUnavailable(f"{self._name} was closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(work, loop, future))
        return await future

    def close(self) -> None:
        """Finish what was asked for, then let go of the file."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._thread.join()
            self._con.close()

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            group, last = [first], False
            while len(group) < MAX_GROUP:
                try:
                    job = self._jobs.get_nowait()
                except Empty:
                    break
                if job is None:
                    last = True
                    break
                group.append(job)
            self._commit(group)
            if last:
                return

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
            con.execute("BEGIN IMMEDIATE")
            number, at = con.execute("SELECT commit_seq, at FROM last_commit").fetchone()
            tx = Tx(con, max(self._clock(), at), number + 1)
            for job in group:
                job.result = job.error = None
                try:
                    job.result = job.work(tx)
                except WorldError as answer:
                    job.error = answer
            job = None
            con.execute("UPDATE last_commit SET commit_seq = ?, at = ?", (tx.commit_seq, tx.now))
            con.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for it
            if con.in_transaction:
                con.execute("ROLLBACK")
            told = meaning(self._name, error) if isinstance(error, sqlite3.Error) else error
            for failed in [job] if job is not None else group:
                failed.result, failed.error = None, told
        return job


def _answer(group: list[_Job]) -> None:
    """Tell every caller, with one call to each event loop."""
    loops: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in group:
        loops.setdefault(job.loop, []).append(job)
    for loop, jobs in loops.items():
        # A loop that is closed has nobody left who waits.
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, jobs)


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.cancelled():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)

"""Group commit: decisions on different runs that wait at the same time are committed by one statement."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from auditor.world.decision import Accepted
from auditor.world.postgres.commits import Decided, commit
from auditor.world.postgres.database import AGAIN, Database

MAX_GROUP = 64
"""Decisions in one statement."""

IN_FLIGHT = 2
"""Statements under way at once: while one waits for the disk, the next one is read."""

Waiting = tuple[Decided, "asyncio.Future[int | None]"]


class Committer:
    """Commits what was decided, of each run one decision at a time. `learn` is told the server's time."""

    def __init__(self, database: Database, learn: Callable[[int], None]) -> None:
        self._database = database
        self._learn = learn
        self._waiting: deque[Waiting] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def commit(self, accepted: Accepted, now: int) -> int | None:
        """The number of the commit; None if nothing was committed, because the run or the time has moved on.

        Raises AGAIN if somebody else was faster, and StoreUnavailable.
        """
        future: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((Decided(accepted, now), future))
        if len(self._tasks) < IN_FLIGHT:
            self._tasks.add(asyncio.create_task(self._work()))
        return await future

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._commit(self._next())
        finally:
            # In the same breath as the last look: whoever asks after it must find that nobody is at work.
            if (task := asyncio.current_task()) is not None:
                self._tasks.discard(task)

    def _next(self) -> list[Waiting]:
        """Those that wait; one that relies on the token of another run goes alone, for it locks that too."""
        group = [self._waiting.popleft()]
        while self._waiting and len(group) < MAX_GROUP and not _alone(group[-1]) and not _alone(self._waiting[0]):
            group.append(self._waiting.popleft())
        return group

    async def _commit(self, group: list[Waiting]) -> None:
        decided = [one for one, _ in group]
        try:
            numbers, server_ms = await self._database.once(lambda con: commit(con, decided))
        except AGAIN as error:
            if len(group) == 1:
                _fail(group, error)
                return
            # One of them broke a key; the others shall not be decided again for it.
            for waiting in group:
                await self._commit([waiting])
        except BaseException as error:
            _fail(group, error)
            if not isinstance(error, Exception):
                raise
        else:
            self._learn(server_ms)
            for one, future in group:
                if not future.done():
                    future.set_result(numbers.get(one.accepted.run.run_id))

    async def close(self) -> None:
        """Finish what is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)


def _alone(waiting: Waiting) -> bool:
    return bool(waiting[0].accepted.change.held)


def _fail(group: list[Waiting], error: BaseException) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(error)

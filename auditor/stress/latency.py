"""A world that is far away: it takes a while after every read of a log and before every commit."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from auditor.model.rows import Entity, Run
from auditor.world import Appended, Fence, NewEvent, Queue, Snapshot, Streams, World, Writer


class Latency(NamedTuple):
    """Milliseconds, drawn evenly between the two."""

    shortest: float
    longest: float


AT_ONCE = Latency(0, 0)
"""No latency."""


class DistantWorld:
    """A world whose log is read a while ago, and whose appends arrive a while later. All else is as it was."""

    def __init__(self, world: World, latency: Latency, chance: random.Random) -> None:
        self._world = world
        self._latency = latency
        self._chance = chance

    @property
    def queue(self) -> Queue:
        """See `World.queue`."""
        return self._world.queue

    @property
    def streams(self) -> Streams:
        """See `World.streams`."""
        return self._world.streams

    async def append(
        self, run_id: str, events: Sequence[NewEvent], fence: Fence | None, *, writer: Writer, **more: Any
    ) -> Appended:
        """See `World.append`."""
        await self._travel()
        return await self._world.append(run_id, events, fence, writer=writer, **more)

    async def events(self, run_id: str, after: int = 0, limit: int | None = None) -> Snapshot:
        """See `World.events`."""
        snapshot = await self._world.events(run_id, after, limit)
        await self._travel()
        return snapshot

    async def run(self, run_id: str) -> Run | None:
        """See `World.run`."""
        return await self._world.run(run_id)

    async def runs(self, status: str | None = None, after: str | None = None, limit: int = 100) -> list[Run]:
        """See `World.runs`."""
        return await self._world.runs(status, after, limit)

    async def entities(self, run_id: str, kind: str | None = None) -> list[Entity]:
        """See `World.entities`."""
        return await self._world.entities(run_id, kind)

    async def hook_by_token(self, token: str) -> Entity | None:
        """See `World.hook_by_token`."""
        return await self._world.hook_by_token(token)

    async def now(self) -> int:
        """See `World.now`."""
        return await self._world.now()

    def dump(
        self, tables: Sequence[str], run_id: str | None = None
    ) -> AsyncIterator[tuple[str, Sequence[tuple[Any, ...]]]]:
        """See `World.dump`."""
        return self._world.dump(tables, run_id)

    async def close(self) -> None:
        """See `World.close`."""
        await self._world.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _travel(self) -> None:
        if self._latency.longest > 0:
            await asyncio.sleep(self._chance.uniform(*self._latency) / 1000)

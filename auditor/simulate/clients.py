"""What a tick speaks to the store through, where a fault is on the side of the writer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditor.world import Appended, Fence, NewEvent, Snapshot, World


class Client:
    """Passes on what a tick asks of the store; a fault overrides what it garbles."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def append(self, run_id: str, events: Sequence[NewEvent], fence: Fence | None, **more: Any) -> Appended:
        """See `World.append`."""
        return await self.world.append(run_id, events, fence, **more)

    async def events(self, run_id: str, after: int = 0, limit: int | None = None) -> Snapshot:
        """See `World.events`."""
        return await self.world.events(run_id, after, limit)

    async def now(self) -> int:
        """See `World.now`."""
        return await self.world.now()

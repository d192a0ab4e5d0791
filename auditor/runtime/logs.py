"""The logs that a worker has read: of a run that it knows it reads only what is new."""

from __future__ import annotations

from collections import OrderedDict

from auditor.model.rows import Event, Run
from auditor.world import World

REMEMBERED_EVENTS = 200_000
"""Events that a worker keeps in memory, of the runs that it read last."""


class Logs:
    """Reads logs. A log only grows, so what was read of it stays true."""

    def __init__(self, world: World, remembered_events: int = REMEMBERED_EVENTS) -> None:
        self._world = world
        self._limit = remembered_events
        self._known: OrderedDict[str, tuple[Event, ...]] = OrderedDict()
        self._size = 0

    async def read(self, run_id: str) -> tuple[Run, tuple[Event, ...]]:
        """A run and all of its events, as they are now. Raises NotFound."""
        known = self._known.get(run_id, ())
        snapshot = await self._world.events(run_id, after=len(known))
        events = known + snapshot.events
        self._keep(run_id, events)
        return snapshot.run, events

    def forget(self, run_id: str) -> None:
        """Keep nothing of a run: it has ended."""
        self._size -= len(self._known.pop(run_id, ()))

    def _keep(self, run_id: str, events: tuple[Event, ...]) -> None:
        self._size += len(events) - len(self._known.get(run_id, ()))
        self._known[run_id] = events
        self._known.move_to_end(run_id)
        while self._size > self._limit and len(self._known) > 1:
            _, dropped = self._known.popitem(last=False)
            self._size -= len(dropped)

"""A world in memory that a fault may break, and a correct core that looks on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from auditor.errors import FenceConflict, Refused
from auditor.model.rows import Event
from auditor.simulate.draws import Draws
from auditor.simulate.faults.base import Fault
from auditor.simulate.schedule import Schedule, Turn
from auditor.simulate.shadow import Shadow
from auditor.world import Appended, Message, Snapshot
from auditor.world.decision import Accepted, Decision, RunState, refusals
from auditor.world.draft import Request
from auditor.world.memory import MemoryWorld
from auditor.world.memory.queue import MemoryQueue
from auditor.world.protocol import MAX_DELIVERIES


class SimulatedQueue(MemoryQueue):
    """A queue that loses what the fault says."""

    keeps: Callable[[Message, bool], bool]

    def put(self, message: Message) -> None:
        """See `MemoryQueue.put`."""
        if self.keeps(message, self.is_leased(message)):
            super().put(message)


class SimulatedWorld(MemoryWorld):
    """A world whose time, chance and interleaving are the schedule's, and whose fault is the fault's.

    The shadow is told of every answer that the correct core would not have given, and of everything that is stored
    otherwise than it was accepted.
    """

    queue: SimulatedQueue

    def __init__(
        self, schedule: Schedule, draws: Draws, fault: Fault, shadow: Shadow, latency_ms: int = 0
    ) -> None:
        super().__init__(schedule.now, draws.bits, schedule.point)
        self.queue = SimulatedQueue(self._now, draws.bits, schedule.point, MAX_DELIVERIES)
        self.queue.keeps = fault.sent
        schedule.due = lambda: self.queue.soonest
        self._schedule = schedule
        self._latency = draws, latency_ms
        self._fault = fault
        self._shadow = shadow
        self.knew: dict[str, int] = {}
        """Of every event: the position up to which its writer had read the log."""
        self._known: dict[tuple[str, str], int] = {}
        self._asked: dict[str, int] = {}

    def new_request_id(self) -> str:
        """An id for a request that brings none."""
        return f"req_{self._draw(80):020x}"

    async def _append(self, request: Request) -> Appended:
        append = request.append
        # Who it is, is for the schedule to say: the name of a process would differ from machine to machine.
        writer = replace(append.writer, writer_id=self._schedule.moves[-1].actor)
        request = request._replace(append=append._replace(writer=writer))
        draws, longest = self._latency
        if longest:
            await Turn(draws.below(longest + 1), when="on its way", what="append")
        knows = (writer.writer_id, append.run_id)
        # What is sent again was decided on what its writer knew the first time.
        knew = self._asked.setdefault(append.request_id, self._known.get(knows, 0))
        try:
            appended = await super()._append(request)
        except FenceConflict as conflict:
            if conflict.missing:
                self._known[knows] = conflict.missing[-1].position
            raise
        for event in appended.events:
            self.knew.setdefault(event.event_id, knew)
        if appended.events and appended.events[0].position == self._known.get(knows, 0) + 1:
            self._known[knows] = appended.events[-1].position
        try:
            self._fault.answered(request)
        except Refused as refused:
            rest = request._replace(drafts=request.drafts[len(appended.events) :])
            run = self._logs[append.run_id].run
            self._refusals += refusals(RunState(run), rest, refused, self._now())
            raise
        return appended

    def _decide(self, state: RunState, request: Request, now: int) -> Decision:
        decision = self._fault.decide(state, request, now, self._draw)
        if type(self._fault).decide is not Fault.decide:
            self._shadow.judge(state, request, now, decision)
        self._shadow.watch(request, decision)
        return decision

    def _apply(self, accepted: Accepted) -> tuple[Event, ...]:
        log = self._logs.get(accepted.run.run_id)
        stored = self._fault.stored(accepted, None if log is None else log.run)
        self._shadow.compare(accepted, stored)
        events = super()._apply(stored)
        # What was accepted is acknowledged, whatever became of it.
        return events if stored is accepted else accepted.events

    async def events(self, run_id: str, after: int = 0, limit: int | None = None) -> Snapshot:
        """See `World.events`."""
        snapshot = self._fault.read(await super().events(run_id, after, limit))
        if snapshot.events:
            self._known[self._schedule.moves[-1].actor, run_id] = snapshot.events[-1].position
        return snapshot

    def log(self, run_id: str) -> Sequence[Event]:
        """The events of a run as they were committed; no scheduling point."""
        return self._logs[run_id].events

    def rows(self, table: str, run_id: str) -> list[tuple[Any, ...]]:
        """The rows of a table, of one run; no scheduling point."""
        return list(self._rows(table, [self._logs[run_id]], run_id))

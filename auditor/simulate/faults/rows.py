"""Events that a store loses while it keeps their rows, rows that it does not keep, and what it does not judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from auditor.errors import FenceConflict, TooEarly
from auditor.model.events import EventType
from auditor.model.rows import Entity, Event, Run
from auditor.runtime.tick import Store
from auditor.simulate.clients import Client
from auditor.simulate.draws import Draws
from auditor.simulate.faults.base import Fault
from auditor.simulate.faults.forcing import relinked, tail_of, without_fence
from auditor.simulate.faults.storing import said, saying, without, without_events
from auditor.world import Snapshot, World
from auditor.world.chain import event_ids
from auditor.world.decision import Accepted, Decision, Draw, RunState, decide
from auditor.world.draft import Request, iso
from auditor.world.entities import Key
from auditor.world.protocol import after_tail

T = EventType


class OutcomeLost(Fault):
    """The row of a step says that it is over, and its event was never written: the process died between the two.

    Seen in vercel/workflow#3081.
    """

    rules = ("entity-ahead-of-log",)
    scenarios = ("sequential", "parallel", "stress", "fan-out")

    def stored(self, accepted: Accepted, before: Run | None) -> Accepted:
        """See `Fault.stored`."""
        if before is None or accepted.events[0].event_type != T.STEP_COMPLETED or not self.strikes():
            return accepted
        return without_events(accepted, before)


class CreationLost(Fault):
    """The row of a wait is there, and its event was never written: who asks for the wait again is refused.

    Seen in vercel/workflow#3081 and #2295, and in one run of the corpora (4.2.4 on Postgres).
    """

    rules = ("entity-without-creation",)
    scenarios = ("sequential", "race", "stress")

    def stored(self, accepted: Accepted, before: Run | None) -> Accepted:
        """See `Fault.stored`."""
        kinds = [event.event_type for event in accepted.events]
        if before is None or kinds != [T.WAIT_CREATED] or not self.strikes():
            return accepted
        return without_events(accepted, before)


class _CreationGone(Fault):
    """The creation of an entity is in the caches of all readers, and no longer in the log that is exported."""

    event_type: ClassVar[EventType]

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self._gone: Event | None = None
        self._next = ""

    def stored(self, accepted: Accepted, before: Run | None) -> Accepted:
        """See `Fault.stored`."""
        for place, event in enumerate(accepted.events[:-1]):
            if event.event_type == self.event_type and self.strikes():
                self._gone, self._next = event, accepted.events[place + 1].event_id
                return without(accepted, event)
        return accepted

    def read(self, snapshot: Snapshot) -> Snapshot:
        """See `Fault.read`."""
        events: list[Event] = []
        for event in snapshot.events:
            if self._gone is not None and event.event_id == self._next:
                events.append(self._gone)
            events.append(event)
        return replace(snapshot, events=tuple(events))


class StepCreationGone(_CreationGone):
    """The event that created a step is gone from the log. Seen in vercel/workflow#1055."""

    rules = ("entity-without-creation", "orphan-step-event")
    scenarios = ("parallel", "fan-out", "joined")
    event_type = T.STEP_CREATED


class WaitCreationGone(_CreationGone):
    """The event that created a wait is gone from the log. Seen in vercel/workflow#1055 and #2177."""

    rules = ("entity-without-creation", "orphan-wait-completed")
    scenarios = ("parallel", "timers")
    event_type = T.WAIT_CREATED


class HookCreationGone(_CreationGone):
    """The event that created a hook is gone from the log. Seen in vercel/workflow#2283."""

    rules = ("entity-without-creation", "orphan-hook-event")
    scenarios = ("race", "fan-out", "cancelled")
    event_type = T.HOOK_CREATED
    LAST = 1


class RowContradictsLog(Fault):
    """The row of a step says that it has failed, and its event that it is completed.

    One of the checks of the simulator of vercel/workflow: the status of a row is the fold of its events.
    """

    rules = ("entity-state-mismatch",)
    scenarios = ("sequential", "parallel", "fan-out", "stress")

    def stored(self, accepted: Accepted, before: Run | None) -> Accepted:
        """See `Fault.stored`."""
        if accepted.events[0].event_type != T.STEP_COMPLETED or not self.strikes():
            return accepted
        failed = {key: row._replace(status="failed") for key, row in accepted.change.updated.items()}
        return accepted._replace(change=replace(accepted.change, updated=failed))


class RowOfRunBehind(Fault):
    """The event that ends a run is written, and the row of the run is not: it stays open.

    Seen in vercel/workflow#322 and #588.
    """

    rules = ("entity-state-mismatch",)
    scenarios = ("sequential", "race", "parallel", "stress")
    LAST = 1

    def stored(self, accepted: Accepted, before: Run | None) -> Accepted:
        """See `Fault.stored`."""
        if before is None or accepted.events[-1].event_type != T.RUN_COMPLETED or not self.strikes():
            return accepted
        return accepted._replace(run=accepted.run._replace(status=before.status, completed_at=None))


class DirtyRead(Fault):
    """A tick reads an event that is rolled back, and its fence names it; the store takes that for no condition.

    Seen where a fence was unknown and let pass (vercel/workflow#3145, #3479).
    """

    rules = ("unknown-fence",)
    scenarios = ("race", "sequential", "stress", "parallel")
    LAST = 1

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self._behind: dict[str, str] = {}
        self._left = 1 + draws.below(4)

    def read(self, snapshot: Snapshot) -> Snapshot:
        """See `Fault.read`."""
        if self._left <= 0 or not snapshot.events:
            return snapshot
        last = snapshot.events[-1]
        rolled_back = last._replace(
            # What was rolled back has no place in the log.
            position=0,
            event_id=next(event_ids(after_tail(last.event_id), self.draws.bits)),
            event_type=T.ATTR_SET.value,
            correlation_id=None,
            data=None,
        )
        self._behind[rolled_back.event_id] = last.event_id
        return replace(snapshot, events=(*snapshot.events, rolled_back))

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        decision = decide(state, request, now, draw)
        if not isinstance(decision, FenceConflict) or self._behind.get(request.tail or "") != tail_of(state):
            return decision
        return without_fence(state, request, now, draw) if self.strikes() else decision


class _Ahead(Client):
    """Reads a clock that is ahead."""

    async def now(self) -> int:
        """See `World.now`."""
        return await super().now() + 10_000


class TimerFiresEarly(Fault):
    """The clock of a worker is ahead, it completes a wait before its time, and the store does not look at its own.

    Seen in vercel/workflow#2177 and #2186.
    """

    rules = ("early-wait-completed",)
    scenarios = ("token-held",)
    LAST = 1

    def client(self, world: World) -> Store:
        """See `Fault.client`."""
        return _Ahead(world)

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        decision = decide(state, request, now, draw)
        waits = {key: row for key, row in state.entities.items() if row.resume_at is not None}
        if not isinstance(decision, TooEarly) or not waits or not self.strikes():
            return decision
        return _not_too_early(state, request, now, draw, waits)


def _not_too_early(
    state: RunState, request: Request, now: int, draw: Draw, waits: Mapping[Key, Entity]
) -> Decision:
    """The answer of a store that looks at no clock."""
    elapsed = {key: row._replace(resume_at=now) for key, row in waits.items()}
    decision = decide(replace(state, entities={**state.entities, **elapsed}), request, now, draw)
    if not isinstance(decision, Accepted):
        return decision
    due = {key[1]: row.resume_at for key, row in waits.items()}
    events = [
        saying(event, {**said(event), "resumeAt": iso(due[str(event.correlation_id)] or 0)})
        if event.correlation_id in due
        else event
        for event in decision.events
    ]
    rows = {
        key: row._replace(resume_at=waits[key].resume_at) if key in waits else row
        for key, row in decision.change.updated.items()
    }
    return relinked(decision, events)._replace(change=replace(decision.change, updated=rows))

"""Faults of the places in a log: slots that are empty, sealed or given twice, and ids of two schemes."""

from __future__ import annotations

from typing import ClassVar

from auditor.model.events import EventType
from auditor.model.rows import Entity
from auditor.simulate.dialects import SLOT_SPEC, noop, slot
from auditor.simulate.draws import Draws
from auditor.simulate.faults.base import Fault
from auditor.simulate.faults.exports import Altered, without
from auditor.simulate.faults.forcing import is_stale, with_entities, without_fence
from auditor.simulate.records import Record
from auditor.world.decision import Accepted, Decision, Draw, RunState, decide
from auditor.world.draft import ENDS, Request
from auditor.world.entities import Key

T = EventType


class SlotLeftEmpty(Altered):
    """A delivery claims a slot and is staged beside the log; the next writer moves past it.

    Seen in world-local (vercel/workflow#3492).
    """

    rules = ("slot-hole",)
    scenarios: ClassVar[tuple[str, ...]] = ("race", "fan-out", "stress", "cancelled")
    dialect = "slots"

    def fits(self, events: list[Record], place: int) -> bool:
        """See `Altered.fits`."""
        return super().fits(events, place) and events[place]["eventType"] == T.HOOK_RECEIVED

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        return without(records, [events[place]])


class FirstSlotEmpty(SlotLeftEmpty):
    """The write of run_created claims the first slot and dies; the run goes on without it.

    Leading holes are what a query of neighbours overlooks (Marten#4964).
    """

    scenarios = ("race", "sequential")

    def fits(self, events: list[Record], place: int) -> bool:
        """See `Altered.fits`."""
        return place == 0


class SealedSlotWritten(Altered):
    """A writer that had stalled goes on after its slot was sealed, and is not refused.

    Seen in vercel/workflow#3634.
    """

    rules = ("malformed-noop",)
    scenarios = ("race", "sequential", "fan-out", "stress")
    dialect = "sealed"

    def fits(self, events: list[Record], place: int) -> bool:
        """See `Altered.fits`."""
        return bool(events[place]["eventType"] == T.NOOP)

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        late = {**events[place], "eventType": T.ATTR_SET.value, "eventData": {"changes": {"seen": "late"}}}
        del late["correlationId"]
        return [*records, late]


class NoopMisnumbered(SealedSlotWritten):
    """A migration numbers the events of a run anew, and forgets the other id of a noop."""

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        events[place]["correlationId"] = f"noop_{place:026d}"
        return records


class NoopBelowItsSpec(Altered):
    """A world that seals is put under runs of a spec that does not know noops."""

    rules = ("malformed-noop",)
    scenarios = ("race", "sequential", "fan-out", "stress")
    dialect = "stock"

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        behind = events[place]
        seal = {**noop(behind, place), "eventId": just_before(behind["eventId"])}
        return [*records, {**seal, "specVersion": behind["specVersion"]}]


class UpgradedUnderWay(Altered):
    """A world is upgraded while a run is open: from then on its ids are slots.

    Seen in vercel/workflow#3305.
    """

    rules = ("mixed-id-scheme",)
    scenarios = ("race", "sequential", "fan-out", "stress")
    dialect = "stock"

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        for number, event in enumerate(events[place:], start=place + 1):
            event["eventId"], event["specVersion"] = slot(number), SLOT_SPEC
        return records


class SpecRaisedUnderWay(Altered):
    """Two deployments of different versions work on one run; their ids are of one scheme."""

    rules = ("mixed-id-scheme",)
    scenarios = ("race", "sequential", "fan-out", "stress")
    dialect = "stock"

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        for event in events[place:]:
            event["specVersion"] += 1
        return records


class _Bumps(Fault):
    """A store that once gives a stale write the next free place, and does not refuse it."""

    LAST = 2

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self._log: dict[str, list[Accepted]] = {}

    def matters(self, request: Request, seen: list[Accepted], missed: list[Accepted]) -> bool:
        """Whether a write that has seen and missed these appends must not be committed."""
        raise NotImplementedError

    def forced(self, state: RunState, request: Request, now: int, draw: Draw, seen: list[Accepted]) -> Decision:
        """What the store commits; `seen` are the appends that the writer knew."""
        return without_fence(state, request, now, draw)

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        log = self._log.setdefault(request.append.run_id, [])
        decision = decide(state, request, now, draw)
        if is_stale(state, request):
            known = sum(made.events[0].event_id <= str(request.tail) for made in log)
            if self.matters(request, log[:known], log[known:]):
                forced = self.forced(state, request, now, draw, log[:known])
                if isinstance(forced, Accepted) and self.strikes():
                    decision = forced
        if isinstance(decision, Accepted):
            log.append(decision)
        return decision


class AwaitedResolutionSkipped(_Bumps):
    """A write is bumped over the resolution of an entity that its writer was waiting for.

    The exception to the bump of vercel/workflow#3389, which the world does not make.
    """

    rules = ("skipped-awaited-resolution",)
    scenarios = ("race", "fan-out", "nested-races", "stress")
    dialect = "slots"
    RESOLUTIONS = frozenset({T.HOOK_RECEIVED, T.STEP_COMPLETED, T.STEP_FAILED, T.WAIT_COMPLETED})

    def matters(self, request: Request, seen: list[Accepted], missed: list[Accepted]) -> bool:
        """See `_Bumps.matters`."""
        if request.drafts[0].event_type in ENDS:
            return False
        known = {event.correlation_id for made in seen for event in made.events}
        return any(
            event.event_type in self.RESOLUTIONS and event.correlation_id in known
            for made in missed
            for event in made.events
        )


class InBandCountNotCompared(_Bumps):
    """Two deliveries of one run orchestrate it, and the world takes both on one count.

    Spec 9 has a fence against it; its conformance suite tests it.
    """

    rules = ("concurrent-in-band-writers",)
    scenarios = ("race", "fan-out", "nested-races", "stress")
    dialect = "in-band"

    def matters(self, request: Request, seen: list[Accepted], missed: list[Accepted]) -> bool:
        """See `_Bumps.matters`."""
        return any(event.tick_id is not None for made in missed for event in made.events)

    def forced(self, state: RunState, request: Request, now: int, draw: Draw, seen: list[Accepted]) -> Decision:
        """See `_Bumps.forced`. What the other orchestrator made of an entity is not looked at either."""
        entities: dict[Key, Entity | None] = dict.fromkeys(state.entities)
        for made in seen:
            entities |= {**made.change.created, **made.change.updated}
        return with_entities(state, request, now, draw, entities)


def just_before(event_id: str) -> str:
    """An id that sorts before this one, and behind all that were minted in milliseconds before it."""
    return event_id[:-16] + "0" * 16

"""Fences that are not sent, not judged, or not judged right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditor.errors import EntityConflict, FenceConflict
from auditor.model.events import EventType
from auditor.runtime.policy import FencePolicy, Fencing
from auditor.runtime.tick import Store
from auditor.simulate.clients import Client
from auditor.simulate.draws import Draws
from auditor.simulate.faults.base import Fault
from auditor.simulate.faults.forcing import is_decision, is_stale, tail_of, without_fence
from auditor.simulate.schedule import PowerCut
from auditor.world import Appended, Fence, NewEvent, World
from auditor.world.decision import Accepted, Decision, Draw, RunState, decide
from auditor.world.draft import Request

T = EventType


class _LazyTypesUnfenced:
    """Fences everything but what is resolved lazily."""

    batches = True
    LAZY = frozenset({T.WAIT_COMPLETED, T.RUN_COMPLETED, T.RUN_FAILED})

    def fence(self, event_type: EventType, known: str | None) -> Fence | None:
        """See `Fencing.fence`."""
        return None if event_type in self.LAZY else FencePolicy.FULL.fence(event_type, known)


class FenceDroppedForLazyTypes(Fault):
    """The path that resolves references lazily builds its request anew, and forgets the fence.

    Seen in vercel/workflow#2113 (review) and, for lazy step claims, in #2970. Now and then a stale one of those
    writes is committed, and the run dies of it.
    """

    rules = ("dropped-fence", "ordinal-collision", "unusual-branch", "runtime-verdict-unexplained")
    roots = 4
    scenarios = ("race", "sequential", "stress")

    def fencing(self) -> Fencing:
        """See `Fault.fencing`."""
        return _LazyTypesUnfenced()


class _NotEnforced(Fault):
    """A store that once commits what a stale writer sends."""

    LAST = 1

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        if is_stale(state, request) and is_decision(request):
            unjudged = without_fence(state, request, now, draw)
            if isinstance(unjudged, Accepted) and self.strikes():
                return unjudged
        return decide(state, request, now, draw)


class FenceNotEnforced(_NotEnforced):
    """The store keeps the fence and does not compare it: once it commits what a stale writer sends.

    Seen where a world ignored a parameter that it did not know (vercel/workflow#3305).
    """

    rules = ("stale-snapshot-write",)
    scenarios = ("race", "fan-out", "nested-races", "stress")


class UnfencedDoesNotAdvanceTail(Fault):
    """What fences are compared with is moved by fenced writes alone: a signal behind it is not seen.

    Seen as the marker of vercel/workflow#2266, which only some writes moved.
    """

    rules = ("stale-snapshot-write",)
    scenarios = ("race", "fan-out", "nested-races", "stress")
    LAST = 1

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self._marker: dict[str, str] = {}

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        run_id = request.append.run_id
        decision = decide(state, request, now, draw)
        if is_stale(state, request) and is_decision(request) and str(request.tail) >= self._marker.get(run_id, ""):
            unjudged = without_fence(state, request, now, draw)
            if isinstance(unjudged, Accepted) and self.strikes():
                decision = unjudged
        if request.tail is not None and isinstance(decision, Accepted):
            self._marker[run_id] = decision.events[-1].event_id
        return decision


class _Unrefreshed(Client):
    """Fences with the tail of what it read last, whatever it has written since."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._first: dict[str, Fence | None] = {}

    async def append(self, run_id: str, events: Sequence[NewEvent], fence: Fence | None, **more: Any) -> Appended:
        """See `World.append`."""
        tick = more["writer"].tick_id
        return await super().append(run_id, events, self._first.setdefault(tick, fence), **more)


class FenceNotRefreshed(_NotEnforced):
    """A writer keeps the fence of what it read, also behind a write of its own; the store does not compare it.

    It has to be refreshed from each append's result (vercel/workflow#2113, the rescan of elapsed waits).
    """

    rules = ("stale-snapshot-write",)
    scenarios = ("race", "stress", "sequential")

    def client(self, world: World) -> Store:
        """See `Fault.client`."""
        return _Unrefreshed(world)


class _Forgetful(Client):
    """Fences every third decision of a run with what it sent first."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._first: dict[str, Fence | None] = {}
        self._sent = 0

    async def append(self, run_id: str, events: Sequence[NewEvent], fence: Fence | None, **more: Any) -> Appended:
        """See `World.append`."""
        self._sent += 1
        first = self._first.setdefault(run_id, fence)
        return await super().append(run_id, events, first if self._sent % 3 == 0 else fence, **more)


class FenceFromAnOldCache(_NotEnforced):
    """A writer takes its fence from a cache that sometimes holds what it knew long ago.

    A worker that goes back to an older snapshot than it had (vercel/workflow#3479); the store does not compare.
    """

    rules = ("stale-snapshot-write", "fence-regressed")
    scenarios = ("race", "stress", "sequential")

    def client(self, world: World) -> Store:
        """See `Fault.client`."""
        return _Forgetful(world)


class StaleSleepInFlight(_NotEnforced):
    """A stale `wait_completed` is committed behind a signal, and the log is exported before anything follows.

    How vercel/workflow#2113 begins; at this moment only the fence shows it.
    """

    rules = ("stale-snapshot-write",)
    scenarios = ("door", "race")
    exported_after_ms = 0

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self._struck = False

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        if request.drafts[0].event_type is not T.WAIT_COMPLETED or not is_stale(state, request):
            return decide(state, request, now, draw)
        decision = super().decide(state, request, now, draw)
        self._struck = isinstance(decision, Accepted)
        return decision

    def answered(self, request: Request) -> None:
        """See `Fault.answered`."""
        if self._struck:
            raise PowerCut


class SpuriousConflict(Fault):
    """The store compares a fence with a copy of the tail that lags behind: a current writer is refused.

    Seen as the index that counted too few events (vercel/workflow#3172).
    """

    rules = ("spurious-conflict",)
    scenarios = ("sequential", "race", "parallel")

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        decision = decide(state, request, now, draw)
        if request.tail is None or state.run is None or not isinstance(decision, Accepted) or not self.strikes():
            return decision
        return FenceConflict("stale replica", expected=request.tail, actual=tail_of(state))


class GuardBeforeFence(Fault):
    """The store looks at the entity before it judges the fence: a stale writer is told "already done".

    The follow-up bug of vercel/workflow#2113: the writer takes that for the end of its work.
    """

    rules = ("guard-before-fence",)
    scenarios = ("race", "stress", "parallel", "fan-out")

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        if is_stale(state, request):
            unjudged = without_fence(state, request, now, lambda _bits: 0)
            if isinstance(unjudged, EntityConflict):
                return unjudged
        return decide(state, request, now, draw)

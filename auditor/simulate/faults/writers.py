"""Writers that do not take a refusal for what it is, and signals that are sent like decisions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from auditor.errors import EntityConflict, FenceConflict, NotFound, RunTerminal
from auditor.model.events import EventType
from auditor.runtime.tick import Store
from auditor.simulate.clients import Client
from auditor.simulate.faults.base import Fault
from auditor.world import Appended, Fence, NewEvent, Snapshot, World, Writer, tail
from auditor.world.decision import Accepted, Decision, Draw, RunState, decide
from auditor.world.draft import ENDS, Request

T = EventType


class _TakesForDone(Client):
    """Tells its tick of a fence conflict as if somebody else had done the very same thing."""

    def __init__(self, world: World, of_types: frozenset[EventType]) -> None:
        super().__init__(world)
        self._of_types = of_types

    async def append(self, run_id: str, events: Sequence[NewEvent], fence: Fence | None, **more: Any) -> Appended:
        """See `World.append`."""
        try:
            return await super().append(run_id, events, fence, **more)
        except FenceConflict as conflict:
            kind = EventType(events[0].event_type)
            if kind not in self._of_types:
                raise
            told = RunTerminal if kind in ENDS else EntityConflict
            raise told(str(conflict), reason="taken_for_done") from None


class AnyConflictTakenForDone(Fault):
    """Whatever is refused with a conflict is taken for "already completed": nobody decides again.

    Seen in vercel/workflow#3081 and in the review of #2113: the wait stays open and the run parks for ever.
    """

    rules = ("swallowed-conflict",)
    scenarios = ("attributes", "race")

    def client(self, world: World) -> Store:
        """See `Fault.client`."""
        return _TakesForDone(world, frozenset(T))


class ConflictKnownByItsText(Fault):
    """A fence conflict is told from others by the words of its message; they are changed, and it is skipped.

    Seen in the review of vercel/workflow#2113 (`/fence conflict/i`); there the completion of a wait was lost.
    """

    rules = ("swallowed-conflict", "orphaned-wait")
    scenarios = ("attributes",)

    def client(self, world: World) -> Store:
        """See `Fault.client`."""
        return _TakesForDone(world, frozenset({T.WAIT_COMPLETED, T.RUN_COMPLETED}))


class _Resends(Client):
    """Sends what was refused again, under the tail that the refusal names, where `strikes` says so."""

    TIMES = 5

    def __init__(self, world: World, strikes: Callable[[], bool]) -> None:
        super().__init__(world)
        self._strikes = strikes

    async def append(self, run_id: str, events: Sequence[NewEvent], fence: Fence | None, **more: Any) -> Appended:
        """See `World.append`."""
        request_id = self.world.new_request_id()  # type: ignore[attr-defined]
        struck = False
        for _ in range(self.TIMES):
            try:
                return await super().append(run_id, events, fence, request_id=request_id, **more)
            except FenceConflict as conflict:
                struck = struck or self._strikes()
                if not struck:
                    raise
                fence = tail(conflict.actual)
        return await super().append(run_id, events, fence, request_id=request_id, **more)


class RetryResendsStaleDecision(Fault):
    """A retry sends the decision that was refused, under a fence that is new: what it missed is still not in it.

    Seen in revision A of vercel/workflow#2113; #3145 restarts the replay for this reason.
    """

    rules = ("stale-retry",)
    scenarios = ("race", "stress", "nested-races", "fan-out")

    def client(self, world: World) -> Store:
        """See `Fault.client`."""
        return _Resends(world, self.strikes)


class _Hammers(Client):
    """Sends what was refused again and again, as it was."""

    TIMES = 500

    async def append(self, run_id: str, events: Sequence[NewEvent], fence: Fence | None, **more: Any) -> Appended:
        """See `World.append`."""
        for _ in range(self.TIMES):
            try:
                return await super().append(run_id, events, fence, **more)
            except FenceConflict:
                continue
        return await super().append(run_id, events, fence, **more)


class RetriesWithoutReading(Fault):
    """A retry neither reads the log nor waits: it sends the very fence that was refused.

    Seen as the storm of redeliveries that vercel/workflow#2113 and #3305 report.
    """

    rules = ("conflict-storm",)
    scenarios = ("stress", "race", "fan-out")

    def client(self, world: World) -> Store:
        """See `Fault.client`."""
        return _Hammers(world)


class _LaggingReads(Client):
    """Reads from a copy that does not move while a tick lasts, and hears nothing of what it missed."""

    async def append(self, run_id: str, events: Sequence[NewEvent], fence: Fence | None, **more: Any) -> Appended:
        """See `World.append`."""
        try:
            return await super().append(run_id, events, fence, **more)
        except FenceConflict as conflict:
            conflict.missing = ()
            raise

    async def events(self, run_id: str, after: int = 0, limit: int | None = None) -> Snapshot:
        """See `World.events`."""
        # A tick begins with all that there is; what it asks for later, it does not get.
        return await self.world.events(run_id, after, 0 if after else limit)


class GivesUpForGood(Fault):
    """A tick that was refused too often throws its message away; while it lasts it reads from a lagging copy.

    Seen in vercel/workflow#2113: exhaustion threw, and the invocation was acknowledged.
    """

    rules = ("retries-exhausted", "swallowed-conflict")
    scenarios = ("attributes", "timers", "joined", "fan-out")
    hands_back = False

    def client(self, world: World) -> Store:
        """See `Fault.client`."""
        return _LaggingReads(world)


class SignalFenced(Fault):
    """A signal carries the fence of what its sender read first: on contention it is refused, and lost.

    An early revision of vercel/workflow#2113 did so; #2132 took it back for this reason.
    """

    rules = ("lost-signal", "fenced-signal")
    scenarios = ("race", "stress", "fan-out", "nested-races")

    async def resume(self, world: World, token: str, payload: Any, resume_id: str) -> Appended:
        """See `Fault.resume`."""
        hook = await world.hook_by_token(token)
        if hook is None:
            raise NotFound("no open hook holds this token", reason="no_such_hook")
        known = (await world.events(hook.run_id)).tail
        event = NewEvent(
            T.HOOK_RECEIVED, hook.correlation_id, {"token": token, "payload": payload}, resume_id=resume_id
        )
        return await world.append(hook.run_id, [event], tail(known), writer=Writer("somebody", site="resume"))


class TornBatch(Fault):
    """The store commits the first events of a batch, and refuses the rest for a fence that has moved meanwhile.

    A suspension that is committed in several phases (vercel/workflow#3145, review).
    """

    rules = ("torn-suspension",)
    scenarios = ("fan-out", "parallel", "race", "stress")

    def __init__(self, draws: Any) -> None:
        super().__init__(draws)
        self._torn: tuple[str, str] | None = None

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        decision = decide(state, request, now, draw)
        if not (isinstance(decision, Accepted) and len(request.drafts) > 1 and request.append.writer.tick_id):
            return decision
        if not self.strikes():
            return decision
        torn = decide(state, request._replace(drafts=request.drafts[:1]), now, draw)
        assert isinstance(torn, Accepted)  # noqa: S101 - the whole batch would be
        self._torn = (request.append.request_id, torn.events[-1].event_id)
        return torn

    def answered(self, request: Request) -> None:
        """See `Fault.answered`."""
        if self._torn is not None and self._torn[0] == request.append.request_id:
            actual, self._torn = self._torn[1], None
            raise FenceConflict("the batch was torn", expected=str(request.tail), actual=actual)

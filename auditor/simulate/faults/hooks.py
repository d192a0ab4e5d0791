"""Hooks that conflict for no reason, tokens that go to two, and deliveries that go astray."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from auditor.errors import NotFound, StoreUnavailable
from auditor.model.events import EventType
from auditor.model.rows import Entity, Run
from auditor.runtime.client import resume_hook
from auditor.simulate.draws import Draws
from auditor.simulate.faults.base import Fault
from auditor.simulate.faults.forcing import with_entities
from auditor.simulate.faults.storing import said, saying, with_more
from auditor.simulate.schedule import Turn
from auditor.world import Appended, NewEvent, World, Writer, unfenced
from auditor.world.decision import OPEN, Accepted, Decision, Draw, Repeated, RunState, decide
from auditor.world.draft import Request
from auditor.world.entities import Holder

T = EventType
_FROM_OUTSIDE = unfenced("somebody outside")


class HookConflictsWithItself(Fault):
    """Two ticks create one hook; for the second the store sees that the token is taken, and not by whom.

    Mechanism F of the corpora; seen in vercel/workflow#2283 and #2295.
    """

    rules = ("self-hook-conflict",)
    scenarios = ("race", "fan-out", "stress", "cancelled")
    dialect = "stock"
    core_version = "4.8.9"
    LAST = 1

    def stored(self, accepted: Accepted, before: Run | None) -> Accepted:
        """See `Fault.stored`."""
        for event in accepted.events:
            if event.event_type == T.HOOK_CREATED and self.strikes():
                conflict = event._replace(event_type=T.HOOK_CONFLICT.value)
                data = {"token": said(event)["token"], "conflictingRunId": event.run_id}
                return with_more(accepted, [saying(conflict, data)], self.draws.bits)
        return accepted


class StaleTokenIndex(Fault):
    """The index of tokens still names a hook of the run that was disposed, and the next hook is refused its token.

    Seen in vercel/workflow#2777 and #2778.
    """

    rules = ("conflict-against-disposed-hook",)
    scenarios = ("token-handover",)

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self._disposed: dict[str, str] = {}

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        run_id = request.append.run_id
        decision = decide(state, request, now, draw)
        if not isinstance(decision, Accepted):
            return decision
        tokens = [str(draft.data["token"]) for draft in request.drafts if draft.event_type is T.HOOK_CREATED]
        if tokens and run_id in self._disposed and tokens[0] not in state.holders and self.strikes():
            stale = Holder(run_id, self._disposed[run_id])
            return decide(replace(state, holders={tokens[0]: stale}), request, now, draw)
        for event in decision.events:
            if event.event_type == T.HOOK_DISPOSED:
                self._disposed[run_id] = str(event.correlation_id)
        return decision


class TokenGrantedTwice(Fault):
    """The check of a token and the creation of its hook are two steps: two runs pass the check together.

    Seen in vercel/workflow#2012.
    """

    rules = ("token-granted-twice",)
    scenarios = ("token-held",)
    LAST = 1

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        decision = decide(state, request, now, draw)
        conflicts = isinstance(decision, Accepted) and any(
            event.event_type == T.HOOK_CONFLICT for event in decision.events
        )
        if conflicts and self.strikes():
            return decide(replace(state, holders={}), request, now, draw)
        return decision


class DeliveredAfterDisposal(Fault):
    """A resume finds the hook open, the hook is disposed, and the store takes the delivery without another look.

    Seen in vercel/workflow#2781, #3297 and #3406.
    """

    rules = ("delivery-after-disposal",)
    scenarios = ("token-handover",)
    LAST = 1

    async def resume(self, world: World, token: str, payload: Any, resume_id: str) -> Appended:
        """See `Fault.resume`."""
        hook = await world.hook_by_token(token)
        if hook is None:
            raise NotFound("no open hook holds this token", reason="no_such_hook")
        await Turn(6)
        return await _delivered(world, hook.run_id, hook, payload, resume_id)

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        decision = decide(state, request, now, draw)
        if not isinstance(decision, NotFound) or decision.reason != "disposed" or not self.strikes():
            return decision
        opened = {key: row._replace(status="open") for key, row in state.entities.items()}
        return with_entities(state, request, now, draw, opened)


class DeliveredToAnotherRun(Fault):
    """A delivery reaches the log of another run, which never created such a hook, and the store does not look.

    Seen in vercel/workflow#2073 as events of one run in the history of another.
    """

    rules = ("cross-run-event", "orphan-hook-event")
    scenarios = ("many-runs",)

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self._other: Entity | None = None

    async def resume(self, world: World, token: str, payload: Any, resume_id: str) -> Appended:
        """See `Fault.resume`."""
        hook = await world.hook_by_token(token)
        other, self._other = self._other, hook or self._other
        if hook is None or other is None or other.run_id == hook.run_id or not self.strikes():
            return await resume_hook(world, token, payload, resume_id=resume_id)
        return await _delivered(world, hook.run_id, other, payload, resume_id)

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        decision = decide(state, request, now, draw)
        if not isinstance(decision, NotFound) or state.run is None or self._other is None:
            return decision
        if decision.reason != "no_such_hook":
            return decision
        believed = {
            ("hook", draft.correlation_id or ""): self._other._replace(status="open") for draft in request.drafts
        }
        return with_entities(state, request, now, draw, believed)


class ResumedTwice(Fault):
    """The acknowledgement of a delivery is lost, it is repeated, and the store does not remember resume ids.

    Seen in vercel/workflow#1834, #3230 and #3841.
    """

    rules = ("duplicate-resume",)
    scenarios = ("race", "stress", "fan-out", "cancelled")
    LAST = 1

    def answered(self, request: Request) -> None:
        """See `Fault.answered`."""
        if request.resume_id is not None and self.strikes():
            raise StoreUnavailable("the connection was closed")

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        decision = decide(state, request, now, draw)
        is_open = state.run is not None and state.run.status in OPEN
        if isinstance(decision, Repeated) and state.resumed is not None and is_open:
            return decide(replace(state, resumed=None), request, now, draw)
        return decision


async def _delivered(world: World, run_id: str, hook: Entity, payload: Any, resume_id: str) -> Appended:
    """Append a delivery to a run, without another look at the hook."""
    event = NewEvent(
        T.HOOK_RECEIVED, hook.correlation_id, {"token": hook.token, "payload": payload}, resume_id=resume_id
    )
    return await world.append(run_id, [event], _FROM_OUTSIDE, writer=Writer("somebody", site="resume"))

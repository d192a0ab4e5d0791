"""Steps, waits, attributes and ends of runs that are written twice, or when it is too late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from auditor.errors import RunTerminal
from auditor.model.events import EventType
from auditor.model.rows import Event, Run
from auditor.runtime.policy import FencePolicy
from auditor.runtime.steps import Executor
from auditor.runtime.tick import Store
from auditor.simulate.clients import Client
from auditor.simulate.draws import Draws
from auditor.simulate.faults.base import Crash, Fault
from auditor.simulate.faults.storing import lost, said, saying, with_more, without
from auditor.simulate.schedule import Turn
from auditor.world import Appended, Fence, Message, NewEvent, World
from auditor.world.decision import Accepted, Decision, Draw, RunState, decide
from auditor.world.draft import Request, iso, milliseconds_of

T = EventType
CREATIONS = frozenset({T.STEP_CREATED, T.WAIT_CREATED, T.HOOK_CREATED})
OUTCOMES = frozenset({T.STEP_COMPLETED, T.STEP_FAILED})


class _Redelivered(Fault):
    """The network delivers a request once more, and the store has no guard: it keeps what it is sent.

    What is stored twice is `again`; the second stands behind an event of the types `behind` of the same entity.
    """

    dialect = "stock"
    core_version = "4.8.9"
    again: ClassVar[EventType]
    behind: ClassVar[frozenset[EventType]]

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self._sent: dict[tuple[str, str | None], Event] = {}

    def stored(self, accepted: Accepted, before: Run | None) -> Accepted:
        """See `Fault.stored`."""
        for event in accepted.events:
            key = event.run_id, event.correlation_id
            if event.event_type == self.again:
                self._sent.setdefault(key, event)
            if event.event_type in self.behind and key in self._sent and self.strikes():
                return with_more(accepted, [self.second(self._sent[key])], self.draws.bits)
        return accepted

    def second(self, first: Event) -> Event:
        """What the request says when it comes again."""
        return first


class StepCreatedTwice(_Redelivered):
    """Two creations of one step are stored.

    Seen on world-local 4.x and on Postgres 4.2.4, which have no unique index on creations, in healthy runs.
    """

    rules = ("duplicate-step-created",)
    scenarios = ("sequential", "parallel", "fan-out", "stress")
    again = T.STEP_CREATED
    behind = frozenset({T.STEP_CREATED})


class StepCreatedAfterOutcome(_Redelivered):
    """The creation of a step is stored once more when its outcome is in the log: mechanism D of the corpora."""

    rules = ("late-creation",)
    scenarios = ("sequential", "parallel", "fan-out", "retries")
    again = T.STEP_CREATED
    behind = OUTCOMES


class WaitCreatedTwice(_Redelivered):
    """Two ticks create one wait, each by its own clock: mechanism B of the corpora."""

    rules = ("duplicate-wait-created",)
    scenarios = ("race", "sequential", "parallel", "nested-races")
    again = T.WAIT_CREATED
    behind = frozenset({T.WAIT_CREATED})

    def second(self, first: Event) -> Event:
        """See `_Redelivered.second`."""
        data = said(first)
        due = milliseconds_of(data["resumeAt"], "resumeAt", needed=True) or 0
        return saying(first, {**data, "resumeAt": iso(due + self.draws.between(1, 90))})


class WaitCompletedTwice(_Redelivered):
    """Two ticks find one wait elapsed, and both complete it. Seen in vercel/workflow#1055 and #1057."""

    rules = ("duplicate-wait-completed",)
    scenarios = ("sequential", "parallel", "race", "stress")
    again = T.WAIT_COMPLETED
    behind = frozenset({T.WAIT_COMPLETED})


class StepStartedAfterOutcome(_Redelivered):
    """A second process that holds a step starts it when it is over: mechanism C of the corpora."""

    rules = ("step-restarted-after-outcome",)
    scenarios = ("sequential", "parallel", "stress", "retries")
    again = T.STEP_STARTED
    behind = OUTCOMES


class StepHasTwoOutcomes(_Redelivered):
    """Two workers ran a step, and the store keeps what each of them came to. Seen in vercel/workflow#3381."""

    rules = ("conflicting-step-outcomes",)
    scenarios = ("sequential", "parallel", "fan-out", "stress")
    again = T.STEP_COMPLETED
    behind = frozenset({T.STEP_COMPLETED})

    def second(self, first: Event) -> Event:
        """See `_Redelivered.second`."""
        data = said(first)
        if self.draws.one_in(2):
            return saying(first, {**data, "result": "something else"})
        error = {"name": "Error", "message": "done already"}
        return saying(
            first._replace(event_type=T.STEP_FAILED.value), {"stepName": data["stepName"], "error": error}
        )


class _NamesItsMessage(Executor):
    """Says in the start of a step for which message it runs it, as the SDK does from spec 7 on."""

    async def _send(
        self, run_id: str, correlation_id: str, kind: EventType, data: Mapping[str, Any], key: str
    ) -> Appended:
        if kind is T.STEP_STARTED:
            data = {**data, "ownerMessageId": key.removeprefix("start ")}
        return await super()._send(run_id, correlation_id, kind, data, key)


class StepStartedForTwoMessages(_Redelivered):
    """A step in flight is dispatched again, and a second worker starts it beside the first.

    Seen in vercel/workflow#2780 and #2848.
    """

    rules = ("overlapping-step-starts",)
    scenarios = ("sequential", "parallel", "stress", "fan-out")
    executor = _NamesItsMessage
    again = T.STEP_STARTED
    behind = frozenset({T.STEP_STARTED})

    def second(self, first: Event) -> Event:
        """See `_Redelivered.second`."""
        return saying(first, {**said(first), "ownerMessageId": f"msg_{self.draws.bits(48):012x}"})


class AttributeSetTwice(_Redelivered):
    """An attribute is set, the acknowledgement is lost, and it is set again. Seen in vercel/workflow#3849."""

    rules = ("duplicate-attribute",)
    scenarios = ("attributes",)
    again = T.ATTR_SET
    behind = frozenset({T.ATTR_SET})
    LAST = 1


class AttemptCountedTwice(Fault):
    """The row of a step counts an attempt, and its worker dies before the event; the next one counts again.

    Seen in vercel/workflow#3035 and #3069.
    """

    rules = ("attempt-mismatch",)
    scenarios = ("sequential", "retries", "parallel", "stress")
    dialect = "stock"

    def stored(self, accepted: Accepted, before: Run | None) -> Accepted:
        """See `Fault.stored`."""
        if accepted.events[0].event_type != T.STEP_STARTED or not self.strikes():
            return accepted
        counted = {
            key: row._replace(attempt=(row.attempt or 0) + 1) for key, row in accepted.change.updated.items()
        }
        return accepted._replace(change=replace(accepted.change, updated=counted))


class StepStartedTwiceNeverEnds(Fault):
    """The worker of a step dies, the next one starts it again, and the commit of its outcome is lost.

    The shape of vercel/workflow#4199: in 48 of 48 corrupted runs of one customer, and in none that completed.
    """

    rules = ("hung-step", "multi-start-no-outcome")
    scenarios = ("sequential", "parallel", "stress", "fan-out")
    dialect = "stock"

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self._step: str | None = None

    def answered(self, request: Request) -> None:
        """See `Fault.answered`."""
        draft = request.drafts[0]
        if draft.event_type is T.STEP_STARTED and self.strikes():
            self._step = draft.correlation_id
            raise Crash

    def stored(self, accepted: Accepted, before: Run | None) -> Accepted:
        """See `Fault.stored`."""
        first = accepted.events[0]
        if before is None or first.event_type not in OUTCOMES or first.correlation_id != self._step:
            return accepted
        return lost(accepted, before)


class IdBoundToTwoSteps(_Redelivered):
    """Two ticks with different snapshots bind one id to two steps, and the store keeps both.

    Seen in vercel/workflow#2132, #3139 and #4089.
    """

    rules = ("step-name-conflict",)
    scenarios = ("sequential", "fan-out", "race", "stress")
    again = T.STEP_CREATED
    behind = frozenset({T.STEP_CREATED})

    def second(self, first: Event) -> Event:
        """See `_Redelivered.second`."""
        return saying(first, {**said(first), "stepName": "step//./simulate//charge"})


class RunEndsInTwoWays(_Redelivered):
    """A store that does not look at the status of a run takes a cancellation when the run is over.

    Seen in vercel/workflow#2073.
    """

    rules = ("conflicting-terminals",)
    scenarios = ("sequential", "race", "parallel", "fan-out")
    again = T.RUN_COMPLETED
    behind = frozenset({T.RUN_COMPLETED})
    LAST = 1

    def second(self, first: Event) -> Event:
        """See `_Redelivered.second`."""
        return first._replace(
            event_type=T.RUN_CANCELLED.value, data=None, data_sha256=None, fence=None, tick_id=None, site="cancel"
        )


class _Slow(Client):
    """Has read what it decides on a while before it writes."""

    async def append(self, run_id: str, events: Sequence[NewEvent], fence: Fence | None, **more: Any) -> Appended:
        """See `World.append`."""
        await Turn(6)
        return await super().append(run_id, events, fence, **more)


class CreatedAfterEnd(Fault):
    """A store that does not look at the status of a run takes what a tick decides on when the run is over.

    Seen in vercel/workflow#2073: a cancellation comes between the replay and its writes. No write is fenced.
    """

    rules = ("event-after-terminal",)
    scenarios = ("cancelled",)
    policy = FencePolicy.OFF
    dialect = "stock"
    LAST = 1

    def client(self, world: World) -> Store:
        """See `Fault.client`."""
        return _Slow(world)

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        decision = decide(state, request, now, draw)
        run = state.run
        if run is None or request.drafts[0].event_type not in CREATIONS or not isinstance(decision, RunTerminal):
            return decision
        forced = decide(replace(state, run=run._replace(status="running")), request, now, draw)
        if not isinstance(forced, Accepted) or not self.strikes():
            return decision
        return forced._replace(run=forced.run._replace(status=run.status, completed_at=run.completed_at))


class NoFences(Fault):
    """No write says what its writer had read: vercel/workflow#2113, mechanisms A and B of the corpora."""

    rules = ("ordinal-collision", "unusual-branch", "runtime-verdict-unexplained")
    roots = 2
    scenarios = ("race",)
    policy = FencePolicy.OFF
    dialect = "stock"
    core_version = "4.8.9"


class CreationHeldUp(Fault):
    """The creations of a suspension are written side by side, and the first comes last: behind an outcome.

    Seen in vercel/workflow#3418 and #3147, and in a few healthy runs of the corpora.
    """

    rules = ("ordinal-regression",)
    scenarios = ("joined",)
    dialect = "stock"
    LAST = 1

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self._held: Event | None = None
        self._messages: tuple[Message, ...] = ()

    def stored(self, accepted: Accepted, before: Run | None) -> Accepted:
        """See `Fault.stored`."""
        first = accepted.events[0]
        if first.event_type == T.STEP_CREATED and len(accepted.events) > 1 and self.strikes():
            self._held, self._messages = first, accepted.messages[:1]
            return without(accepted, first)._replace(messages=accepted.messages[1:])
        if self._held is None or first.event_type not in OUTCOMES:
            return accepted
        held, self._held = self._held, None
        last = with_more(accepted, [held], self.draws.bits)
        return last._replace(messages=accepted.messages + self._messages)

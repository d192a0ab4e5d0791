"""Messages that are lost, and workers that die."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from auditor.model.events import EventType
from auditor.model.ids import milliseconds
from auditor.runtime.registry import Step
from auditor.runtime.steps import Executor, StepResult
from auditor.simulate.faults.base import Crash, Fault
from auditor.world import Delivery, Message, MessageKind
from auditor.world.decision import Decision, Draw, RunState, decide
from auditor.world.draft import Request
from auditor.world.outbox import WAKE

T = EventType


class _Forgets(Fault):
    """An event is committed and its message is not: the process dies between the two."""

    LAST = 12

    def forgets(self, message: Message) -> bool:
        """Whether this is a message of the kind that it forgets."""
        raise NotImplementedError

    def sent(self, message: Message, leased: bool) -> bool:
        """See `Fault.sent`."""
        return not (self.forgets(message) and self.strikes())


class WakeNotSent(_Forgets):
    """A crash between append and enqueue: an outcome is in the log, and nobody is told.

    Seen in vercel/workflow#451 and #3317 as runs that stand still.
    """

    rules = ("stalled-run",)
    scenarios = ("joined", "sequential", "retries")
    LAST = 6

    def forgets(self, message: Message) -> bool:
        """See `_Forgets.forgets`."""
        return message.kind is MessageKind.RUN and message.key == WAKE


class TimerNotSent(_Forgets):
    """A crash between append and enqueue: a wait is in the log, and nobody will come when it is over.

    Seen in vercel/workflow#510 and #634.
    """

    rules = ("orphaned-wait",)
    scenarios = ("sequential", "race", "stress", "parallel")
    LAST = 4

    def forgets(self, message: Message) -> bool:
        """See `_Forgets.forgets`."""
        return message.key.startswith("wait:")


class DispatchNotSent(_Forgets):
    """A crash between append and enqueue, or a key that is remembered for a day: a step is never started.

    Seen in vercel/workflow#3465 and #3748.
    """

    rules = ("undispatched-step",)
    scenarios = ("sequential", "parallel", "fan-out", "stress")
    LAST = 4

    def forgets(self, message: Message) -> bool:
        """See `_Forgets.forgets`."""
        return message.kind is MessageKind.STEP


class DedupedAgainstLeased(Fault):
    """A message is dropped because one of its key is being worked on, by a tick that has read the log already.

    Seen in vercel/workflow#3465: idempotency keys that outlive the delivery.
    """

    rules = ("stalled-run",)
    scenarios = ("joined",)

    def sent(self, message: Message, leased: bool) -> bool:
        """See `Fault.sent`."""
        return not (leased and message.key == WAKE)


class StepDies(Fault):
    """The message of a step is acknowledged before the step is run, and its worker dies: nobody runs it again.

    Seen in vercel/workflow#316 and #322.
    """

    rules = ("hung-step",)
    scenarios = ("sequential", "parallel", "stress", "fan-out")
    acks_first = True

    def answered(self, request: Request) -> None:
        """See `Fault.answered`."""
        if request.drafts[0].event_type is T.STEP_STARTED and self.strikes():
            raise Crash


class LongLease(Fault):
    """A worker dies in a tick, and its message is leased for as long as the longest step may take.

    Seen in vercel/workflow#3735 and #3737: about 860 s without an event.
    """

    rules = ("lease-length-gap",)
    scenarios = ("sequential", "joined", "stress")
    lease_ms = 861_000

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        run = state.run
        follows_an_outcome = run is not None and run.tail is not None and run.marker == milliseconds(run.tail)
        if request.append.writer.site in ("suspension", "terminal") and follows_an_outcome and self.strikes():
            raise Crash
        return decide(state, request, now, draw)


class _TriesForEver(Executor):
    """Forgets how often a step may be tried."""

    ATTEMPTS = 60

    async def execute(self, step: Step, delivery: Delivery, events: Any) -> StepResult:
        """See `Executor.execute`."""
        return await super().execute(replace(step, max_attempts=self.ATTEMPTS), delivery, events)


class RetriesForEver(Fault):
    """A step that fails for good is tried again and again: the log grows, and the run does not move.

    Seen in vercel/workflow#3081 as a loop of one delivery a second.
    """

    rules = ("event-growth",)
    scenarios = ("retries",)
    executor = _TriesForEver

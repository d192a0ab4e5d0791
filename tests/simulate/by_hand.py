"""One run whose every write is made by hand, as a correct core accepts it and a tick decides on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditor.model.events import EventType
from auditor.model.ids import ulid
from auditor.model.rows import Event
from auditor.runtime import FencePolicy
from auditor.runtime.decisions import decide as decide_writes
from auditor.runtime.history import History
from auditor.runtime.registry import Workflow
from auditor.runtime.replayer import Replay
from auditor.simulate.draws import Draws
from auditor.simulate.scenarios import SCENARIOS
from auditor.world import Fence, NewEvent, Writer, unfenced
from auditor.world.decision import Accepted, Decision, RunState, decide
from auditor.world.draft import Request, drafted
from auditor.world.protocol import Append

T = EventType
START = 1_790_000_000_000
RUN = f"wrun_{ulid(START << 80)}"
TOKEN = "door"  # noqa: S105 - opens nothing
OUTSIDE = unfenced("somebody outside")


class ByHand:
    """A run of a workflow, which is the race of one hook and one sleep unless something else is asked for."""

    def __init__(self, workflow: Workflow = SCENARIOS["door"].workflow, size: int = 1) -> None:
        self.workflow = workflow
        self.state = RunState(None)
        self.log: list[Event] = []
        self.now = START
        self.draw = Draws("by hand").bits
        self._requests = 0
        taken = {"args": [TOKEN, size], "kwargs": {}}
        self.write(NewEvent(T.RUN_CREATED, data={"workflowName": workflow.name, "input": taken}))

    @property
    def tail(self) -> str:
        """The id of the last event."""
        return self.log[-1].event_id

    def request(self, *events: NewEvent, fence: Fence | None = None, tick: str | None = None) -> Request:
        """A request of its own to append these events."""
        self._requests += 1
        writer = Writer("somebody", tick_id=tick, site="by hand")
        return drafted(Append(RUN, events, fence, writer, None, (), None, f"req_{self._requests}"))

    def answer(self, request: Request) -> Decision:
        """What a correct store answers now."""
        return decide(self.state, request, self.now, self.draw)

    def accepted(self, *events: NewEvent, fence: Fence | None = None, tick: str | None = None) -> Accepted:
        """What a correct store accepts, not written yet."""
        answer = self.answer(self.request(*events, fence=fence, tick=tick))
        assert isinstance(answer, Accepted), answer
        return answer

    def write(self, *events: NewEvent, fence: Fence | None = None, tick: str | None = None) -> tuple[Event, ...]:
        """Write these events; they are correct."""
        done = self.accepted(*events, fence=fence, tick=tick)
        self.state = RunState(done.run, {**self.state.entities, **done.change.created, **done.change.updated})
        self.log += done.events
        return done.events

    def tick(
        self, knowing: Sequence[Event] | None = None, policy: FencePolicy = FencePolicy.FULL
    ) -> tuple[Event, ...]:
        """Write what a tick that knows these events, by default all of them, decides on."""
        history = History()
        history.merge(self.log if knowing is None else knowing)
        with Replay(self.workflow, RUN) as replay:
            decision = decide_writes(history, replay, self.now)
        assert decision is not None, "nothing is left to write"
        kind = T(decision.events[0].event_type)
        return self.write(*decision.events, fence=policy.fence(kind, history.tail), tick="tick")

    def suspended(self) -> ByHand:
        """This run, when it waits for its hook and its sleep, which is over."""
        self.tick()
        self.tick()
        self.now += 8
        return self

    def knock(self, fence: Fence | None = OUTSIDE) -> Event:
        """A signal to the hook."""
        (hook,) = (event.correlation_id for event in self.log if event.event_type == T.HOOK_CREATED)
        data = {"token": TOKEN, "payload": "knock"}
        event = NewEvent(T.HOOK_RECEIVED, hook, data, resume_id=f"resume {len(self.log)}")
        return self.write(event, fence=fence)[0]

    def of_step(self, *kinds: EventType, **data: Any) -> None:
        """What becomes of the last step that was created."""
        step = [event.correlation_id for event in self.log if event.event_type == T.STEP_CREATED][-1]
        for kind in kinds:
            self.write(NewEvent(kind, step, data or None), fence=OUTSIDE)

"""One run in a memory world whose time, ticks and steps are in the hands of a test; no event loop anywhere."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from auditor.errors import AuditorError, TooEarly
from auditor.model.events import EventType
from auditor.model.ids import ulid
from auditor.model.rows import Event, Refusal
from auditor.runtime import FencePolicy, resume_hook, start
from auditor.runtime.registry import step_named, workflow_of
from auditor.runtime.replayer import ENDS, Replay
from auditor.runtime.steps import Executor, StepResult, step_name
from auditor.runtime.tick import Ticked, Ticker
from auditor.world import Appended, Delivery, Fence, MessageKind, NewEvent, Snapshot, Writer, unfenced
from auditor.world.memory import MemoryWorld

T = EventType
R = TypeVar("R")
START = 1_790_000_000_000
MAX_SENT = 5_000
SOMEBODY = Writer("somebody", site="meddling")
UNFENCED = unfenced("somebody else")
TOKEN = "door"  # noqa: S105 - opens nothing


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.ms = START

    def __call__(self) -> int:
        return self.ms


def done(coroutine: Coroutine[Any, Any, R]) -> R:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits for something")


def run_id(number: int = 1) -> str:
    return f"wrun_{ulid((START << 80) + number)}"


def data_of(event: Event) -> Any:
    return None if event.data is None else json.loads(event.data)


def fence_of(row: Event | Refusal) -> Any:
    return None if row.fence is None else json.loads(row.fence)


Meddling = Callable[[Sequence[NewEvent]], Awaitable[object] | object]
"""What happens besides a write, given its events."""


class Meddled:
    """A world in which something happens just before, or just after, a write reaches it.

    `before(n, act)`: before the n-th append from here on, from 0. `after` likewise: the write is in the log, and
    its answer is what the act raises. `hidden`: positions that no read shows.
    """

    def __init__(self, world: MemoryWorld) -> None:
        self.world = world
        self.sent: list[tuple[str | None, list[str], Fence | None]] = []
        self.hidden: set[int] = set()
        self.ahead = 0
        self._before: dict[int, Meddling] = {}
        self._after: dict[int, Meddling] = {}

    def before(self, nth: int, act: Meddling) -> None:
        self._before[len(self.sent) + nth] = act

    def after(self, nth: int, act: Meddling) -> None:
        self._after[len(self.sent) + nth] = act

    async def append(
        self, run_id: str, events: Sequence[NewEvent], fence: Fence | None, *, writer: Writer, **more: Any
    ) -> Appended:
        number = len(self.sent)
        assert number < MAX_SENT, "it asks for ever"
        self.sent.append((writer.site, [event.event_type.value for event in events], fence))
        await _meddle(self._before.get(number), events)
        appended = await self.world.append(run_id, events, fence, writer=writer, **more)
        await _meddle(self._after.get(number), events)
        return appended

    async def events(self, run_id: str, after: int = 0, limit: int | None = None) -> Snapshot:
        snapshot = await self.world.events(run_id, after, limit)
        shown = tuple(event for event in snapshot.events if event.position not in self.hidden)
        return Snapshot(snapshot.run, after, shown, snapshot.complete)

    async def now(self) -> int:
        return await self.world.now() + self.ahead

    def __getattr__(self, name: str) -> Any:
        return getattr(self.world, name)


async def _meddle(act: Meddling | None, events: Sequence[NewEvent]) -> None:
    if act is not None and isinstance(happened := act(events), Awaitable):
        await happened


class Life:
    """One run, from its start to its end."""

    def __init__(self, flow: Callable[..., Any], *args: Any, policy: FencePolicy = FencePolicy.FULL) -> None:
        self.clock = Clock()
        self.world = MemoryWorld(clock=self.clock)
        self.meddled = Meddled(self.world)
        self.workflow = workflow_of(flow)
        self.run_id = done(start(self.world, flow, *args, run_id=run_id()))
        self.pauses: list[float] = []
        self.ticker = Ticker(self.meddled, self._pause, "ticker", policy)  # type: ignore[arg-type]
        self.executor = Executor(self.meddled, self._pause, "executor")  # type: ignore[arg-type]

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def tick(self, divergences: int = 0) -> Ticked:
        """One tick on the log as it can be read now."""
        events = done(self.meddled.events(self.run_id)).events
        return done(self.ticker.tick(self.workflow, self.run_id, events, divergences))

    async def somebody_ticks(self) -> None:
        """Another worker, whom nobody meddles with, ticks the run."""

        async def pause(_seconds: float) -> None: ...

        events = (await self.world.events(self.run_id)).events
        await Ticker(self.world, pause, "somebody").tick(self.workflow, self.run_id, events)

    async def somebody(self, *events: NewEvent) -> None:
        """Somebody appends without a fence."""
        await self.world.append(self.run_id, events, UNFENCED, writer=SOMEBODY)

    async def signal(self, payload: Any = "signal", token: str = TOKEN) -> Event:
        return await resume_hook(self.world, token, payload)

    async def noise(self) -> None:
        """An event that any open run takes and that means nothing to a workflow."""
        await self.somebody(NewEvent(T.ATTR_SET, data={"changes": {}}))

    def later(self, ms: int) -> None:
        self.clock.ms += ms

    def deliveries(self) -> list[Delivery]:
        """The messages of steps that are due."""
        return done(self.world.queue.receive([MessageKind.STEP], limit=100))

    def execute(self, delivery: Delivery) -> StepResult:
        events = done(self.world.events(self.run_id)).events
        step = step_named(step_name(events, str(delivery.correlation_id)))
        assert step is not None
        return done(self.executor.execute(step, delivery, events))

    def steps(self) -> list[StepResult]:
        """Execute every step that is due."""
        results = []
        for delivery in self.deliveries():
            results.append(self.execute(delivery))
            done(self.world.queue.ack(delivery))
        return results

    def play(self, until: int | None = None) -> list[Event]:
        """Tick and execute, let time pass, until the run has ended; what fails is done again, as a queue would.

        `until`: or until the log has so many events.
        """
        for _ in range(100):
            for delivery in done(self.world.queue.receive([MessageKind.RUN], limit=100)):
                done(self.world.queue.ack(delivery))  # it is ticked anyway
            for delivery in self.deliveries():
                try:
                    self.execute(delivery)
                except TooEarly as early:
                    done(self.world.queue.nack(delivery, early.retry_at - self.clock.ms))
                except AuditorError:
                    done(self.world.queue.nack(delivery, 1))
                else:
                    done(self.world.queue.ack(delivery))
            try:
                self.tick()
            except AuditorError:
                self.later(1)
            if self.ended or len(self.log()) >= (until or 1_000):
                return self.log()
            if not done(self.world.queue.depth())["due"]:
                self.later(10)
        raise AssertionError(f"the run does not end: {self.types()}")

    @property
    def ended(self) -> bool:
        return self.types()[-1] in ENDS

    def log(self) -> list[Event]:
        return list(done(self.world.events(self.run_id)).events)

    def types(self) -> list[str]:
        return [str(event.event_type) for event in self.log()]

    def count(self, kind: EventType) -> int:
        return self.types().count(kind)

    def result(self) -> Any:
        """The output of the run, which has completed."""
        last = self.log()[-1]
        assert last.event_type == T.RUN_COMPLETED, last
        return data_of(last)["output"]

    def refusals(self) -> list[Refusal]:
        """The journal of what the world refused."""

        async def rows() -> list[Refusal]:
            found = [batch async for _, batch in self.world.dump(["refusal"])]
            return [Refusal._make(row[1:]) for batch in found for row in batch]

        return done(rows())

    def refused(self) -> list[tuple[str | None, str, str]]:
        """Of each refusal the site, the event and the code."""
        return [(row.site, row.event_type, row.code) for row in self.refusals()]

    def must_be_sound(self) -> None:
        """The log has one history, and the code replays it to the same end."""
        must_be_sound(self.workflow, self.log())


def must_be_sound(workflow: Any, log: Sequence[Event]) -> None:
    """Nothing is there twice, every decision was made on the log before it, and its replay gives its end."""
    once = Counter(
        (event.event_type, event.correlation_id)
        for event in log
        if event.event_type not in (T.HOOK_RECEIVED, T.STEP_STARTED, T.STEP_RETRYING, T.ATTR_SET)
    )
    assert max(once.values()) == 1, once
    for event in log:
        fence = fence_of(event)
        if fence is not None and fence["kind"] == "tail":
            assert fence["value"] == event.tail_at_commit
    must_replay(workflow, log)


def must_replay(workflow: Any, log: Sequence[Event]) -> None:
    """A replay from scratch consumes the log and comes to the terminal that it holds."""
    assert log[-1].event_type in ENDS
    with Replay(workflow, log[0].run_id) as replay:
        replay.deliver_all(log[:-1])
        outcome = replay.outcome
    if log[-1].event_type == T.RUN_CANCELLED:
        return
    assert outcome is not None
    assert json.loads(json.dumps(outcome.data)) == data_of(log[-1])

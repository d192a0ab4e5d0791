"""Tickers, executors and signallers of one run under a seeded scheduler: no event loop, and a clock of its own.

One actor goes on at a time, from one scheduling point of the world to the next, whichever the seed says.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Coroutine, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from lives import START, data_of, run_id

from auditor.errors import LeaseLost, NotFound, RunTerminal, StoreUnavailable, TooEarly
from auditor.model.events import EventType
from auditor.model.rows import Event
from auditor.runtime import Context, FencePolicy, Hook, resume_hook, start, step, workflow
from auditor.runtime.metrics import Metrics
from auditor.runtime.registry import step_named, workflow_of
from auditor.runtime.replayer import ENDS
from auditor.runtime.steps import Executor, step_name
from auditor.runtime.tick import Result, Ticked, Ticker
from auditor.world import Delivery, Message, MessageKind
from auditor.world.memory import MemoryWorld
from auditor.world.outbox import WAKE

T = EventType
MAX_TURNS = 20_000
WINDOW = 90
"""Where the numbers of what happens at the window begin."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What an actor awaits to let others pass: for so many ms, or until the seed gives it the next turn."""

    ms: float = 0

    def __await__(self) -> Generator[Turn, None, None]:
        yield self


class Scheduler:
    """Runs actors one at a time in the order of a seed; time passes as the seed says."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.ms = START

    def now(self) -> int:
        return self.ms

    async def point(self, _when: str, _what: str) -> None:
        await Turn()

    async def pause(self, seconds: float) -> None:
        await Turn(seconds * 1000)

    def play(self, actors: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Run all of them to their ends."""
        ready = list(actors)
        asleep: list[tuple[float, Coroutine[Any, Any, None]]] = []
        for _ in range(MAX_TURNS):
            if asleep:
                if not ready:
                    self.ms = max(self.ms, int(min(until for until, _ in asleep)) + 1)
                awake = [actor for until, actor in asleep if until <= self.ms]
                if awake:
                    asleep = [(until, actor) for until, actor in asleep if until > self.ms]
                    ready += awake
            if not ready:
                return
            actor = ready.pop(int(self.chance.random() * len(ready)))
            if self.chance.random() < 0.2:
                self.ms += 1
            try:
                turn = actor.send(None)
            except StopIteration:
                continue
            if turn.ms > 0:
                asleep.append((self.ms + turn.ms, actor))
            else:
                ready.append(actor)
        for actor in (*ready, *(actor for _, actor in asleep)):
            actor.close()
        raise AssertionError("it never ends")


@step
async def told(number: int, payload: Any) -> str:
    """What follows on a signal."""
    return f"{number} told {payload}"


@step
async def lapsed(number: int) -> str:
    """What follows when nobody came."""
    return f"{number} lapsed"


@workflow
async def rounds(ctx: Context, number: int) -> list[str]:
    """Every round a signal and a sleep race, and the next step depends on who wins; then sleeps side by side.

    Beside that signals at a window have steps of their own: who draws which ordinal is for the log to say.
    """
    beside = at_window(ctx, ctx.hook("window"))
    story, seen = await ctx.gather(at_door(ctx, ctx.hook("door"), number), beside)
    return [*story, *seen]


async def at_window(ctx: Context, window: Hook) -> list[str]:
    return [await ctx.step(told, WINDOW + place, await window) for place in range(2)]


async def at_door(ctx: Context, door: Hook, number: int) -> list[str]:
    story = []
    for place in range(number):
        winner = await ctx.race(door, ctx.sleep(0.004 + 0.004 * (place % 2)))
        if winner.place == 0:
            story.append(await ctx.step(told, place, winner.value))
        else:
            await ctx.sleep(0.002)
            story.append(await ctx.step(lapsed, place))
    await ctx.gather(ctx.sleep(0.003), ctx.sleep(0.001), ctx.sleep(0.003))
    return story


def implied(log: Sequence[Event], number: int) -> list[str]:
    """What `rounds` must have come to, read off the log alone: a model of that one workflow, without a replay."""
    arrived: deque[Any] = deque()
    seen = [data_of(event)["payload"] for event in log if _is_signal_at_window(event)]
    events = (event for event in log if not _is_of_window(event))
    story = []

    def until(kind: EventType, entity: str | None = None) -> Event:
        """Read on to an event; payloads that come meanwhile are kept."""
        for event in events:
            if event.event_type == kind and entity in (None, event.correlation_id):
                return event
            if event.event_type == T.HOOK_RECEIVED:
                arrived.append(data_of(event)["payload"])
        raise AssertionError(f"no {kind} of {entity}")

    ids = {kind: _ids(log, kind) for kind in ("wait", "step")}
    waits, steps = iter(ids["wait"]), iter(ids["step"])
    until(T.RUN_STARTED)
    for place in range(number):
        raced = next(waits)
        said = None
        if arrived:
            said = arrived.popleft()
        else:
            event = next(one for one in events if _ends_race(one, raced))
            if event.event_type == T.HOOK_RECEIVED:
                said = data_of(event)["payload"]
            else:
                until(T.WAIT_COMPLETED, next(waits))
                until(T.STEP_COMPLETED, next(steps))
                story.append(f"{place} lapsed")
                continue
        until(T.STEP_COMPLETED, next(steps))
        story.append(f"{place} told {said}")
    return [*story, *(f"{WINDOW + place} told {said}" for place, said in enumerate(seen))]


def _is_of_window(event: Event) -> bool:
    """Whether an event is of the branch that the door knows nothing of: its signals, the creation of its steps."""
    if event.event_type == T.STEP_CREATED:
        return bool(data_of(event)["input"]["args"][0] >= WINDOW)
    return _is_signal_at_window(event)


def _is_signal_at_window(event: Event) -> bool:
    return event.event_type == T.HOOK_RECEIVED and data_of(event)["payload"].startswith("window")


def _ends_race(event: Event, wait: str) -> bool:
    return event.event_type == T.HOOK_RECEIVED or (
        event.event_type == T.WAIT_COMPLETED and event.correlation_id == wait
    )


def _ids(log: Sequence[Event], kind: str) -> list[str]:
    """The entities of a kind in the order of their draws."""
    return sorted(
        str(event.correlation_id)
        for event in log
        if event.event_type == f"{kind}_created" and not _is_of_window(event)
    )


class Flaky(MemoryWorld):
    """A world whose answers get lost sometimes, before the write or behind it."""

    chance: random.Random
    losses = 0.0

    async def _append(self, request: Any) -> Any:
        lost = self.chance.random() if self.losses else 1.0
        if lost < self.losses / 2:
            raise StoreUnavailable("no answer")
        appended = await super()._append(request)
        if lost < self.losses:
            raise StoreUnavailable("no answer", outcome_unknown=True)
        return appended


@dataclass
class Played:
    """What came of one seed."""

    log: list[Event]
    acknowledged: list[tuple[Event, Any]] = field(default_factory=list)
    conflicts: int = 0
    divergences: int = 0
    """The most divergences in a row."""


class Scene:
    """One run, everybody who works on it, and the signals from outside."""

    def __init__(
        self, seed: int, *, policy: FencePolicy, tickers: int, signals: int, number: int, losses: float = 0.0
    ) -> None:
        self.scheduler = Scheduler(seed)
        chance = self.scheduler.chance
        self.world = Flaky(clock=self.scheduler.now, draw=chance.getrandbits, point=self.scheduler.point)
        self.world.chance, self.world.losses = chance, 0.0
        self.run_id = run_id(seed)
        self.policy = policy
        self.number = number
        self.losses = losses
        self.played = Played([])
        self.ended = False
        self._metrics = Metrics()
        self._actors = [self._ticks(name) for name in range(tickers)]
        self._actors += [self._executes(name) for name in range(2)]
        self._actors += [self._signals("door", signals), self._signals("window", 2)]

    def play(self) -> Played:
        """From the start of the run until everybody has gone home."""
        self.scheduler.play([self._starts()])
        self.world.losses = self.losses
        self.scheduler.play(self._actors)
        self.world.losses = 0.0
        self.scheduler.play([self._reads()])
        totals = self._metrics.totals()
        self.played.conflicts = sum(int(totals[key]) for key in totals if key.startswith("fence_conflicts{"))
        return self.played

    async def _starts(self) -> None:
        await start(self.world, rounds, self.number, run_id=self.run_id)

    async def _reads(self) -> None:
        self.played.log = list((await self.world.events(self.run_id)).events)

    async def _ticks(self, name: int) -> None:
        """A worker as `Worker` is one, with no lease of the run."""
        chance, queue = self.scheduler.chance, self.world.queue
        names = iter(range(1_000_000))
        ticker = Ticker(
            self.world,
            self.scheduler.pause,
            f"ticker-{name}",
            self.policy,
            metrics=self._metrics,
            new_id=lambda: f"{name}-{next(names)}",
        )
        made = workflow_of(rounds)
        while not self.ended:
            # Not only when a message says so: a tick too many must do no harm.
            deliveries = await queue.receive([MessageKind.RUN], lease_ms=200)
            if not deliveries and chance.random() < 0.8:
                await Turn(1 + int(chance.random() * 5))
                continue
            memo = deliveries[0].memo if deliveries else None
            events = (await self.world.events(self.run_id)).events
            try:
                ticked = await ticker.tick(made, self.run_id, events, int(memo or 0))
            except StoreUnavailable:
                ticked = None
            self.ended = self.ended or (await self.world.events(self.run_id)).events[-1].event_type in ENDS
            if ticked is not None:
                self.played.divergences = max(self.played.divergences, ticked.divergences)
            if deliveries and not self.ended:
                # A lease that was lost has given the message to somebody else.
                with suppress(LeaseLost):
                    await self._settle(deliveries[0], ticked)

    async def _settle(self, delivery: Delivery, ticked: Ticked | None) -> None:
        queue = self.world.queue
        if ticked is None:
            await queue.nack(delivery, 5, delivery.memo)
        elif ticked.result is Result.DIVERGED:
            await queue.nack(delivery, 5, str(ticked.divergences))
        else:
            if ticked.result is Result.CONFLICTS:
                await queue.send(Message(MessageKind.RUN, self.run_id, WAKE, await self.world.now() + 5))
            await queue.ack(delivery)

    async def _executes(self, name: int) -> None:
        chance, queue = self.scheduler.chance, self.world.queue
        executor = Executor(self.world, self.scheduler.pause, f"executor-{name}")
        while not self.ended:
            deliveries = await queue.receive([MessageKind.STEP], lease_ms=100_000)
            if not deliveries:
                await Turn(1 + int(chance.random() * 4))
                continue
            (delivery,) = deliveries
            events = (await self.world.events(self.run_id)).events
            made = step_named(step_name(events, str(delivery.correlation_id)))
            assert made is not None
            try:
                await executor.execute(made, delivery, events)
            except (StoreUnavailable, TooEarly):
                await queue.nack(delivery, 2)
            else:
                await queue.ack(delivery)

    async def _signals(self, token: str, number: int) -> None:
        """Somebody outside, who sends a signal until it is taken, or there is nobody left to take it."""
        chance = self.scheduler.chance
        for place in range(number):
            await Turn(1 + int(chance.random() * 24))
            payload = f"{token}/{place}"
            while not self.ended:
                try:
                    done = await resume_hook(self.world, token, payload, resume_id=f"resume {payload}")
                except NotFound:
                    await Turn(2)
                except StoreUnavailable:
                    await Turn(1)
                except RunTerminal:
                    return
                else:
                    self.played.acknowledged.append((done.events[0], payload))
                    break

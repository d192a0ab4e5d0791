"""What is appended: runs of steps, one event an append, with payloads of 250 bytes, as the study measured it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence

from auditor.model.events import EventType
from auditor.world import NewEvent, World, Writer, tail

RUNS = 100
PAYLOAD = "x" * 230
WRITER = Writer("bench", "tick_1", "benchmark")

_names = itertools.count()


def new_name() -> str:
    """A name that no run has yet."""
    return f"wrun_{next(_names):06}"


class Line:
    """One run that grows event by event, each append under the tail of the one before."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.run_id = new_name()
        self.tail: str | None = None
        self._events = self._story()

    async def append(self, count: int = 1) -> None:
        """The next events, in one append."""
        events = list(itertools.islice(self._events, count))
        done = await self.world.append(self.run_id, events, tail(self.tail), writer=WRITER)
        self.tail = done.tail

    def _story(self) -> Iterator[NewEvent]:
        yield NewEvent(EventType.RUN_CREATED, data={"workflowName": "order", "input": PAYLOAD})
        yield NewEvent(EventType.RUN_STARTED)
        for number in itertools.count():
            step = f"step_{number:06}"
            yield NewEvent(EventType.STEP_CREATED, step, {"stepName": "charge", "input": PAYLOAD})
            yield NewEvent(EventType.STEP_STARTED, step)
            yield NewEvent(EventType.STEP_COMPLETED, step, {"result": PAYLOAD})


async def begun(world: World, runs: int = RUNS) -> list[Line]:
    """Runs that exist."""
    lines = [Line(world) for _ in range(runs)]
    for line in lines:
        await line.append()
    return lines


async def in_turn(lines: Sequence[Line], appends: int, size: int = 1) -> float:
    """Seconds for so many appends of `size` events, one after the other, over all runs in turn."""
    started = time.perf_counter()
    for number in range(appends):
        await lines[number % len(lines)].append(size)
    return time.perf_counter() - started


async def at_once(lines: Sequence[Line], appends: int, writers: int) -> float:
    """Seconds for so many appends of one event by concurrent writers, each with runs of its own."""

    async def write(mine: Sequence[Line], count: int) -> None:
        for number in range(count):
            await mine[number % len(mine)].append()

    started = time.perf_counter()
    await asyncio.gather(*(write(lines[which::writers], appends // writers) for which in range(writers)))
    return time.perf_counter() - started

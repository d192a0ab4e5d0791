"""A workflow whose result the log alone implies, read off it without a replay; to be played by the simulator."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from lives import data_of

from auditor.model.events import EventType
from auditor.model.rows import Event
from auditor.runtime import Context, Hook, step, workflow
from auditor.runtime.registry import workflow_of
from auditor.simulate.draws import Draws
from auditor.simulate.scenarios import Outside, Scenario, Signal

T = EventType
WINDOW = 90
"""Where the numbers of what happens at the window begin."""


@step
async def told(number: int, payload: Any) -> str:
    """What follows on a signal."""
    return f"{number} told {payload}"


@step
async def lapsed(number: int) -> str:
    """What follows when nobody came."""
    return f"{number} lapsed"


@workflow
async def rounds(ctx: Context, _token: str, number: int) -> list[str]:
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


def _knocks(draws: Draws, _token: str, size: int) -> Outside:
    """Two signals at the door and two at the window, in any order."""
    left = [*("door" for _ in range(2)), *("window" for _ in range(2))]
    signals = []
    while left:
        token = left.pop(draws.below(len(left)))
        signals.append(Signal(1 + draws.below(12), token, f"{token}/{len(left)}"))
    return Outside(tuple(signals))


ROUNDS = Scenario("rounds", "races at a door, steps at a window", workflow_of(rounds), 1, _knocks, workers=4)

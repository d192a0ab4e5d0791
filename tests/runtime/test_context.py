"""What a workflow is given: ids, races, hooks, and time and chance that come out the same at every replay."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from driven import Driven, other_work, work
from lives import START, run_id
from ulid import ULID

from auditor.errors import HookConflict, StepFailed, UsageError
from auditor.model.events import EventType
from auditor.model.ids import milliseconds
from auditor.runtime import Context, Hook
from auditor.runtime.replayer import Replay

T = EventType


def test_correlation_ids_are_consecutive_draws_of_one_sequence_with_the_time_of_the_run() -> None:
    async def flow(ctx: Context) -> None:
        ctx.step(work)
        ctx.sleep(1)
        ctx.hook()
        await ctx.step(other_work)

    made = Driven(flow).replay.allocations
    assert [one.ordinal for one in made] == [0, 1, 2, 3]
    assert [one.correlation_id.partition("_")[0] for one in made] == ["step", "wait", "hook", "step"]
    bodies = [int(ULID.from_str(one.correlation_id.partition("_")[2])) for one in made]
    assert [body - bodies[0] for body in bodies] == [0, 1, 2, 3]
    assert {milliseconds(one.correlation_id) for one in made} == {milliseconds(run_id())} == {START}
    other = Driven(flow, run=run_id(2)).replay.allocations
    assert not {one.correlation_id for one in made} & {one.correlation_id for one in other}


def test_what_a_creation_says_is_what_the_workflow_said() -> None:
    async def flow(ctx: Context) -> None:
        ctx.step(work, 1, [2], three={"four": None})
        ctx.step(other_work)
        ctx.sleep(1.5)
        ctx.sleep(dt.timedelta(minutes=1))
        ctx.sleep(0)
        ctx.hook("token")
        await ctx.hook()

    made = Driven(flow).replay.allocations
    assert [one.data for one in made] == [
        {"stepName": "step//./driven//work", "input": {"args": [1, [2]], "kwargs": {"three": {"four": None}}}},
        {"stepName": "other work", "input": {"args": [], "kwargs": {}}},
        {"resumeAt": START + 1_500},
        {"resumeAt": START + 60_000},
        {"resumeAt": START},
        {"token": "token"},
        {"token": made[6].correlation_id},
    ]
    assert [one.name for one in made[:3]] == ["step//./driven//work", "other work", None]


def test_a_step_begins_when_it_is_called_and_not_when_it_is_awaited() -> None:
    async def flow(ctx: Context) -> Any:
        first, second = ctx.step(work, 1), ctx.step(work, 2)
        return [await second, await first]

    driven = Driven(flow)
    assert len(driven.replay.missing) == 2
    driven.create()
    assert driven.replay.missing == []
    driven.complete(0, "a")
    driven.complete(1, "b")
    assert driven.value == ["b", "a"]


def test_a_failed_step_raises_where_it_is_awaited() -> None:
    async def flow(ctx: Context) -> Any:
        try:
            await ctx.step(work)
        except StepFailed as error:
            return [str(error), error.name, error.step]

    driven = Driven(flow)
    driven.create()
    driven.fail(0, "not today")
    assert driven.value == ["not today", "ValueError", "step//./driven//work"]


# races


async def three_race(ctx: Context) -> Any:
    promises = [ctx.step(work, number) for number in range(3)]
    winner = await ctx.race(*promises)
    return [winner.place, winner.value, await ctx.gather(*promises)]


def test_the_first_that_is_settled_wins_and_the_losers_go_on() -> None:
    driven = Driven(three_race)
    driven.create()
    driven.complete(2, "c")
    assert driven.waits, "the losers are still registered"
    driven.complete(0, "a")
    driven.complete(1, "b")
    assert driven.value == [2, "c", ["a", "b", "c"]]


def test_of_several_that_are_settled_already_the_first_argument_wins() -> None:
    async def flow(ctx: Context) -> Any:
        one, other, last = ctx.step(work), ctx.step(work), ctx.sleep(1)
        await last
        return list(await ctx.race(other, one, last))

    driven = Driven(flow)
    driven.create()
    driven.complete(0, "earlier")
    driven.complete(1, "first argument")
    driven.complete(2)
    assert driven.value == [0, "first argument"]


def test_the_error_of_a_winner_is_raised_and_that_of_a_loser_is_not() -> None:
    async def flow(ctx: Context) -> Any:
        one, other = ctx.step(work), ctx.step(work)
        try:
            return list(await ctx.race(one, other))
        except StepFailed as error:
            return str(error)

    driven = Driven(flow)
    driven.create()
    driven.fail(1, "it won")
    assert driven.value == "it won"
    driven = Driven(flow)
    driven.create()
    driven.complete(0, "won")
    driven.fail(1)
    assert driven.value == [0, "won"]


def test_coroutines_race_and_the_loser_goes_on() -> None:
    async def twice(ctx: Context, name: str) -> str:
        await ctx.step(work, name)
        await ctx.step(work, name)
        return name

    async def flow(ctx: Context) -> Any:
        winner = await ctx.race(twice(ctx, "a"), twice(ctx, "b"))
        await ctx.sleep(1)
        return list(winner)

    driven = Driven(flow)
    driven.create()
    driven.complete(0)
    driven.complete(1)
    driven.create()
    driven.complete(3)
    driven.create()
    assert [made.kind for made in driven.replay.allocations] == ["step", "step", "step", "step", "wait"]
    driven.complete(2)
    driven.complete(4)
    assert driven.value == [1, "b"]


def test_a_hook_that_loses_keeps_its_payload_for_the_next_who_waits() -> None:
    async def flow(ctx: Context) -> Any:
        hook = ctx.hook()
        story = [(await ctx.race(hook, ctx.sleep(1))).place, (await ctx.race(ctx.sleep(1), hook)).place]
        return [*story, await hook, await hook]

    driven = Driven(flow)
    driven.create()
    driven.complete(1)
    driven.create()
    driven.complete(2)
    driven.receive(0, "first")
    assert driven.waits
    driven.receive(0, "second")
    assert driven.value == [1, 0, "first", "second"]


def test_a_hook_behind_a_winner_gives_no_payload_away() -> None:
    """Both hooks have a payload when they race: the first argument wins, and the other keeps its own."""

    async def flow(ctx: Context) -> Any:
        one, other = ctx.hook(), ctx.hook()
        await ctx.sleep(1)
        winner = await ctx.race(one, other)
        return [*winner, await other]

    driven = Driven(flow)
    driven.create()
    driven.receive(1, "for the other")
    driven.receive(0, "for the one")
    driven.complete(2)
    assert driven.value == [0, "for the one", "for the other"]


def test_one_hook_may_run_twice_in_a_race() -> None:
    """It is withdrawn as often as it ran, also when its token was taken."""

    async def flow(ctx: Context) -> Any:
        hook = ctx.hook()
        try:
            return [*(await ctx.race(hook, hook)), await hook]
        except HookConflict as error:
            return error.holder

    driven = Driven(flow)
    driven.create()
    driven.receive(0, "a")
    driven.receive(0, "b")
    assert driven.value == [0, "a", "b"]
    driven = Driven(flow)
    driven.add(T.HOOK_CONFLICT, 0, token="x", conflictingRunId="wrun_other")
    assert driven.value == "wrun_other"


# gather


def test_gather_gives_all_values_in_the_order_of_the_arguments() -> None:
    async def call(ctx: Context) -> str:
        return await ctx.step(work, "call")

    async def flow(ctx: Context) -> Any:
        hook = ctx.hook()
        return [await ctx.gather(ctx.step(work), hook, call(ctx), ctx.sleep(1)), await ctx.gather()]

    driven = Driven(flow)
    driven.create()
    # Calls begin in the order of the arguments, after what was called before them.
    assert [made.kind for made in driven.replay.allocations] == ["hook", "step", "wait", "step"]
    for ordinal in (3, 2):
        driven.complete(ordinal, "called")
    driven.receive(0, "payload")
    driven.complete(1, "done")
    assert driven.value == [["done", "payload", "called", None], []]


def test_gather_raises_the_first_error_and_the_others_go_on() -> None:
    async def flow(ctx: Context) -> Any:
        first, *others = [ctx.step(work, number) for number in range(3)]
        try:
            await ctx.gather(first, *others)
        except StepFailed as error:
            return [str(error), await first]

    driven = Driven(flow)
    driven.create()
    driven.fail(2, "the first")
    driven.fail(1, "too late")
    assert driven.waits
    driven.complete(0, "goes on")
    assert driven.value == ["the first", "goes on"]


def test_gathered_coroutines_begin_in_the_order_of_the_arguments() -> None:
    async def branch(ctx: Context, name: str) -> None:
        await ctx.step(work, name)
        await ctx.step(work, name)

    async def flow(ctx: Context) -> None:
        await ctx.gather(*(branch(ctx, name) for name in "abc"))

    driven = Driven(flow)
    assert [made.data["input"]["args"] for made in driven.replay.allocations] == [["a"], ["b"], ["c"]]
    driven.create()
    driven.complete(1)
    driven.complete(0)
    assert [made.data["input"]["args"] for made in driven.replay.missing] == [["b"], ["a"]]


# hooks


def test_payloads_that_come_while_nobody_waits_are_kept_in_order() -> None:
    async def flow(ctx: Context) -> Any:
        hook = ctx.hook()
        await ctx.sleep(1)
        return [await hook, await hook, await hook]

    driven = Driven(flow)
    driven.create()
    driven.receive(0, 1)
    driven.receive(0, 2)
    driven.complete(1)
    assert driven.waits
    driven.receive(0, 3)
    assert driven.value == [1, 2, 3]


def test_who_waited_first_is_served_first() -> None:
    async def one(hook: Hook, name: str) -> str:
        return f"{name} {await hook}"

    async def flow(ctx: Context) -> Any:
        hook = ctx.hook()
        return await ctx.gather(one(hook, "a"), one(hook, "b"))

    driven = Driven(flow)
    driven.create()
    driven.receive(0, 1)
    driven.receive(0, 2)
    assert driven.value == ["a 1", "b 2"]


async def reader(ctx: Context) -> Any:
    hook = ctx.hook()
    story = []
    async for payload in hook:
        story.append(payload)
        await ctx.step(work, payload)
        if payload == "stop":
            break
    hook.dispose()
    await ctx.sleep(1)
    return story


def test_async_for_reads_one_payload_after_another() -> None:
    driven = Driven(reader)
    driven.create()
    driven.receive(0, "a")
    driven.receive(0, "stop")
    driven.create()
    driven.complete(1)
    driven.create()
    driven.complete(2)
    driven.create()
    assert driven.replay.disposals == [driven.replay.allocations[0]]
    driven.add(T.HOOK_DISPOSED, 0)
    assert driven.replay.disposals == []
    driven.complete(3)
    assert driven.value == ["a", "stop"]


async def test_async_for_leaves_nothing_to_the_event_loop_around_the_replay() -> None:
    driven = Driven(reader)
    driven.create()
    driven.receive(0, "stop")
    driven.create()
    driven.complete(1)
    driven.replay.close()
    gc.collect()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_what_arrived_before_a_hook_was_disposed_can_still_be_read() -> None:
    async def flow(ctx: Context) -> Any:
        hook = ctx.hook()
        await ctx.sleep(1)
        hook.dispose()
        await ctx.sleep(1)
        return await hook

    driven = Driven(flow)
    driven.create()
    driven.receive(0, "early")
    driven.complete(1)
    driven.add(T.HOOK_DISPOSED, 0)
    driven.create()
    driven.complete(2)
    assert driven.value == "early"


def test_a_hook_whose_token_is_taken_raises_where_it_is_awaited() -> None:
    async def flow(ctx: Context) -> Any:
        hook = ctx.hook("door")
        await ctx.sleep(1)
        found = []
        for _ in range(2):
            try:
                await hook
            except HookConflict as error:
                found.append([error.token, error.holder])
        return found

    driven = Driven(flow)
    driven.add(T.HOOK_CONFLICT, 0, token="door", conflictingRunId="wrun_other")
    driven.create()
    driven.complete(1)
    assert driven.value == [["door", "wrun_other"]] * 2


# misuse


async def never(_ctx: Context) -> None: ...


MISUSE: dict[str, Callable[[Context], object]] = {
    "not a step": lambda ctx: ctx.step(print),
    "a workflow for a step": lambda ctx: ctx.step(never),  # type: ignore[arg-type]
    "an argument that is no JSON": lambda ctx: ctx.step(work, object()),
    "an argument that is no number": lambda ctx: ctx.step(work, float("nan")),
    "an argument that no store can keep": lambda ctx: ctx.step(work, "\ud800"),
    "a named argument that is no JSON": lambda ctx: ctx.step(work, more={1, 2}),
    "a sleep backwards": lambda ctx: ctx.sleep(-1),
    "a negative timedelta": lambda ctx: ctx.sleep(dt.timedelta(seconds=-1)),
    "a sleep for ever": lambda ctx: ctx.sleep(float("inf")),
    "a sleep that no clock reaches": lambda ctx: ctx.sleep(1e15),
    "a sleep of nothing": lambda ctx: ctx.sleep(float("nan")),
    "an empty token": lambda ctx: ctx.hook(""),
    "a token of two lines": lambda ctx: ctx.hook("a\nb"),
    "a token that is too long": lambda ctx: ctx.hook("a" * 256),
    "a race of nobody": lambda ctx: ctx.race(),
    "a race of something": lambda ctx: ctx.race(3),  # type: ignore[arg-type]
    "a function that was not called": lambda ctx: ctx.gather(never),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", MISUSE)
def test_misuse_is_a_usage_error_inside_the_workflow_and_draws_nothing(what: str) -> None:
    async def flow(ctx: Context) -> str:
        try:
            MISUSE[what](ctx)
        except UsageError as error:
            return str(error)
        return "nothing"

    driven = Driven(flow)
    assert driven.value != "nothing"
    assert driven.replay.allocations == []


# time and chance


async def chancy(ctx: Context) -> Any:
    story = [[ctx.now().isoformat(), ctx.random(), str(ctx.uuid())]]
    for _ in range(3):
        await ctx.sleep(1)
        story.append([ctx.now().isoformat(), ctx.random(), str(ctx.uuid())])
    return story


def slept(run: str | None = None) -> Driven:
    driven = Driven(chancy, run=run)
    for ordinal in range(3):
        driven.ms += 700 * ordinal
        driven.create()
        driven.ms += 300
        driven.complete(ordinal)
    return driven


def test_time_and_chance_are_the_same_at_every_replay() -> None:
    first = slept()
    with Replay(first.workflow, run_id()) as replay:
        replay.deliver_all(first.log)
        assert replay.outcome == first.replay.outcome
    assert len({line[1] for line in first.value}) == len({line[2] for line in first.value}) == 4
    assert all(0 <= line[1] < 1 for line in first.value)
    other = slept(run_id(2)).value
    assert other[0][0] == first.value[0][0]
    assert other[0][1:] != first.value[0][1:], "another run has another chance"


def test_now_is_the_time_of_the_last_event_that_was_delivered() -> None:
    moments = [dt.datetime.fromisoformat(line[0]) for line in slept().value]
    assert [round(moment.timestamp() * 1000) - START for moment in moments] == [0, 300, 1_300, 3_000]
    assert {moment.utcoffset() for moment in moments} == {dt.timedelta(0)}


SCRIPT = """
import sys, json
sys.path[:0] = [sys.argv[1]]
from test_context import slept
driven = slept()
print(json.dumps([driven.value, [made.correlation_id for made in driven.replay.allocations]]))
"""


def test_time_chance_and_ids_do_not_depend_on_the_hash_seed() -> None:
    here = slept()
    expected = [here.value, [made.correlation_id for made in here.replay.allocations]]
    for seed in ("1", "77"):
        found = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(Path(__file__).parent)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        )
        assert json.loads(found.stdout) == expected

"""A fan-out of 100 steps under 200 signals a second: much wants to be written at once, and it comes to an end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from auditor import audit
from auditor.model.judgement import Verdict
from auditor.runtime import Context, Worker, result, resume_hook, start, step, workflow
from auditor.world import World, create_world, open_world

STEPS = 100
PER_SECOND = 200
AT_LEAST_SECONDS = 2.0


@step
async def work(number: int) -> int:
    """Takes a moment, and not always the same one."""
    await asyncio.sleep(0.02 + number % 7 / 100)
    return number


async def two_steps(ctx: Context, number: int) -> int:
    """The second step is a decision, made while signals arrive."""
    return await ctx.step(work, number) + await ctx.step(work, number)


@workflow
async def fan_out(ctx: Context, token: str) -> dict[str, Any]:
    """All steps at once, while a hook collects what comes."""
    hook = ctx.hook(token)
    done = await ctx.gather(*(two_steps(ctx, number) for number in range(STEPS)))
    heard = []
    while (payload := await hook) != "enough":
        heard.append(payload)
    return {"done": done, "heard": heard}


async def fire(world: World, run_id: str) -> int:
    """Signal 200 times a second until the steps are done, and for two seconds at least; how many it were."""
    clock = asyncio.get_running_loop().time
    began, sent = clock(), []
    while clock() < began + AT_LEAST_SECONDS or await steps_open(world, run_id):
        sent.append(asyncio.create_task(resume_hook(world, "crowd", len(sent))))
        await asyncio.sleep(max(0.0, began + len(sent) / PER_SECOND - clock()))
    took = clock() - began
    await asyncio.gather(*sent)
    print(
        f"\n{len(sent) / took:.0f} signals a second for {took:.1f} s, answered in {clock() - began:.1f} s", end=""
    )
    return len(sent)


async def steps_open(world: World, run_id: str) -> bool:
    steps = await world.entities(run_id, "step")
    return sum(one.status == "completed" for one in steps) < 2 * STEPS


@pytest.mark.parametrize("serialise", [False, True], ids=["lease off", "lease on"])
async def test_a_fan_out_of_100_steps_under_200_signals_a_second_completes(
    tmp_path: Path, serialise: bool
) -> None:
    url = f"sqlite:///{tmp_path / 'world.db'}"
    await create_world(url)
    async with await open_world(url) as world, Worker(world, serialise=serialise, concurrency=STEPS) as worker:
        run_id = await start(world, fan_out, "crowd")
        while await world.hook_by_token("crowd") is None:
            await asyncio.sleep(0.01)
        sent = await fire(world, run_id)
        await resume_hook(world, "crowd", "enough")
        output = await result(world, run_id, timeout=60)
        assert output["done"] == [2 * number for number in range(STEPS)]
        assert sorted(output["heard"]) == list(range(sent))
        totals = worker.metrics.totals()
        decided, conflicts = (
            sum(count for name, count in totals.items() if name.startswith(kind))
            for kind in ("appends{", "fence_conflicts{")
        )
        print(f"; {conflicts / decided:.2f} conflicts a decision ({conflicts:.0f} of {decided:.0f})")
    with audit(tmp_path / "world.db") as found:
        assert found.verdict is Verdict.SOUND

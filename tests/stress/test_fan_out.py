"""A fan-out of 100 steps under 200 signals a second: much that wants to be written at once, and it all comes to an end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from auditor import audit
from auditor.model.judgement import Verdict
from auditor.runtime import Context, Worker, result, resume_hook, start, step, workflow
from auditor.world import create_world, open_world

STEPS = 100
PER_SECOND = 200


@step
async def work(number: int) -> int:
    """Takes a moment."""
    await asyncio.sleep(0.05)
    return number


@workflow
async def fan_out(ctx: Context, token: str) -> dict[str, Any]:
    """All steps at once, while a hook collects what comes."""
    hook = ctx.hook(token)
    done = await ctx.gather(*(ctx.step(work, number) for number in range(STEPS)))
    heard = []
    while (payload := await hook) != "enough":
        heard.append(payload)
    return {"done": done, "heard": heard}


async def test_a_fan_out_of_100_steps_under_200_signals_a_second_completes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'world.db'}"
    await create_world(url)
    async with await open_world(url) as world, Worker(world, serialise=False, concurrency=STEPS) as worker:
        run_id = await start(world, fan_out, "crowd")
        while await world.hook_by_token("crowd") is None:
            await asyncio.sleep(0.01)
        sent = []

        async def signal(number: int) -> None:
            await resume_hook(world, "crowd", number)
            sent.append(number)

        firing = []
        began = asyncio.get_running_loop().time()
        while (await world.run(run_id)).status == "running" and len(firing) < 3 * PER_SECOND:  # type: ignore[union-attr]
            firing.append(asyncio.create_task(signal(len(firing))))
            await asyncio.sleep(max(0, began + len(firing) / PER_SECOND - asyncio.get_running_loop().time()))
        await asyncio.gather(*firing)
        took = asyncio.get_running_loop().time() - began
        await resume_hook(world, "crowd", "enough")
        output = await result(world, run_id, timeout=60)
        assert output["done"] == list(range(STEPS))
        assert sorted(output["heard"]) == list(range(len(sent)))
        decided = sum(v for k, v in worker.metrics.totals().items() if k.startswith("appends{"))
        conflicts = sum(v for k, v in worker.metrics.totals().items() if k.startswith("fence_conflicts{"))
        print(f"\n{len(sent) / took:.0f} signals a second, {conflicts / decided:.2f} conflicts a decision")
    with audit(tmp_path / "world.db") as found:
        assert found.verdict is Verdict.SOUND

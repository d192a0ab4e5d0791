"""The published shape of the hook/sleep race: `race([hook, sleep])` in a loop, with parallel sleeps when it wins.

Source: the stress workflow of vercel/workflow#2113, as the real SDK ran it for our corpora.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

from auditor.runtime import Context, step, workflow

HOOK, SLEEP = "h", "s"
"""What an iteration was won by; the output of a run is the sequence of them."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How long the workflow loops, and how long it sleeps. Times in ms."""

    iterations: int = 8
    sleep_ms: int = 500
    sleep_branch_wait_count: int = 2
    sleep_branch_wait_ms: int = 100
    drain_delay_ms: int = 50

    def as_json(self) -> dict[str, int]:
        """As the argument of a run."""
        return asdict(self)


@step(name="step//./stress//sync")
async def sync(iteration: int) -> int:
    """Begins an iteration."""
    return iteration


@step(name="step//./stress//drain")
async def drain(iteration: int, delay_ms: int) -> int:
    """Takes its time over what the hook brought."""
    await asyncio.sleep(delay_ms / 1000)
    return iteration


@workflow(name="workflow//./stress//stress")
async def stress(ctx: Context, token: str, shape: dict[str, Any]) -> str:
    """Race a hook against a sleep, again and again."""
    took = Shape(**shape)
    hook = ctx.hook(token)
    won = ""
    for iteration in range(took.iterations):
        await ctx.step(sync, iteration)
        winner = await ctx.race(hook, ctx.sleep(took.sleep_ms / 1000))
        if winner.place == 0:
            won += HOOK
            await ctx.step(drain, iteration, took.drain_delay_ms)
        else:
            won += SLEEP
            waits = [ctx.sleep(took.sleep_branch_wait_ms / 1000) for _ in range(took.sleep_branch_wait_count)]
            await ctx.gather(*waits)
    return won

"""Today's code of the workflows that wrote the samples of `replay-divergence`, `terminal-not-reproducible` and
`code-version-skew`: the tests replay it on them. The code that wrote them is in `tests/runtime_histories`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from auditor.runtime import Context, step, workflow

WORKFLOWS: list[Callable[..., Any]] = []
TOKEN = "approve-17"  # noqa: S105 - opens nothing


def _step(name: str) -> Callable[[str], str]:
    @step(name=name)
    def function(item: str) -> str:
        return f"{item} by {name}"

    return function


reserve = _step("step//./store//reserve")
charge = _step("step//./store//charge")
refund = _step("step//./store//refund")
bill = _step("step//./store//bill")
charge_1_3 = _step("step//shop@1.3.0//charge")
charge_moved = _step("step//./src/store//charge")
ship_1_3 = _step("step//shop@1.3.0//ship")


def _now(rule: str, sample: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        WORKFLOWS.append(workflow(name=f"workflow//./samples/{rule}//{sample}")(function))
        return function

    return declare


@_now("replay-divergence", "fires-a-step-was-renamed")
async def _renamed(ctx: Context, item: str) -> dict[str, str]:
    return {"reserved": await ctx.step(reserve, item), "charged": await ctx.step(bill, item)}


@_now("replay-divergence", "fires-a-step-was-added-before")
async def _added(ctx: Context, item: str) -> dict[str, str]:
    await ctx.step(bill, item)
    return {"reserved": await ctx.step(reserve, item), "charged": await ctx.step(charge, item)}


@_now("replay-divergence", "fires-a-step-was-removed")
async def _removed(ctx: Context, item: str) -> dict[str, str]:
    return {"reserved": await ctx.step(reserve, item)}


@_now("replay-divergence", "fires-the-branches-of-a-race-were-swapped")
async def _swapped(ctx: Context, item: str) -> str:
    winner = await ctx.race(ctx.hook(TOKEN), ctx.sleep(3600))
    return await ctx.step(refund if winner.place == 0 else charge, item)


@_now("replay-divergence", "holds-the-code-was-not-changed")
async def _same(ctx: Context, item: str) -> dict[str, str]:
    return {"reserved": await ctx.step(reserve, item), "charged": await ctx.step(charge, item)}


@_now("replay-divergence", "holds-another-output")
async def _another_output(ctx: Context, item: str) -> dict[str, str]:
    await ctx.step(reserve, item)
    return {"charged": await ctx.step(charge, item)}


@_now("replay-divergence", "holds-it-sleeps-for-another-time")
async def _slept(ctx: Context, item: str) -> str:
    await ctx.sleep(600)
    return await ctx.step(charge, item)


@_now("replay-divergence", "cannot-tell-its-payloads-were-left-out")
async def _no_payloads(ctx: Context, item: str) -> dict[str, str]:
    return {"reserved": await ctx.step(reserve, item), "charged": await ctx.step(charge, item)}


@_now("terminal-not-reproducible", "fires-another-output")
async def _other_output(ctx: Context, item: str) -> dict[str, str]:
    return {"reserved": await ctx.step(reserve, item), "charged": (await ctx.step(charge, item)).upper()}


@_now("terminal-not-reproducible", "fires-the-code-goes-on")
async def _goes_on(ctx: Context, item: str) -> dict[str, str]:
    done = {"reserved": await ctx.step(reserve, item), "charged": await ctx.step(charge, item)}
    await ctx.step(bill, item)
    return done


@_now("terminal-not-reproducible", "fires-another-error")
async def _other_error(ctx: Context, item: str) -> None:
    await ctx.step(reserve, item)
    raise ValueError(f"there is no {item}")


@_now("terminal-not-reproducible", "holds-the-code-was-not-changed")
async def _the_same(ctx: Context, item: str) -> dict[str, str]:
    return {"reserved": await ctx.step(reserve, item), "charged": await ctx.step(charge, item)}


@_now("terminal-not-reproducible", "holds-keys-in-another-order")
async def _ordered(ctx: Context, item: str) -> dict[str, str]:
    reserved = await ctx.step(reserve, item)
    return {"charged": await ctx.step(charge, item), "reserved": reserved}


@_now("terminal-not-reproducible", "holds-the-run-was-cancelled")
async def _cancelled(ctx: Context, item: str) -> str:
    await ctx.step(reserve, item)
    ctx.hook(TOKEN)
    return "did not wait"


@_now("terminal-not-reproducible", "holds-the-run-is-under-way")
async def _under_way(ctx: Context, item: str) -> str:
    await ctx.step(reserve, item)
    ctx.hook(TOKEN)
    return "did not wait"


@_now("terminal-not-reproducible", "cannot-tell-its-payloads-were-left-out")
async def _left_out(ctx: Context, item: str) -> dict[str, str]:
    return {"reserved": await ctx.step(reserve, item), "charged": await ctx.step(charge, item)}


@_now("code-version-skew", "fires-error-the-code-has-a-newer-version")
async def _versioned(ctx: Context, item: str) -> str:
    return await ctx.step(charge_1_3, item)


@_now("code-version-skew", "fires-error-the-step-was-moved")
async def _moved(ctx: Context, item: str) -> str:
    return await ctx.step(charge_moved, item)


@_now("code-version-skew", "holds-the-code-has-another-step-there")
async def _another_step(ctx: Context, item: str) -> str:
    return await ctx.step(ship_1_3, item)

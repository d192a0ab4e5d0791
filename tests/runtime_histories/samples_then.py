"""The code that wrote the samples of the rules on cold replay. What it has become since is in
`rules/replay/sample_workflows.py`, under the same names; a sample whose workflow is not there was not changed, it
is replayed by nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from auditor.runtime import Context, step, workflow

Flow = Callable[..., Any]
FLOWS: dict[tuple[str, str], Flow] = {}
TOKEN = "approve-17"  # noqa: S105 - opens nothing


def _step(name: str) -> Callable[[str], str]:
    @step(name=name)
    def function(item: str) -> str:
        return f"{item} by {name}"

    return function


reserve = _step("step//./store//reserve")
charge = _step("step//./store//charge")
refund = _step("step//./store//refund")
charge_1_2 = _step("step//shop@1.2.0//charge")
charge_1_3 = _step("step//shop@1.3.0//charge")
charge_moved = _step("step//./src/store//charge")
ship_1_3 = _step("step//shop@1.3.0//ship")


def sample(rule: str, name: str) -> Callable[[Flow], Flow]:
    def record(function: Flow) -> Flow:
        declared = workflow(name=f"workflow//./samples/{rule}//{name}")(function)
        FLOWS[rule, name] = declared
        return declared

    return record


async def _two_steps(ctx: Context, item: str) -> dict[str, str]:
    return {"reserved": await ctx.step(reserve, item), "charged": await ctx.step(charge, item)}


for _rule, _name in (
    ("replay-divergence", "fires-a-step-was-renamed"),
    ("replay-divergence", "fires-a-step-was-added-before"),
    ("replay-divergence", "fires-a-step-was-removed"),
    ("replay-divergence", "holds-the-code-was-not-changed"),
    ("replay-divergence", "holds-another-output"),
    ("replay-divergence", "cannot-tell-its-code-was-not-given"),
    ("replay-divergence", "cannot-tell-its-payloads-were-left-out"),
    ("terminal-not-reproducible", "fires-another-output"),
    ("terminal-not-reproducible", "fires-the-code-goes-on"),
    ("terminal-not-reproducible", "holds-the-code-was-not-changed"),
    ("terminal-not-reproducible", "holds-keys-in-another-order"),
    ("terminal-not-reproducible", "cannot-tell-its-code-was-not-given"),
    ("terminal-not-reproducible", "cannot-tell-its-payloads-were-left-out"),
):
    # Each is a workflow of its own: one name has one code.
    async def _flow(ctx: Context, item: str) -> dict[str, str]:
        return await _two_steps(ctx, item)

    sample(_rule, _name)(_flow)


@sample("replay-divergence", "fires-the-branches-of-a-race-were-swapped")
async def raced(ctx: Context, item: str) -> str:
    winner = await ctx.race(ctx.hook(TOKEN), ctx.sleep(3600))
    return await ctx.step(charge if winner.place == 0 else refund, item)


@sample("replay-divergence", "holds-it-sleeps-for-another-time")
async def slept(ctx: Context, item: str) -> str:
    await ctx.sleep(5)
    return await ctx.step(charge, item)


@sample("terminal-not-reproducible", "fires-another-error")
async def failed(ctx: Context, item: str) -> None:
    await ctx.step(reserve, item)
    raise ValueError(f"no {item}")


@sample("terminal-not-reproducible", "holds-the-run-was-cancelled")
async def cancelled(ctx: Context, item: str) -> Any:
    await ctx.step(reserve, item)
    return await ctx.hook(TOKEN)


@sample("terminal-not-reproducible", "holds-the-run-is-under-way")
async def under_way(ctx: Context, item: str) -> Any:
    await ctx.step(reserve, item)
    return await ctx.hook(TOKEN)


@sample("code-version-skew", "fires-error-the-code-has-a-newer-version")
async def versioned(ctx: Context, item: str) -> str:
    return await ctx.step(charge_1_2, item)


@sample("code-version-skew", "fires-error-the-step-was-moved")
async def moved(ctx: Context, item: str) -> str:
    return await ctx.step(charge, item)


async def _in_turn(ctx: Context, item: str, before: Flow, behind: Flow) -> str:
    await ctx.step(before, item)
    await ctx.sleep(3600)
    return await ctx.step(behind, item)


@sample("code-version-skew", "fires-warning-another-version-an-hour-later")
async def two_versions(ctx: Context, item: str) -> str:
    return await _in_turn(ctx, item, charge_1_2, charge_1_3)


@sample("code-version-skew", "fires-info-another-path-an-hour-later")
async def two_paths(ctx: Context, item: str) -> str:
    return await _in_turn(ctx, item, charge, charge_moved)


@sample("code-version-skew", "holds-another-function-an-hour-later")
async def two_functions(ctx: Context, item: str) -> str:
    return await _in_turn(ctx, item, charge_1_2, ship_1_3)


@sample("code-version-skew", "holds-the-names-alternate")
async def alternating(ctx: Context, item: str) -> str:
    await _in_turn(ctx, item, charge_1_2, charge_1_3)
    return await ctx.step(charge_1_2, item)


@sample("code-version-skew", "holds-both-versions-at-once")
async def at_once(ctx: Context, item: str) -> str:
    await ctx.step(charge_1_2, item)
    return await ctx.step(charge_1_3, item)


@sample("code-version-skew", "holds-the-code-has-another-step-there")
async def another_step(ctx: Context, item: str) -> str:
    return await ctx.step(charge_1_2, item)

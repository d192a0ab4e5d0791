"""The code that wrote the histories beside it. Its changed versions, under the same names, are in `flows_now`."""

from __future__ import annotations

from typing import Any

from auditor.errors import HookConflict
from auditor.runtime import Context, current_attempt, step, workflow

TOKEN = "approve-17"  # noqa: S105 - opens nothing


@step(name="step//./shop//reserve")
def reserve(item: str) -> dict[str, Any]:
    return {"item": item, "place": None, "weight": 2.0}


@step(name="step//./shop//charge")
def charge(item: str) -> int:
    return len(item)


@step(name="step//./shop//expire")
def expire(item: str) -> str:
    return f"{item} expired"


@step(name="step//./shop//note")
def note(text: str) -> None:
    assert text


@step(name="step//./shop//fetch", max_attempts=4, retry_after=1.0)
def fetch(item: str) -> int:
    attempt = current_attempt().attempt
    if attempt < 3:
        raise ConnectionError(f"no answer for {item}, attempt {attempt}")
    return attempt


@workflow(name="workflow//./flows//sequential")
async def sequential(ctx: Context, item: str, *, gift: bool | None = None) -> dict[str, Any]:
    reserved = await ctx.step(reserve, item)
    await ctx.sleep(5)
    return {"reserved": reserved, "charged": await ctx.step(charge, item), "gift": gift}


@workflow(name="workflow//./flows//race")
async def race(ctx: Context, item: str) -> Any:
    approved = ctx.hook(TOKEN)
    winner = await ctx.race(approved, ctx.sleep(3600))
    return await ctx.step(charge if winner.place == 0 else expire, item)


@workflow(name="workflow//./flows//retries")
async def retries(ctx: Context, item: str) -> int:
    return await ctx.step(fetch, item)


@workflow(name="workflow//./flows//waiting")
async def waiting(ctx: Context, item: str) -> Any:
    await ctx.step(reserve, item)
    payload = await ctx.hook(TOKEN)
    await ctx.step(charge, item)
    return payload


@workflow(name="workflow//./flows//taken")
async def taken(ctx: Context, item: str) -> str:
    ctx.hook(TOKEN)
    try:
        await ctx.hook(TOKEN)
    except HookConflict:
        await ctx.step(note, item)
        return "taken"
    return "free"


@workflow(name="workflow//./flows//failing")
async def failing(ctx: Context, item: str) -> None:
    await ctx.step(reserve, item)
    raise ValueError(f"no {item}")


@workflow(name="workflow//./flows//nothing")
async def nothing(ctx: Context) -> None:
    assert await ctx.step(note, "nothing") is None
    assert await ctx.hook(TOKEN) is None


@workflow(name="workflow//./flows//redeployed")
async def redeployed(ctx: Context, item: str) -> int:
    await ctx.sleep(10)
    return await ctx.step(charge, item)

"""What the code in `flows_then` may have become; each has the name of the workflow whose place it has taken."""

from __future__ import annotations

from typing import Any

from flows_then import TOKEN, charge, expire, note, reserve

from auditor.runtime import Context, step, workflow


@step(name="step//./shop//bill")
def bill(item: str) -> int:
    return len(item)


@workflow(name="workflow//./flows//sequential")
async def step_renamed(ctx: Context, item: str, *, gift: bool | None = None) -> dict[str, Any]:
    reserved = await ctx.step(reserve, item)
    await ctx.sleep(5)
    return {"reserved": reserved, "charged": await ctx.step(bill, item), "gift": gift}


@workflow(name="workflow//./flows//sequential")
async def step_added_before(ctx: Context, item: str, *, gift: bool | None = None) -> dict[str, Any]:
    await ctx.step(note, item)
    reserved = await ctx.step(reserve, item)
    await ctx.sleep(5)
    return {"reserved": reserved, "charged": await ctx.step(charge, item), "gift": gift}


@workflow(name="workflow//./flows//sequential")
async def sleep_removed(ctx: Context, item: str, *, gift: bool | None = None) -> dict[str, Any]:
    reserved = await ctx.step(reserve, item)
    return {"reserved": reserved, "charged": await ctx.step(charge, item), "gift": gift}


@workflow(name="workflow//./flows//sequential")
async def step_added_behind(ctx: Context, item: str, *, gift: bool | None = None) -> dict[str, Any]:
    reserved = await ctx.step(reserve, item)
    await ctx.sleep(5)
    done = {"reserved": reserved, "charged": await ctx.step(charge, item), "gift": gift}
    await ctx.step(note, item)
    return done


@workflow(name="workflow//./flows//sequential")
async def other_output(ctx: Context, item: str, *, gift: bool | None = None) -> dict[str, Any]:
    reserved = await ctx.step(reserve, item)
    await ctx.sleep(5)
    return {"reserved": reserved, "charged": float(await ctx.step(charge, item)), "gift": gift}


@workflow(name="workflow//./flows//sequential")
async def raises_instead(ctx: Context, item: str, *, gift: bool | None = None) -> None:
    await ctx.step(reserve, item)
    await ctx.sleep(5)
    await ctx.step(charge, item)
    raise KeyError(item)


@workflow(name="workflow//./flows//sequential")
async def other_parameters(ctx: Context, item: str, size: int) -> None:
    await ctx.step(reserve, f"{item} {size}")


@workflow(name="workflow//./flows//race")
async def branches_swapped(ctx: Context, item: str) -> Any:
    approved = ctx.hook(TOKEN)
    winner = await ctx.race(approved, ctx.sleep(3600))
    return await ctx.step(expire if winner.place == 0 else charge, item)


@workflow(name="workflow//./flows//failing")
async def other_error(ctx: Context, item: str) -> None:
    await ctx.step(reserve, item)
    raise LookupError(f"no {item}")


@workflow(name="workflow//./flows//failing")
async def other_message(ctx: Context, item: str) -> None:
    await ctx.step(reserve, item)
    raise ValueError(f"there is no {item}")


@workflow(name="workflow//./flows//waiting")
async def returns_at_once(ctx: Context, item: str) -> str:
    await ctx.step(reserve, item)
    ctx.hook(TOKEN)
    return "did not wait"


@workflow(name="workflow//./flows//waiting")
async def raises_at_once(ctx: Context, item: str) -> str:
    await ctx.step(reserve, item)
    ctx.hook(TOKEN)
    raise ValueError(item)


@workflow(name="workflow//./flows//redeployed")
async def as_it_was_redeployed(ctx: Context, item: str) -> int:
    return await ctx.step(charge, item)


@workflow(name="workflow//./flows//race")
async def asks_twice(ctx: Context, item: str) -> Any:
    approved = ctx.hook(TOKEN)
    winner = await ctx.race(approved, ctx.sleep(3600))
    return await ctx.step(charge if winner.place == 0 else expire, item)

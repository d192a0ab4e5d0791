"""The scenarios: workflows that between them do all that a run can do, and what comes to them from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from auditor.errors import HookConflict, RetryableError, StepFailed
from auditor.runtime import Context, Hook, current_attempt, step, workflow
from auditor.runtime.registry import Workflow, workflow_of
from auditor.simulate.draws import Draws
from auditor.simulate.schedule import Turn


class Signal(NamedTuple):
    """A delivery from outside: so many ms after the one before it, to the hook that holds this token."""

    after_ms: int
    token: str
    payload: str


class Outside(NamedTuple):
    """What comes to one run from outside. `cancel_after_ms`: when it is cancelled; None: it is not."""

    signals: tuple[Signal, ...] = ()
    cancel_after_ms: int | None = None
    attributes: int = 0
    """How many attributes somebody sets meanwhile."""
    notes: bool = False
    """Whether whoever delivers a signal sets an attribute right behind it."""


def _nothing(_draws: Draws, _token: str, _size: int) -> Outside:
    return Outside()


@dataclass(frozen=True, slots=True)
class Scenario:
    """A workflow, how large it is by default, and what comes from outside to a run of it.

    The workflow takes a token of the run and the size. `runs` are in one world at a time. An append takes up to
    `latency_ms` to reach the store.
    """

    name: str
    meaning: str
    workflow: Workflow
    size: int
    outside: Callable[[Draws, str, int], Outside] = _nothing
    workers: int = 2
    runs: int = 1
    latency_ms: int = 0
    shares_token: bool = False


@step(name="step//./simulate//work")
async def work(number: int, takes_ms: int = 0) -> int:
    """Something that takes a while."""
    if takes_ms:
        await Turn(takes_ms)
    return number


@step(name="step//./simulate//react")
async def react(number: int, payload: Any) -> str:
    """What follows on a signal."""
    return f"{number} {payload}"


@step(name="step//./simulate//escalate")
async def escalate(number: int) -> str:
    """What follows when nobody came."""
    return f"{number} lapsed"


@step(name="step//./simulate//flaky", retry_after=0.02)
async def flaky(number: int, fails: int) -> int:
    """Something that fails a few times first."""
    if current_attempt().attempt <= fails:
        raise RetryableError("not yet", retry_after=0.01)
    return number


@step(name="step//./simulate//broken", max_attempts=2, retry_after=0.01)
async def broken() -> None:
    """Something that never works."""
    raise ValueError("never")


@workflow(name="workflow//./simulate//sequential")
async def sequential(ctx: Context, _token: str, size: int) -> list[int]:
    """One step after another, with a rest between."""
    done = []
    for number in range(size):
        done.append(await ctx.step(work, number, 1))
        await ctx.sleep(0.004)
    return done


@workflow(name="workflow//./simulate//parallel")
async def parallel(ctx: Context, _token: str, size: int) -> list[int]:
    """Steps and sleeps side by side."""
    steps = [ctx.step(work, number, number % 3) for number in range(size)]
    sleeps = [ctx.sleep(0.002 * (number % 3)) for number in range(size)]
    done: list[int] = await ctx.gather(*steps)
    await ctx.gather(*sleeps)
    return done


@workflow(name="workflow//./simulate//joined")
async def joined(ctx: Context, _token: str, size: int) -> list[int]:
    """Steps side by side, one behind them all, and so again."""
    done = []
    for _ in range(3):
        done += await ctx.gather(*[ctx.step(work, number, 2) for number in range(size)])
        done.append(await ctx.step(work, size))
    return done


@workflow(name="workflow//./simulate//timers")
async def timers(ctx: Context, _token: str, size: int) -> int:
    """Sleeps that end one shortly after another."""
    await ctx.gather(*[ctx.sleep(0.004 + 0.001 * number) for number in range(size)])
    return size


@workflow(name="workflow//./simulate//fan-out")
async def fan_out(ctx: Context, token: str, size: int) -> list[Any]:
    """Chains of two steps side by side while signals come in."""

    async def chain(number: int) -> int:
        first = await ctx.step(work, number, number % 4)
        return await ctx.step(work, first + 100)

    async def listen(hook: Hook) -> list[str]:
        return [await ctx.step(react, number, await hook) for number in range(2)]

    return await ctx.gather(listen(ctx.hook(token)), *[chain(number) for number in range(size)])


@workflow(name="workflow//./simulate//race")
async def race(ctx: Context, token: str, size: int) -> list[str]:
    """A hook against a sleep, again and again; each winner has a branch of its own."""
    hook = ctx.hook(token)
    story = []
    for number in range(size):
        winner = await ctx.race(hook, ctx.sleep(0.008))
        if winner.place == 0:
            story.append(await ctx.step(react, number, winner.value))
        else:
            await ctx.sleep(0.003)
            story.append(await ctx.step(escalate, number))
    return story


@workflow(name="workflow//./simulate//stress")
async def stress(ctx: Context, token: str, size: int) -> str:
    """The published shape: a step, a race of a hook and a sleep, and sleeps side by side when the sleep wins."""
    hook = ctx.hook(token)
    won = ""
    for number in range(size):
        await ctx.step(work, number)
        winner = await ctx.race(hook, ctx.sleep(0.03))
        if winner.place == 0:
            won += "h"
            await ctx.step(react, number, winner.value)
        else:
            won += "s"
            await ctx.gather(ctx.sleep(0.006), ctx.sleep(0.006))
    return won


@workflow(name="workflow//./simulate//nested-races")
async def nested_races(ctx: Context, token: str, size: int) -> list[Any]:
    """A race in a race: a step against a branch in which a hook races a sleep."""

    async def answer(hook: Hook, number: int) -> str:
        winner = await ctx.race(hook, ctx.sleep(0.005))
        return await ctx.step(react, number, winner.place)

    hook = ctx.hook(token)
    story = []
    for number in range(size):
        winner = await ctx.race(ctx.step(work, number, 6), answer(hook, number), ctx.sleep(0.02))
        story.append([winner.place, winner.value])
    return story


@workflow(name="workflow//./simulate//retries")
async def retries(ctx: Context, _token: str, size: int) -> list[Any]:
    """Steps that fail once or twice, and one that fails for good."""
    story: list[Any] = list(await ctx.gather(*[ctx.step(flaky, number, 1 + number % 2) for number in range(size)]))
    try:
        await ctx.step(broken)
    except StepFailed:
        story.append("failed")
    return story


@workflow(name="workflow//./simulate//token-handover")
async def token_handover(ctx: Context, token: str, size: int) -> list[Any]:
    """A token that goes from hook to hook, and from run to run."""
    story: list[Any] = []
    for number in range(size):
        hook = ctx.hook(token)
        try:
            winner = await ctx.race(hook, ctx.sleep(0.012))
        except HookConflict:
            await ctx.sleep(0.006)
            story.append("taken")
            continue
        hook.dispose()
        story.append(await ctx.step(react, number, winner.value if winner.place == 0 else None))
    return story


@workflow(name="workflow//./simulate//token-held")
async def token_held(ctx: Context, token: str, size: int) -> str:
    """Works, with a token and a timer that are there for longer than clocks may disagree."""
    hook = ctx.hook(token)
    timer = ctx.sleep(5)
    for number in range(size):
        await ctx.step(work, number, 2)
    try:
        await ctx.race(hook, timer)
    except HookConflict:
        return "taken"
    return "lapsed"


@workflow(name="workflow//./simulate//cancelled")
async def cancelled(ctx: Context, token: str, size: int) -> list[str]:
    """Waits for signals, works and sleeps until somebody cancels it."""
    hook = ctx.hook(token)
    story = []
    for number in range(size):
        beside = ctx.step(work, number, 3)
        winner = await ctx.race(hook, ctx.sleep(0.01))
        story.append(await ctx.step(react, await beside, winner.place))
    return story


def _signals(most: int, apart_ms: int) -> Callable[[Draws, str, int], Outside]:
    """Signals to the token of the run, up to so many an item of its size, each up to so many ms after the last."""

    def outside(draws: Draws, token: str, size: int) -> Outside:
        number = draws.below(most * size + 1)
        return Outside(tuple(Signal(1 + draws.below(apart_ms), token, f"signal {n}") for n in range(number)))

    return outside


def _cancelled(draws: Draws, token: str, size: int) -> Outside:
    return _signals(1, 12)(draws, token, size)._replace(cancel_after_ms=1 + draws.below(60))


def _attributes(draws: Draws, _token: str, _size: int) -> Outside:
    return Outside(attributes=6 + draws.below(8))


def _busy(draws: Draws, token: str, size: int) -> Outside:
    return _signals(2, 14)(draws, token, size)._replace(notes=True)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("sequential", "steps and sleeps in a row", workflow_of(sequential), 4),
        Scenario("attributes", "attributes set meanwhile", workflow_of(sequential), 4, _attributes, latency_ms=3),
        Scenario("parallel", "steps and sleeps side by side", workflow_of(parallel), 4),
        Scenario("joined", "steps side by side, then one", workflow_of(joined), 3, workers=3, latency_ms=2),
        Scenario("timers", "sleeps that end close together", workflow_of(timers), 5, workers=3, latency_ms=4),
        Scenario("fan-out", "chains under signals", workflow_of(fan_out), 5, _signals(1, 9), latency_ms=2),
        Scenario("door", "one race of a hook and a sleep", workflow_of(race), 1, _signals(2, 14), latency_ms=3),
        Scenario("noted-door", "the same; who knocks leaves a note", workflow_of(race), 1, _busy),
        Scenario("race", "a hook raced against sleeps", workflow_of(race), 3, _busy, latency_ms=3),
        Scenario("stress", "the published stress shape", workflow_of(stress), 8, _signals(1, 60), latency_ms=5),
        Scenario("nested-races", "a race in a race", workflow_of(nested_races), 3, _signals(1, 18), latency_ms=3),
        Scenario("retries", "steps that fail and are tried again", workflow_of(retries), 3),
        Scenario(
            "token-handover",
            "one token for the hooks of several runs",
            workflow_of(token_handover),
            3,
            _signals(1, 16),
            runs=3,
            shares_token=True,
        ),
        Scenario(
            "token-held",
            "one token for two runs, held for long",
            workflow_of(token_held),
            3,
            runs=2,
            shares_token=True,
        ),
        Scenario("cancelled", "a run that is cancelled under way", workflow_of(cancelled), 4, _cancelled),
        Scenario("long", "a run of many events", workflow_of(sequential), 40),
        Scenario("many-runs", "several runs on the same workers", workflow_of(race), 2, _signals(2, 14), runs=6),
    )
}
"""Every scenario by its name."""

"""The published experiment: many runs of one shape, signals fired into them, and what became of each."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from auditor.errors import NotFound, RunTerminal, StoreUnavailable
from auditor.model.events import EventType
from auditor.runtime import FencePolicy, resume_hook, start
from auditor.stress.latency import AT_ONCE, Latency
from auditor.stress.shape import Shape, stress
from auditor.stress.working import Counts, Settings, workers
from auditor.world import World

POLL_SECONDS = 0.25
STARTS_AT_ONCE = 50

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run, and how it is disturbed. The defaults are those of the published experiment.

    `fire_jitter_ms` spreads the first signals over about one iteration: runs that start together would all be met
    at the same place, and only the first signal of a run races its sleep; the others find the hook ahead.
    """

    count: int = 200
    shape: Shape = field(default_factory=Shape)
    fire_after_ms: int = 3000
    fire_jitter_ms: int = 3000
    fire_count: int = 10
    fire_burst_spacing_ms: int = 0
    policy: FencePolicy = FencePolicy.FULL
    serialise: bool = False
    latency: Latency = AT_ONCE
    workers: int = 1
    timeout_seconds: float = 300.0
    seed: int = 0


@dataclass(slots=True)
class Outcome:
    """What became of the runs of a cycle, and what it took.

    `states` counts runs by status, a failed one with its errorCode. `signals` counts deliveries: `acknowledged`,
    `too late` (the run had ended), `unanswered` (the store did not answer). `lost` are acknowledged ones that are
    not in the log once.
    """

    runs: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    signals: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    counts: Counts = field(default_factory=Counter)
    seconds: float = 0.0

    def total(self, name: str) -> int:
        """A counter of the workers, over all of its labels."""
        return round(sum(value for key, value in self.counts.items() if key.partition("{")[0] == name))

    def __iadd__(self, other: Outcome) -> Outcome:
        self.runs += other.runs
        self.states.update(other.states)
        self.signals.update(other.signals)
        self.lost += other.lost
        self.counts.update(other.counts)
        self.seconds += other.seconds
        return self


async def run_cycle(world: World, url: str, plan: Plan, progress: Progress | None = None) -> Outcome:
    """One cycle on an open world, whose URL is given to worker processes. Raises WorldError."""
    outcome = Outcome()
    began = time.monotonic()
    settings = Settings(url, plan.policy, plan.serialise, plan.latency, plan.seed)
    async with workers(world, settings, plan.workers) as counts:
        chance = random.Random(plan.seed)  # noqa: S311 - spreads times
        tokens = await _start(world, plan)
        outcome.runs = list(tokens.values())
        acknowledged: dict[str, str] = {}
        firing = asyncio.gather(
            *(
                _fire(world, plan, chance.uniform(0, plan.fire_jitter_ms), token, run, outcome, acknowledged)
                for token, run in tokens.items()
            )
        )
        open_runs = await _wait(world, outcome.runs, began + plan.timeout_seconds, progress)
        if open_runs:
            firing.cancel()
        await asyncio.gather(firing, return_exceptions=True)
    outcome.counts = counts
    outcome.seconds = time.monotonic() - began
    outcome.states = await _states(world, outcome.runs)
    outcome.lost = await _lost(world, acknowledged)
    return outcome


async def _start(world: World, plan: Plan) -> dict[str, str]:
    """Start all runs; their ids by the tokens of their hooks."""
    names = [f"stress-{plan.seed}-{secrets.token_hex(6)}" for _ in range(plan.count)]
    started: dict[str, str] = {}
    for first in range(0, len(names), STARTS_AT_ONCE):
        some = names[first : first + STARTS_AT_ONCE]
        ids = await asyncio.gather(*(start(world, stress, name, plan.shape.as_json()) for name in some))
        started.update(zip(some, ids, strict=True))
    return started


async def _fire(
    world: World,
    plan: Plan,
    later_ms: float,
    token: str,
    run_id: str,
    outcome: Outcome,
    acknowledged: dict[str, str],
) -> None:
    await asyncio.sleep((plan.fire_after_ms + later_ms) / 1000)
    await _until_there(world, token, run_id)
    shots = []
    for number in range(plan.fire_count):
        if number and plan.fire_burst_spacing_ms:
            await asyncio.sleep(plan.fire_burst_spacing_ms / 1000)
        shots.append(asyncio.ensure_future(_shot(world, token, run_id, number, outcome, acknowledged)))
    await asyncio.gather(*shots)


async def _until_there(world: World, token: str, run_id: str) -> None:
    """A run that a busy worker has not come to yet has no hook to fire at."""
    while await world.hook_by_token(token) is None:
        run = await world.run(run_id)
        if run is not None and run.completed_at is not None:
            return
        await asyncio.sleep(POLL_SECONDS)


async def _shot(
    world: World, token: str, run_id: str, number: int, outcome: Outcome, acknowledged: dict[str, str]
) -> None:
    resume_id = f"{token}-{number}"
    try:
        await resume_hook(world, token, {"shot": number}, resume_id=resume_id)
    except (NotFound, RunTerminal):
        outcome.signals["too late"] += 1
    except StoreUnavailable:
        outcome.signals["unanswered"] += 1
    else:
        acknowledged[resume_id] = run_id
        outcome.signals["acknowledged"] += 1


async def _wait(world: World, runs: Iterable[str], end: float, progress: Progress | None) -> set[str]:
    """Wait until all runs have ended, or until there is no time left; those that are open then."""
    left, total = set(runs), len(list(runs))
    while left and time.monotonic() < end:
        await asyncio.sleep(POLL_SECONDS)
        left &= {
            run.run_id for status in ("pending", "running") for run in await world.runs(status, limit=1 << 20)
        }
        if progress is not None:
            progress(total - len(left), total)
    return left


async def _states(world: World, runs: Iterable[str]) -> Counter[str]:
    states: Counter[str] = Counter()
    for run_id in runs:
        run = await world.run(run_id)
        if run is not None:
            states[run.status if run.error_code is None else f"failed: {run.error_code}"] += 1
    return states


async def _lost(world: World, acknowledged: dict[str, str]) -> list[str]:
    """Acknowledged deliveries that do not stand in the log of their run exactly once."""
    found: Counter[str] = Counter()
    for run_id in set(acknowledged.values()):
        for event in (await world.events(run_id)).events:
            if event.event_type == EventType.HOOK_RECEIVED and event.resume_id is not None:
                found[event.resume_id] += 1
    return [resume_id for resume_id in acknowledged if found[resume_id] != 1]

"""The workers of an experiment: in this process, or each in one of its own.

Such a process reads its settings from stdin, for a URL may hold a password that others would see among its
arguments. It works until its stdin ends, so none outlives the experiment, and then prints what it counted.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace

import auditor.stress.shape  # noqa: F401 - declares the workflow and its steps
from auditor.errors import WorldError
from auditor.runtime import FencePolicy, Worker
from auditor.stress.latency import DistantWorld, Latency
from auditor.world import World, open_world

Counts = Counter[str]

CONCURRENCY = 1_000
"""Ticks and steps under way at once: a replay waits for the world here, not for other replays to end."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a worker works."""

    url: str
    policy: FencePolicy
    serialise: bool
    latency: Latency
    seed: int


def worker(world: World, settings: Settings) -> Worker:
    """A worker on a world that is as far away as the settings say."""
    chance = random.Random(settings.seed)  # noqa: S311 - spreads times
    distant = DistantWorld(world, settings.latency, chance)
    return Worker(
        distant, policy=settings.policy, serialise=settings.serialise, concurrency=CONCURRENCY, chance=chance
    )


@asynccontextmanager
async def workers(world: World, settings: Settings, processes: int) -> AsyncIterator[Counts]:
    """Work on a world while the block runs; what was counted is there behind it."""
    counts: Counts = Counter()
    if processes == 1:
        here = worker(world, settings)
        async with here:
            yield counts
        counts.update(here.metrics.totals())
        return
    working = [await _process(replace(settings, seed=settings.seed + number)) for number in range(processes)]
    try:
        yield counts
        for one in working:
            said, _ = await one.communicate(b"")  # without input its stdin would stay open
            if one.returncode != 0:
                raise WorldError("a worker process has failed; what it said stands above")
            counts.update(json.loads(said))
    finally:
        for one in working:
            if one.returncode is None:
                one.kill()


async def _process(settings: Settings) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from auditor.stress.working import main; main()",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None  # noqa: S101 - it was asked for
    process.stdin.write(json.dumps(asdict(settings)).encode() + b"\n")
    return process


async def _work(settings: Settings) -> Counts:
    async with await open_world(settings.url) as world:
        here = worker(world, settings)
        async with here:
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    return Counter(here.metrics.totals())


def main() -> None:
    """A worker process: settings as the first line of stdin, counts on stdout, both JSON."""
    # What goes wrong on purpose is counted, and not worth a line a time.
    logging.getLogger("auditor.runtime").setLevel(logging.ERROR)
    said = json.loads(sys.stdin.readline())
    settings = Settings(
        said["url"],
        FencePolicy(said["policy"]),
        said["serialise"],
        Latency(*said["latency"]),
        said["seed"],
    )
    print(json.dumps(asyncio.run(_work(settings))))

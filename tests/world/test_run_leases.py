"""The lease of a run: one owner ticks it, for throughput; safety is the fence."""

from __future__ import annotations

import asyncio

from acts import attribute, begun
from stores import Harness

from auditor.world.base import BaseWorld


async def test_a_lease_has_one_owner(world: BaseWorld) -> None:
    assert await world.queue.lease_run("run-1", "a")
    assert not await world.queue.lease_run("run-1", "b")
    assert await world.queue.lease_run("run-2", "b")


async def test_its_owner_may_renew_it(harness: Harness) -> None:
    queue = harness.world.queue
    assert await queue.lease_run("run-1", "a", 200)
    assert await queue.lease_run("run-1", "a", 60_000)
    await harness.advance(250)
    assert not await queue.lease_run("run-1", "b")


async def test_it_runs_out(harness: Harness) -> None:
    queue = harness.world.queue
    assert await queue.lease_run("run-1", "a", 20)
    await harness.advance(40)
    assert await queue.lease_run("run-1", "b")
    assert not await queue.lease_run("run-1", "a")


async def test_it_can_be_given_back_by_its_owner_alone(world: BaseWorld) -> None:
    assert await world.queue.lease_run("run-1", "a")
    await world.queue.release_run("run-1", "b")
    assert not await world.queue.lease_run("run-1", "b")
    await world.queue.release_run("run-1", "a")
    assert await world.queue.lease_run("run-1", "b")
    await world.queue.release_run("run-1", "a")
    await world.queue.release_run("run-nobody", "a")
    assert not await world.queue.lease_run("run-1", "a")


async def test_of_many_at_once_one_gets_it(world: BaseWorld) -> None:
    got = await asyncio.gather(*(world.queue.lease_run("run-1", f"worker-{n}") for n in range(8)))
    assert got.count(True) == 1


async def test_it_keeps_nobody_from_writing(world: BaseWorld) -> None:
    run = await begun(world)
    assert await world.queue.lease_run(run.id, "a")
    assert (await run.append(attribute(), fence=await run.tail())).events

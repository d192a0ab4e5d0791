"""The scheduling points of the memory world: a test, or the simulator, decides who goes on."""

from __future__ import annotations

import asyncio

import pytest
from acts import WRITER, OneRun, T, attribute, begun, created, delivery, hook, nowhere, step, wait

from auditor.errors import FenceConflict, LeaseLost
from auditor.world.memory import MemoryWorld


class Gates:
    """Holds every call of one task at its points until it is let through; other tasks pass."""

    def __init__(self) -> None:
        self.held: asyncio.Task[object] | None = None
        self.at: tuple[str, str] | None = None
        self.passed: list[tuple[str, str]] = []
        self._arrived = asyncio.Event()
        self._go_on = asyncio.Event()

    async def point(self, when: str, what: str) -> None:
        if asyncio.current_task() is not self.held:
            return
        self.at = (when, what)
        self._arrived.set()
        await self._go_on.wait()
        self._go_on.clear()
        self.passed.append((when, what))

    async def arrival(self) -> tuple[str, str] | None:
        """Wait until the held task stands at its next point, which is given, or has ended."""
        assert self.held is not None
        arrived = asyncio.ensure_future(self._arrived.wait())
        await asyncio.wait({arrived, self.held}, return_when=asyncio.FIRST_COMPLETED)
        arrived.cancel()
        self._arrived.clear()
        return None if self.held.done() else self.at

    async def to(self, when: str, what: str) -> None:
        """Let the held task go on until it stands at this point."""
        while (at := await self.arrival()) != (when, what):
            assert at is not None, f"the task has ended before it came to {when} {what}"
            self.let_on()

    def let_on(self) -> None:
        self._go_on.set()

    async def to_the_end(self) -> None:
        assert self.held is not None
        self.let_on()
        while await self.arrival() is not None:
            self.let_on()


async def decide(run: OneRun) -> None:
    """A tick in small: read, decide, write under the tail that was read."""
    await run.append(step(T.STEP_CREATED), fence=await run.tail())


async def test_a_decision_is_refused_if_somebody_commits_between_its_read_and_its_write() -> None:
    gates = Gates()
    async with MemoryWorld(point=gates.point) as world:
        run = await begun(world, hook(T.HOOK_CREATED))
        gates.held = asyncio.create_task(decide(run))
        await gates.to("before", "append")
        (missed,) = (await run.append(delivery())).events
        await gates.to_the_end()
        with pytest.raises(FenceConflict) as caught:
            await gates.held
        assert caught.value.missing == (missed,)
        assert (await run.types())[-1] == "hook_received"


async def test_a_decision_is_in_the_log_before_its_writer_knows_it() -> None:
    gates = Gates()
    async with MemoryWorld(point=gates.point) as world:
        run = await begun(world, hook(T.HOOK_CREATED))
        stale = await run.tail()
        gates.held = asyncio.create_task(decide(run))
        await gates.to("after", "append")
        assert (await run.types())[-1] == "step_created"
        await run.refused(FenceConflict, wait(T.WAIT_CREATED), fence=stale)
        await gates.to_the_end()
        await gates.held
        assert await run.types() == ["run_created", "run_started", "hook_created", "step_created"]


async def test_a_lost_acknowledgement_is_made_good_by_the_key() -> None:
    gates = Gates()
    async with MemoryWorld(point=gates.point) as world:
        run = await begun(world)
        gates.held = asyncio.create_task(run.append(attribute(n=1), idempotency_key="key"))
        await gates.to("after", "append")
        gates.held.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gates.held
        assert (await run.append(attribute(n=1), idempotency_key="key")).repeated
        assert len(await run.log()) == 3


async def test_a_writer_that_is_gone_before_its_commit_has_written_nothing() -> None:
    gates = Gates()
    async with MemoryWorld(point=gates.point) as world:
        run = await begun(world)
        gates.held = asyncio.create_task(decide(run))
        await gates.to("before", "append")
        gates.held.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gates.held
        assert len(await run.log()) == 2


async def test_a_refused_append_has_both_of_its_points_too() -> None:
    gates = Gates()
    async with MemoryWorld(point=gates.point) as world:
        run = await begun(world)
        gates.held = asyncio.create_task(run.append(created()))
        await gates.to("before", "append")
        await gates.to_the_end()
        assert gates.passed == [("before", "append"), ("after", "append")]
        assert gates.held.exception() is not None


async def test_a_message_can_be_taken_away_between_delivery_and_answer() -> None:
    gates = Gates()
    clock = [1_000_000]
    async with MemoryWorld(clock=lambda: clock[0], point=gates.point) as world:
        await begun(world)
        (first,) = await world.queue.receive(lease_ms=10)
        gates.held = asyncio.create_task(world.queue.ack(first))
        await gates.to("before", "ack")
        clock[0] += 20
        (second,) = await world.queue.receive()
        await gates.to_the_end()
        with pytest.raises(LeaseLost):
            await gates.held
        assert second.attempt == 2


async def test_a_world_that_nobody_schedules_waits_for_nothing() -> None:
    async with MemoryWorld() as world:
        call = world.append(nowhere(world).id, [created()], None, writer=WRITER)
        with pytest.raises(StopIteration) as done:
            call.send(None)
        assert done.value.value.events[0].position == 1

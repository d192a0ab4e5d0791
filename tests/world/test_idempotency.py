"""Idempotency keys: a request that is sent again is not done again."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from acts import (
    COMPLETED,
    WRITER,
    T,
    attribute,
    begun,
    created,
    hook,
    nowhere,
    step,
    wait,
)

from auditor.errors import EntityConflict, FenceConflict, InvalidEvent
from auditor.world import NewEvent, Wake, tail
from auditor.world.base import BaseWorld


async def test_a_repeated_request_gives_the_first_result(world: BaseWorld) -> None:
    run = await begun(world)
    batch = (step(T.STEP_CREATED), wait(T.WAIT_CREATED))
    first = await run.append(*batch, idempotency_key="key")
    await run.append(attribute())
    again = await run.append(*batch, idempotency_key="key")
    assert (first.repeated, again.repeated) == (False, True)
    assert again.events == first.events
    assert len(await run.log()) == 5


async def test_who_sends_it_again_and_under_which_fence_does_not_matter(world: BaseWorld) -> None:
    run = await begun(world)
    first = await run.append(attribute(a=1), idempotency_key="key", fence=await run.tail())
    other = replace(WRITER, writer_id="writer-2", tick_id=None, attempt=3)
    for fence in (tail(None), None, await run.tail()):
        again = await run.append(attribute(a=1), idempotency_key="key", fence=fence, writer=other)
        assert again.events == first.events


async def test_the_creation_of_a_run_can_be_repeated(world: BaseWorld) -> None:
    run = nowhere(world)
    first = await run.append(created(), idempotency_key="key", fence=tail(None))
    again = await run.append(created(), idempotency_key="key", fence=tail(None))
    assert (again.repeated, again.events) == (True, first.events)


async def test_what_is_repeated_is_what_was_committed_not_what_was_asked_for(world: BaseWorld) -> None:
    holder = await begun(world, hook(T.HOOK_CREATED))
    run = await begun(world)
    first = await run.append(hook(T.HOOK_CREATED), idempotency_key="key")
    await holder.append(hook(T.HOOK_DISPOSED))
    again = await run.append(hook(T.HOOK_CREATED), idempotency_key="key")
    assert [event.event_type for event in again.events] == ["hook_conflict"]
    assert again.events == first.events


@pytest.mark.parametrize(
    "other",
    [
        [attribute(a=2)],
        [attribute(a=1), attribute(a=1)],
        [NewEvent(T.ATTR_SET, "attr_1", {"changes": {"a": 1}})],
        [NewEvent(T.ATTR_SET, data={"changes": {"a": 1}}, occurred_at=1)],
        [NewEvent(T.ATTR_SET, data={"changes": {"a": 1}}, spec_version=4)],
        [NewEvent(T.ATTR_SET)],
        [step(T.STEP_CREATED)],
    ],
    ids=["data", "number", "entity", "time", "spec", "no data", "type"],
)
async def test_a_key_stands_for_one_request_only(world: BaseWorld, other: list[NewEvent]) -> None:
    run = await begun(world)
    await run.append(attribute(a=1), idempotency_key="key")
    await run.refused(InvalidEvent, *other, idempotency_key="key")
    assert len(await run.log()) == 3


async def test_the_wakes_are_part_of_the_request(world: BaseWorld) -> None:
    run = await begun(world)
    await run.append(attribute(), idempotency_key="key", wake=[Wake(5, "a")])
    assert (await run.append(attribute(), idempotency_key="key", wake=[Wake(5, "a")])).repeated
    for wakes in ([], [Wake(6, "a")], [Wake(5, "b")]):
        await run.refused(InvalidEvent, attribute(), idempotency_key="key", wake=wakes)


async def test_a_refusal_is_not_remembered(world: BaseWorld) -> None:
    run = await begun(world)
    await run.refused(FenceConflict, step(T.STEP_CREATED), fence=tail(None), idempotency_key="key")
    await run.refused(EntityConflict, step(T.STEP_STARTED), idempotency_key="key")
    done = await run.append(step(T.STEP_CREATED), fence=await run.tail(), idempotency_key="key")
    assert not done.repeated


async def test_a_key_is_one_of_its_run(world: BaseWorld) -> None:
    run, other = await begun(world), await begun(world)
    first = await run.append(attribute(a=1), idempotency_key="key")
    second = await other.append(attribute(a=2), idempotency_key="key")
    assert not second.repeated
    assert (await run.append(attribute(a=1), idempotency_key="key")).events == first.events


async def test_a_request_without_a_key_is_done_every_time(world: BaseWorld) -> None:
    run = await begun(world)
    for _ in range(3):
        assert not (await run.append(attribute(a=1))).repeated
    assert len(await run.log()) == 5


async def test_a_repeated_request_sends_nothing_again(world: BaseWorld) -> None:
    run = await begun(world)
    await run.append(step(T.STEP_CREATED), idempotency_key="key", wake=[Wake(key="mine")])
    for delivery in await world.queue.receive(limit=10):
        await world.queue.ack(delivery)
    await run.append(step(T.STEP_CREATED), idempotency_key="key", wake=[Wake(key="mine")])
    assert await run.messages() == []


async def test_a_key_lives_on_after_the_end_of_the_run(world: BaseWorld) -> None:
    run = await begun(world)
    first = await run.append(COMPLETED, idempotency_key="key")
    assert (await run.append(COMPLETED, idempotency_key="key")).events == first.events


async def test_of_many_at_once_under_one_key_one_is_done(world: BaseWorld) -> None:
    run = await begun(world)
    done = await asyncio.gather(*(run.append(attribute(a=1), idempotency_key="key") for _ in range(10)))
    assert [result.repeated for result in done].count(False) == 1
    assert len({result.events for result in done}) == 1
    assert len(await run.log()) == 3


async def test_of_many_creations_at_once_under_one_key_one_is_done(world: BaseWorld) -> None:
    run = nowhere(world)
    done = await asyncio.gather(*(run.append(created(), idempotency_key="key") for _ in range(6)))
    assert [result.repeated for result in done].count(False) == 1
    assert len(await run.log()) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\0b", "line\nbreak", "\ud800"], ids=ascii)
async def test_a_key_is_a_text_of_printable_characters(world: BaseWorld, key: str) -> None:
    run = await begun(world)
    await run.refused(InvalidEvent, attribute(), idempotency_key=key)

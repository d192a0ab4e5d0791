"""Signals: an acknowledged delivery is in the log exactly once, and none is refused for staleness."""

from __future__ import annotations

import asyncio

import pytest
from acts import (
    CANCELLED,
    COMPLETED,
    FAILED,
    OTHER,
    PAST,
    STARTED,
    T,
    attribute,
    begun,
    created,
    delivery,
    hook,
    step,
    wait,
)
from stores import Harness

from auditor.errors import InvalidEvent, NotFound, RunTerminal, TooEarly
from auditor.world import NewEvent
from auditor.world.base import BaseWorld


async def test_a_repeated_delivery_is_the_first_event_again(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    first = await run.append(delivery(resume_id="resume-1", n=1))
    again = await run.append(delivery(resume_id="resume-1", n=1))
    assert (first.repeated, again.repeated) == (False, True)
    assert again.events == first.events
    assert first.events[0].resume_id == "resume-1"
    assert (await run.types()).count("hook_received") == 1


async def test_a_resume_id_names_the_delivery_not_its_payload(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    first = await run.append(delivery(resume_id="resume-1", n=1))
    assert (await run.append(delivery(resume_id="resume-1", n=2))).events == first.events


async def test_a_resume_id_names_a_delivery_to_one_hook(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED), hook(T.HOOK_CREATED, "hook_2", token=OTHER))
    await run.append(delivery(resume_id="resume-1"))
    await run.refused(InvalidEvent, delivery("hook_2", resume_id="resume-1"))
    assert (await run.append(delivery("hook_2", resume_id="resume-2"))).events


async def test_a_resume_id_is_one_of_its_run(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    other = await begun(world, hook(T.HOOK_CREATED, token=OTHER))
    await run.append(delivery(resume_id="resume-1"))
    assert not (await other.append(delivery(resume_id="resume-1"))).repeated


async def test_of_many_deliveries_at_once_under_one_resume_id_one_is_in_the_log(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    done = await asyncio.gather(*(run.append(delivery(resume_id="resume-1")) for _ in range(10)))
    assert [result.repeated for result in done].count(False) == 1
    assert len({result.events for result in done}) == 1
    assert (await run.types()).count("hook_received") == 1


async def test_deliveries_without_a_resume_id_are_all_in_the_log(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    done = await asyncio.gather(*(run.append(delivery(n=n)) for n in range(10)))
    assert len({result.events[0].event_id for result in done}) == 10
    assert (await run.types()).count("hook_received") == 10


async def test_a_resume_id_stands_alone_and_on_a_delivery(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    await run.refused(InvalidEvent, delivery(resume_id="resume-1"), attribute())
    await run.refused(InvalidEvent, attribute(), delivery(resume_id="resume-1"))
    await run.refused(InvalidEvent, NewEvent(T.ATTR_SET, resume_id="resume-1"))
    await run.refused(InvalidEvent, NewEvent(T.HOOK_DISPOSED, "hook_1", resume_id="resume-1"))


async def test_a_delivery_needs_an_open_hook(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED), hook(T.HOOK_DISPOSED))
    for entity in ("hook_1", "hook_2", "key-of-a-door"):
        await run.refused(NotFound, delivery(entity))
        await run.refused(NotFound, delivery(entity, resume_id="resume-1"))
        await run.refused(NotFound, attribute(), delivery(entity))


async def test_a_refused_delivery_leaves_its_resume_id_free(world: BaseWorld) -> None:
    run = await begun(world)
    await run.refused(NotFound, delivery(resume_id="resume-1"))
    await run.append(hook(T.HOOK_CREATED))
    assert not (await run.append(delivery(resume_id="resume-1"))).repeated


async def test_a_hook_that_the_same_batch_creates_can_be_delivered_to(world: BaseWorld) -> None:
    run = await begun(world)
    assert (await run.append(hook(T.HOOK_CREATED), delivery())).events


ALL_TYPES = [
    created(),
    STARTED,
    COMPLETED,
    FAILED,
    CANCELLED,
    attribute(),
    step(T.STEP_CREATED),
    step(T.STEP_STARTED),
    step(T.STEP_RETRYING),
    step(T.STEP_COMPLETED),
    step(T.STEP_FAILED),
    hook(T.HOOK_CREATED),
    delivery(),
    delivery(resume_id="resume-1"),
    hook(T.HOOK_DISPOSED),
    wait(T.WAIT_CREATED),
    wait(T.WAIT_COMPLETED),
]


@pytest.mark.parametrize("end", [COMPLETED, FAILED, CANCELLED], ids=lambda event: event.event_type)
async def test_a_run_that_has_ended_takes_nothing_more(world: BaseWorld, end: NewEvent) -> None:
    run = await begun(world, step(T.STEP_CREATED), hook(T.HOOK_CREATED), wait(T.WAIT_CREATED), end)
    log = await run.log()
    for event in ALL_TYPES:
        refused = await run.refused(RunTerminal, event)
        assert refused.actual == (await run.row()).status
    assert await run.log() == log
    assert len(await run.refusals()) == len(ALL_TYPES)


async def test_of_two_ends_at_once_one_is_in_the_log(world: BaseWorld) -> None:
    run = await begun(world)
    ends = [COMPLETED, FAILED, CANCELLED] * 2
    done = await asyncio.gather(*(run.append(end) for end in ends), return_exceptions=True)
    assert [type(result) for result in done].count(RunTerminal) == len(ends) - 1
    assert len(await run.log()) == 3


async def test_a_wait_is_not_over_before_its_time(harness: Harness) -> None:
    soon, late = await harness.later(40), await harness.later()
    run = await begun(harness.world, wait(T.WAIT_CREATED, resume_at=soon))
    await run.append(wait(T.WAIT_CREATED, "wait_2", resume_at=late))
    assert (await run.refused(TooEarly, wait(T.WAIT_COMPLETED, "wait_2"))).retry_at == late
    await harness.advance(60)
    assert (await run.append(wait(T.WAIT_COMPLETED))).events
    await run.refused(TooEarly, wait(T.WAIT_COMPLETED, "wait_2"))


async def test_a_wait_is_over_in_the_millisecond_for_which_it_was_created(timed: Harness) -> None:
    due = await timed.later(10)
    run = await begun(timed.world, wait(T.WAIT_CREATED, resume_at=due))
    await timed.advance(9)
    await run.refused(TooEarly, wait(T.WAIT_COMPLETED))
    await timed.advance(1)
    assert (await run.append(wait(T.WAIT_COMPLETED))).events


async def test_a_wait_cannot_be_created_and_completed_before_its_time_in_one_batch(harness: Harness) -> None:
    run = await begun(harness.world)
    due = await harness.later()
    refused = await run.refused(TooEarly, wait(T.WAIT_CREATED, resume_at=due), wait(T.WAIT_COMPLETED))
    assert refused.retry_at == due


async def test_a_step_is_not_tried_again_before_its_time(harness: Harness) -> None:
    run = await begun(harness.world, step(T.STEP_CREATED), step(T.STEP_STARTED))
    late = await harness.later()
    await run.append(step(T.STEP_RETRYING, retryAfter=late))
    assert (await run.refused(TooEarly, step(T.STEP_STARTED))).retry_at == late
    await run.append(step(T.STEP_RETRYING, retryAfter=await harness.later(30)))
    await harness.advance(50)
    waiting = await run.entity("step_1")
    (event,) = (await run.append(step(T.STEP_STARTED))).events
    started = await run.entity("step_1")
    assert event.data == '{"attempt":2}'
    assert waiting is not None
    assert started is not None
    assert waiting.retry_after is not None
    assert started.retry_after is None


async def test_the_outcome_of_a_step_that_waits_for_its_next_try_is_not_too_early(harness: Harness) -> None:
    run = await begun(harness.world, step(T.STEP_CREATED), step(T.STEP_STARTED))
    await run.append(step(T.STEP_RETRYING, retryAfter=await harness.later()))
    assert (await run.append(step(T.STEP_COMPLETED))).events


@pytest.mark.parametrize("first", [[], [step(T.STEP_STARTED)], [step(T.STEP_RETRYING, retryAfter=PAST)]], ids=len)
async def test_a_retry_holds_back_a_start_behind_it_in_the_same_batch(
    harness: Harness, first: list[NewEvent]
) -> None:
    run = await begun(harness.world, step(T.STEP_CREATED))
    late = await harness.later()
    batch = [*first, step(T.STEP_RETRYING, retryAfter=late), step(T.STEP_STARTED)]
    assert (await run.refused(TooEarly, *batch)).retry_at == late


@pytest.mark.parametrize(
    "moment", [True, -1, 1.5, "tomorrow", "", 10**18, [], {}, "2026-13-01", "9999-12-31T24:00"]
)
async def test_a_time_that_is_none_is_invalid(world: BaseWorld, moment: object) -> None:
    run = await begun(world, step(T.STEP_CREATED))
    await run.refused(InvalidEvent, NewEvent(T.WAIT_CREATED, "wait_1", {"resumeAt": moment}))
    await run.refused(InvalidEvent, NewEvent(T.WAIT_COMPLETED, "wait_1", {"resumeAt": moment}))
    await run.refused(InvalidEvent, step(T.STEP_RETRYING, retryAfter=moment))
    await run.refused(InvalidEvent, hook(T.HOOK_CREATED, tokenRetentionUntil=moment))


async def test_a_wait_needs_a_time(world: BaseWorld) -> None:
    run = await begun(world)
    await run.refused(InvalidEvent, NewEvent(T.WAIT_CREATED, "wait_1"))
    await run.refused(InvalidEvent, NewEvent(T.WAIT_CREATED, "wait_1", {"resumeAt": None}))

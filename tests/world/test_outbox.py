"""The outbox: what an event sends commits with it, so no accepted event is ever forgotten."""

from __future__ import annotations

import pytest
from acts import (
    CANCELLED,
    COMPLETED,
    FAILED,
    PAST,
    STARTED,
    OneRun,
    T,
    attribute,
    begun,
    created,
    delivery,
    hook,
    nowhere,
    step,
    wait,
)
from stores import Harness

from auditor.errors import FenceConflict
from auditor.world import Delivery, MessageKind, NewEvent, Wake, tail
from auditor.world.base import BaseWorld

RUN, STEP = MessageKind.RUN, MessageKind.STEP


async def drained(run: OneRun) -> list[Delivery]:
    """Take everything that is due out of the queue."""
    taken = await run.world.queue.receive(limit=100)
    for each in taken:
        await run.world.queue.ack(each)
    return taken


SENDS = [
    (step(T.STEP_CREATED, "step_2"), [(STEP, "step:step_2", "step_2")]),
    (step(T.STEP_STARTED), []),
    (step(T.STEP_RETRYING), [(STEP, "step:step_1", "step_1")]),
    (step(T.STEP_COMPLETED), [(RUN, "wake", None)]),
    (step(T.STEP_FAILED), [(RUN, "wake", None)]),
    (hook(T.HOOK_CREATED, "hook_2", token="x"), []),
    (hook(T.HOOK_CREATED, "hook_2"), []),
    (delivery(), [(RUN, "wake", None)]),
    (hook(T.HOOK_DISPOSED), []),
    (wait(T.WAIT_CREATED, "wait_2"), [(RUN, "wait:wait_2", "wait_2")]),
    (wait(T.WAIT_COMPLETED), []),
    (attribute(), []),
    (COMPLETED, []),
    (FAILED, []),
    (CANCELLED, [(RUN, "wake", None)]),
]


@pytest.mark.parametrize(
    ("event", "sent"), SENDS, ids=[f"{n}-{event.event_type}" for n, (event, _) in enumerate(SENDS)]
)
async def test_every_event_sends_what_follows_from_it(
    world: BaseWorld, event: NewEvent, sent: list[tuple[MessageKind, str, str | None]]
) -> None:
    run = await begun(world, step(T.STEP_CREATED), hook(T.HOOK_CREATED), wait(T.WAIT_CREATED))
    await drained(run)
    await run.append(event)
    messages = await run.messages()
    assert [(row.kind, row.key, row.correlation_id) for row in messages] == sent
    assert {row.state for row in messages} <= {"waiting"}
    assert {row.run_id for row in messages} <= {run.id}


async def test_a_new_run_is_ticked_and_its_start_sends_nothing(world: BaseWorld) -> None:
    run = nowhere(world)
    (event,) = (await run.append(created())).events
    assert await run.waiting() == {"wake": event.created_at}
    await drained(run)
    await run.append(STARTED)
    assert await run.messages() == []


async def test_what_comes_later_is_due_later(harness: Harness) -> None:
    run = await begun(harness.world)
    soon, late = await harness.later(50_000), await harness.later(60_000)
    await drained(run)
    await run.append(
        wait(T.WAIT_CREATED, resume_at=late), step(T.STEP_CREATED), step(T.STEP_RETRYING, retryAfter=soon)
    )
    (event,) = {event.created_at for event in (await run.log())[-3:]}
    # Two messages of one step are one; the dispatch at once is the earlier of both.
    assert await run.waiting() == {"wait:wait_1": late, "step:step_1": event}
    await drained(run)
    await run.append(step(T.STEP_RETRYING, retryAfter=soon))
    assert await run.waiting() == {"wait:wait_1": late, "step:step_1": soon}


async def test_what_should_have_come_long_ago_is_due_at_once(world: BaseWorld) -> None:
    run = await begun(world, step(T.STEP_CREATED))
    await drained(run)
    await run.append(step(T.STEP_RETRYING, retryAfter=PAST), wait(T.WAIT_CREATED))
    assert {each.key for each in await drained(run)} == {"step:step_1", "wait:wait_1"}


async def test_wakes_that_wait_are_one(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    first = await run.waiting()
    for number in range(5):
        await run.append(delivery(n=number))
    assert await run.waiting() == first


async def test_a_wake_behind_a_leased_one_is_another_message(world: BaseWorld) -> None:
    """The holder of the lease may have read the log before the event that this wake is for."""
    run = await begun(world, hook(T.HOOK_CREATED))
    (leased,) = await world.queue.receive()
    await run.append(delivery())
    assert sorted(row.state for row in await run.messages()) == ["leased", "waiting"]
    await world.queue.ack(leased)
    (again,) = await world.queue.receive()
    assert (again.key, again.attempt) == ("wake", 1)
    assert again.message_id != leased.message_id


async def test_a_refused_append_sends_nothing(world: BaseWorld) -> None:
    run = await begun(world)
    await drained(run)
    await run.refused(FenceConflict, step(T.STEP_CREATED), fence=tail(None), wake=[Wake(key="mine")])
    assert await run.messages() == []


@pytest.mark.parametrize("end", [COMPLETED, FAILED, CANCELLED], ids=lambda event: event.event_type)
async def test_the_end_of_a_run_drops_its_waiting_messages_and_leaves_the_leased_and_those_of_others(
    harness: Harness, end: NewEvent
) -> None:
    world = harness.world
    other, run = await begun(world), await begun(world)
    deliveries = await world.queue.receive(limit=10)
    await run.append(step(T.STEP_CREATED), wait(T.WAIT_CREATED, resume_at=await harness.later()))
    await other.append(step(T.STEP_CREATED))
    await run.append(end)
    left = [(row.key, row.state) for row in await run.messages()]
    assert left == [("wake", "leased"), *([("wake", "waiting")] if end is CANCELLED else [])]
    assert [(row.key, row.state) for row in await other.messages()] == [
        ("wake", "leased"),
        ("step:step_1", "waiting"),
    ]
    for each in deliveries:
        await world.queue.ack(each)


async def test_the_end_of_a_run_drops_also_what_its_own_batch_has_sent(world: BaseWorld) -> None:
    run = await begun(world)
    await run.append(step(T.STEP_CREATED), wait(T.WAIT_CREATED), hook(T.HOOK_CREATED), delivery(), COMPLETED)
    assert await run.messages() == []


async def test_a_cancelled_run_is_ticked_once_more(world: BaseWorld) -> None:
    run = await begun(world, CANCELLED)
    (row,) = await run.messages()
    assert (row.kind, row.key, row.state) == (RUN, "wake", "waiting")


async def test_an_append_may_ask_for_more_wakes(harness: Harness) -> None:
    run = await begun(harness.world)
    await drained(run)
    late = await harness.later()
    done = await run.append(attribute(), wake=[Wake(), Wake(late, "alarm")])
    now = done.events[0].created_at
    assert await run.waiting() == {"wake": now, "alarm": late}
    await run.append(attribute(), wake=[Wake(late - 5, "alarm")])
    await run.append(attribute(), wake=[Wake(late + 5, "alarm")])
    assert await run.waiting() == {"wake": now, "alarm": late - 5}


async def test_two_wakes_of_one_append_with_one_key_are_one(harness: Harness) -> None:
    run = await begun(harness.world)
    await drained(run)
    late = await harness.later()
    await run.append(attribute(), wake=[Wake(late + 1, "alarm"), Wake(late, "alarm"), Wake(late + 2, "alarm")])
    assert await run.waiting() == {"alarm": late}
    await run.append(attribute(), wake=[Wake(late, "wait:wait_1")])
    await run.append(wait(T.WAIT_CREATED, resume_at=late - 7))
    assert (await run.waiting())["wait:wait_1"] == late - 7


async def test_a_wake_that_was_asked_for_outlives_the_end_of_its_append(harness: Harness) -> None:
    run = await begun(harness.world)
    late = await harness.later()
    await run.append(COMPLETED, wake=[Wake(late, "tidy up")])
    assert await run.waiting() == {"tidy up": late}


async def test_every_event_that_wakes_is_followed_by_a_delivery(world: BaseWorld) -> None:
    """However appends and workers interleave: what is committed after a delivery began is delivered again."""
    run = await begun(world, hook(T.HOOK_CREATED))
    seen = 0
    for number in range(20):
        leased = await world.queue.receive(lease_ms=600_000)
        seen = len(await run.log()) if leased else seen
        if number % 3 == 0:
            await run.append(delivery(n=number))
        for each in leased:
            await world.queue.ack(each)
    for each in await world.queue.receive(limit=10):
        seen = len(await run.log())
        await world.queue.ack(each)
    assert seen == len(await run.log())

"""A batch: all of its events or none, as one write."""

from __future__ import annotations

import json

import pytest
from acts import (
    CANCELLED,
    COMPLETED,
    FAILED,
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
from proofs import must_be_sound

from auditor.errors import EntityConflict, InvalidEvent
from auditor.world import NewEvent
from auditor.world.base import BaseWorld


async def test_the_events_of_a_batch_stand_together_in_the_order_in_which_they_were_sent(world: BaseWorld) -> None:
    run = await begun(world)
    before = await run.read()
    sent = [step(T.STEP_CREATED, f"step_{n}") for n in (3, 1, 2)]
    done = await run.append(*sent, fence=await run.tail())
    assert [event.correlation_id for event in done.events] == ["step_3", "step_1", "step_2"]
    assert [event.position for event in done.events] == [3, 4, 5]
    assert {event.tail_at_commit for event in done.events} == {before.tail}
    assert len({(event.request_id, event.commit_seq, event.created_at) for event in done.events}) == 1
    assert await run.log() == before.events + done.events
    must_be_sound(await run.log())


async def test_two_appends_have_two_request_ids_unless_they_bring_one(world: BaseWorld) -> None:
    run = await begun(world)
    first, second = await run.append(attribute()), await run.append(attribute())
    third = await run.append(attribute(), request_id="request-1")
    ids = [done.events[0].request_id for done in (first, second, third)]
    assert len(set(ids)) == 3
    assert ids[2] == "request-1"


async def test_a_whole_life_fits_into_one_batch(world: BaseWorld) -> None:
    run = nowhere(world)
    done = await run.append(
        created(),
        STARTED,
        step(T.STEP_CREATED),
        step(T.STEP_STARTED),
        step(T.STEP_COMPLETED),
        wait(T.WAIT_CREATED),
        wait(T.WAIT_COMPLETED),
        hook(T.HOOK_CREATED),
        delivery(),
        hook(T.HOOK_DISPOSED),
        COMPLETED,
    )
    assert (await run.row()).status == "completed"
    assert [event.position for event in done.events] == list(range(1, 12))
    must_be_sound(await run.log())


async def test_an_event_sees_what_the_events_before_it_in_the_batch_did(world: BaseWorld) -> None:
    run = await begun(world)
    refused = await run.refused(EntityConflict, step(T.STEP_STARTED), step(T.STEP_CREATED))
    assert refused.reason == "not_created"
    refused = await run.refused(EntityConflict, step(T.STEP_CREATED), step(T.STEP_CREATED))
    assert refused.reason == "already_created"
    refused = await run.refused(EntityConflict, hook(T.HOOK_CREATED), hook(T.HOOK_DISPOSED), delivery())
    assert refused.reason == "already_disposed"
    await run.append(step(T.STEP_CREATED), step(T.STEP_STARTED), step(T.STEP_RETRYING), step(T.STEP_STARTED))
    entity = await run.entity("step_1")
    assert entity is not None
    assert (entity.status, entity.attempt) == ("running", 2)


@pytest.mark.parametrize("end", [COMPLETED, FAILED, CANCELLED], ids=lambda event: event.event_type)
async def test_nothing_stands_behind_the_end_of_a_run(world: BaseWorld, end: NewEvent) -> None:
    run = await begun(world)
    await run.refused(InvalidEvent, end, attribute())
    await run.refused(InvalidEvent, end, end)
    assert (await run.append(attribute(), end)).events


async def test_nothing_stands_before_the_creation_of_a_run(world: BaseWorld) -> None:
    await nowhere(world).refused(InvalidEvent, attribute(), created())
    await nowhere(world).refused(InvalidEvent, created(), created())


async def test_a_batch_has_at_least_one_event_and_at_most_a_thousand(world: BaseWorld) -> None:
    run = await begun(world)
    await run.refused(InvalidEvent)
    await run.refused(InvalidEvent, *[attribute(n=n) for n in range(1_001)])
    done = await run.append(*[attribute(n=n) for n in range(1_000)])
    assert len(done.events) == 1_000
    must_be_sound(await run.log())


async def test_the_data_of_an_event_has_at_most_sixteen_mebibytes(world: BaseWorld) -> None:
    run = await begun(world)
    around = len('{"text":""}')
    await run.refused(InvalidEvent, NewEvent(T.ATTR_SET, data={"text": "x" * (2**24 - around + 1)}))
    await run.refused(InvalidEvent, NewEvent(T.ATTR_SET, data={"text": "ä" * (2**23 - around // 2)}))
    (event,) = (await run.append(NewEvent(T.ATTR_SET, data={"text": "x" * (2**24 - around)}))).events
    assert event.data is not None
    assert len(event.data.encode()) == 2**24
    assert (await run.log())[-1] == event


async def test_what_the_result_says_is_what_the_log_holds(world: BaseWorld) -> None:
    run = nowhere(world)
    first = await run.append(created(executionContext={"workflowCoreVersion": "4.8.9"}, deploymentId="d1"))
    second = await run.append(
        NewEvent(T.ATTR_SET, data={"ü": "\u0000\U0001f600"}, occurred_at=5, spec_version=7), fence=None
    )
    assert await run.log() == first.events + second.events
    (event,) = second.events
    assert (event.occurred_at, event.spec_version) == (5, 7)
    assert event.data == json.dumps({"ü": "\u0000\U0001f600"}, ensure_ascii=False, separators=(",", ":"))
    row = await run.row()
    assert (row.core_version, row.deployment_id, row.workflow_name) == ("4.8.9", "d1", "order")


async def test_since_gives_all_events_behind_a_position_those_of_others_and_the_own(world: BaseWorld) -> None:
    run = await begun(world)
    (theirs,) = (await run.append(attribute(a=1))).events
    done = await run.append(attribute(a=2), since=2)
    assert done.since == (theirs, *done.events)
    assert (await run.append(attribute(a=3))).since == ()
    assert (await run.append(attribute(a=4), since=0)).since == await run.log()
    last = await run.append(attribute(a=5), since=6)
    assert last.since == last.events
    assert (await run.append(attribute(a=6), since=99)).since == ()


async def test_since_is_also_answered_when_a_request_is_repeated(world: BaseWorld) -> None:
    run = await begun(world)
    await run.append(attribute(a=1), idempotency_key="key")
    await run.append(attribute(a=2))
    again = await run.append(attribute(a=1), idempotency_key="key", since=2)
    assert again.repeated
    assert again.since == (await run.log())[2:]


async def test_a_run_begins_with_its_creation(world: BaseWorld) -> None:
    run: OneRun = nowhere(world)
    await run.append(created())
    row = await run.row()
    assert (row.status, row.version, row.started_at) == ("pending", 1, None)

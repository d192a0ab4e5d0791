"""The world refuses exactly what the audit would accuse: both read `auditor.model.lifecycle`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from acts import (
    CANCELLED,
    COMPLETED,
    FAILED,
    STARTED,
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
from stores import in_memory

from auditor.errors import EntityConflict, InvalidEvent, NotFound, Refused
from auditor.model.events import EntityKind, EventType
from auditor.model.lifecycle import LIFECYCLE, Move, Stage, accusations
from auditor.world import NewEvent
from auditor.world.base import BaseWorld

STEP, WAIT, HOOK = EntityKind.STEP, EntityKind.WAIT, EntityKind.HOOK
LIVES: dict[EntityKind, dict[Stage, list[list[EventType]]]] = {
    STEP: {
        Stage.ABSENT: [[]],
        Stage.CREATED: [[T.STEP_CREATED]],
        Stage.ACTIVE: [[T.STEP_CREATED, T.STEP_STARTED], [T.STEP_CREATED, T.STEP_RETRYING]],
        Stage.CLOSED: [[T.STEP_CREATED, T.STEP_COMPLETED], [T.STEP_CREATED, T.STEP_STARTED, T.STEP_FAILED]],
    },
    WAIT: {
        Stage.ABSENT: [[]],
        Stage.CREATED: [[T.WAIT_CREATED]],
        Stage.CLOSED: [[T.WAIT_CREATED, T.WAIT_COMPLETED]],
    },
    HOOK: {
        Stage.ABSENT: [[]],
        Stage.CREATED: [[T.HOOK_CREATED]],
        Stage.ACTIVE: [[T.HOOK_CREATED, T.HOOK_RECEIVED]],
        Stage.CLOSED: [[T.HOOK_CREATED, T.HOOK_DISPOSED]],
    },
}
"""Ways to bring an entity to each stage that it can reach."""


def event(event_type: EventType) -> NewEvent:
    """An event of the one entity of its kind, as a writer sends it."""
    make = {"step": step, "wait": wait, "hook": hook}[event_type.partition("_")[0]]
    return make(event_type)


def refused_as(move: Move, stage: Stage) -> type[Refused] | None:
    """How a world refuses what the table accuses."""
    if move.event_type is T.HOOK_CONFLICT:
        return InvalidEvent
    if stage not in move.accuses:
        return None
    return NotFound if move.event_type is T.HOOK_RECEIVED else EntityConflict


def cells() -> Iterator[tuple[Move, Stage, list[EventType]]]:
    for move in LIFECYCLE:
        for stage, lives in LIVES[move.kind].items():
            for life in lives:
                yield move, stage, life


@pytest.mark.parametrize(
    ("move", "stage", "life"),
    [
        pytest.param(move, stage, life, id="-".join([*life, "then", move.event_type]))
        for move, stage, life in cells()
    ],
)
async def test_every_cell_of_the_table(world: BaseWorld, move: Move, stage: Stage, life: list[EventType]) -> None:
    run = await begun(world, *[event(kind) for kind in life])
    expected = refused_as(move, stage)
    if expected is not None:
        await run.refused(expected, event(move.event_type))
    else:
        assert (await run.append(event(move.event_type))).events
    assert await run.types() == ["run_created", "run_started", *life, *([] if expected else [move.event_type])]


@pytest.mark.parametrize("kind", EntityKind)
async def test_every_life_of_up_to_four_events_is_refused_exactly_where_the_audit_would_accuse_it(
    kind: EntityKind,
) -> None:
    types = [move.event_type for move in LIFECYCLE if move.kind is kind and move.event_type is not T.HOOK_CONFLICT]
    async with in_memory().opened() as harness:
        for length in range(1, 5):
            for number, life in enumerate(product(types, repeat=length)):
                token = f"token-{length}-{number}"
                run = await begun(harness.world)
                accepted: list[EventType] = []
                for kind_of_event in life:
                    sent = hook(kind_of_event, token=token) if kind is HOOK else event(kind_of_event)
                    try:
                        await run.append(sent)
                    except (EntityConflict, NotFound):
                        assert [*accusations([*accepted, kind_of_event])], (accepted, kind_of_event)
                    else:
                        accepted.append(kind_of_event)
                assert [*accusations(accepted)] == []
                assert await run.types() == ["run_created", "run_started", *accepted]


async def test_entities_of_one_name_and_different_kinds_are_different(world: BaseWorld) -> None:
    run = await begun(world)
    await run.append(step(T.STEP_CREATED, "x"), wait(T.WAIT_CREATED, "x"), hook(T.HOOK_CREATED, "x"))
    await run.append(wait(T.WAIT_COMPLETED, "x"))
    rows = await world.entities(run.id)
    assert [(row.kind, row.status) for row in rows] == [
        ("hook", "open"),
        ("step", "pending"),
        ("wait", "completed"),
    ]


async def test_entities_of_one_name_in_different_runs_are_different(world: BaseWorld) -> None:
    run, other = await begun(world, step(T.STEP_CREATED)), await begun(world)
    await run.append(step(T.STEP_COMPLETED))
    await other.append(step(T.STEP_CREATED))
    entity = await other.entity("step_1")
    assert entity is not None
    assert entity.status == "pending"


async def test_the_rows_of_a_step_follow_its_life(world: BaseWorld) -> None:
    run = await begun(world, step(T.STEP_CREATED))
    seen = []
    for kind in (T.STEP_STARTED, T.STEP_RETRYING, T.STEP_STARTED, T.STEP_FAILED):
        row = await run.entity("step_1")
        assert row is not None
        seen.append((row.status, row.attempt, row.step_name, row.completed_at))
        (last,) = (await run.append(step(kind))).events
    row = await run.entity("step_1")
    assert row is not None
    assert seen == [
        ("pending", 0, "charge", None),
        ("running", 1, "charge", None),
        ("pending", 1, "charge", None),
        ("running", 2, "charge", None),
    ]
    assert (row.status, row.attempt, row.completed_at) == ("failed", 2, last.created_at)
    assert row.started_at == (await run.log())[3].created_at


async def test_the_world_adds_to_an_event_what_only_it_knows(world: BaseWorld) -> None:
    run = await begun(world, step(T.STEP_CREATED), wait(T.WAIT_CREATED, resume_at="2001-02-03T04:05:06.789Z"))
    first = (await run.append(step(T.STEP_STARTED), step(T.STEP_RETRYING))).events[0]
    (second,) = (await run.append(step(T.STEP_STARTED, ownerMessageId="m1"))).events
    (over,) = (await run.append(wait(T.WAIT_COMPLETED))).events
    assert first.data == '{"attempt":1}'
    assert second.data == '{"ownerMessageId":"m1","attempt":2}'
    assert over.data == '{"resumeAt":"2001-02-03T04:05:06.789Z"}'


async def test_a_wait_is_completed_for_the_time_it_was_created_for(world: BaseWorld) -> None:
    run = await begun(world, wait(T.WAIT_CREATED, resume_at=981_173_106_789))
    await run.refused(EntityConflict, wait(T.WAIT_COMPLETED, resume_at=981_173_106_788))
    assert (await run.append(wait(T.WAIT_COMPLETED, resume_at="2001-02-03T05:05:06.789+01:00"))).events


@pytest.mark.parametrize(
    ("end", "status", "code"),
    [(COMPLETED, "completed", None), (FAILED, "failed", "USER_ERROR"), (CANCELLED, "cancelled", None)],
    ids=["completed", "failed", "cancelled"],
)
async def test_the_row_of_a_run_follows_its_life(
    world: BaseWorld, end: NewEvent, status: str, code: str | None
) -> None:
    run = nowhere(world)
    await run.append(created())
    assert (await run.row()).status == "pending"
    await run.append(STARTED)
    assert (await run.row()).status == "running"
    (last,) = (await run.append(end)).events
    row = await run.row()
    assert (row.status, row.error_code, row.completed_at) == (status, code, last.created_at)
    assert (row.version, row.tail, row.hash) == (3, last.event_id, last.hash)


async def test_a_run_may_end_before_it_started(world: BaseWorld) -> None:
    run = nowhere(world)
    await run.append(created())
    await run.append(CANCELLED)
    assert (await run.row()).status == "cancelled"


async def test_the_spec_of_a_run_is_that_of_its_creation_and_of_its_events(world: BaseWorld) -> None:
    run = nowhere(world)
    await run.append(NewEvent(T.RUN_CREATED, data={"workflowName": "order"}, spec_version=7))
    await run.append(attribute())
    await run.append(NewEvent(T.ATTR_SET, spec_version=8))
    assert [row.spec_version for row in await run.log()] == [7, 7, 8]
    assert (await run.row()).spec_version == 7
    assert (await (await begun(world)).row()).spec_version == 3


async def test_deliveries_to_one_hook_are_as_many_as_there_are(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    for number in range(3):
        await run.append(delivery(n=number))
    assert (await run.types()).count("hook_received") == 3

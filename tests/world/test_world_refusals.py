"""What a refusal says, and what is kept of it."""

from __future__ import annotations

import pytest
from acts import (
    COMPLETED,
    STARTED,
    UNFENCED,
    WRITER,
    OneRun,
    T,
    attribute,
    begun,
    created,
    delivery,
    dumped,
    hook,
    nowhere,
    step,
    wait,
)
from stores import Harness

from auditor import errors
from auditor.errors import (
    AuditorError,
    Divergence,
    EntityConflict,
    FenceConflict,
    InvalidEvent,
    NotFound,
    PreconditionFailed,
    Refused,
    RunTerminal,
    TooEarly,
    WorldError,
)
from auditor.world import NewEvent, as_of, state_updated_at, tail
from auditor.world.base import BaseWorld

CODES = {
    InvalidEvent: ("INVALID_EVENT", 400),
    NotFound: ("NOT_FOUND", 404),
    FenceConflict: ("FENCE_CONFLICT", 412),
    PreconditionFailed: ("PRECONDITION_FAILED", 412),
    RunTerminal: ("RUN_TERMINAL", 410),
    TooEarly: ("TOO_EARLY", 425),
    EntityConflict: ("ENTITY_CONFLICT", 409),
    Divergence: ("ENTITY_CONFLICT", 409),
}


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
def test_every_refusal_has_one_code_and_one_status(kind: type[Refused]) -> None:
    assert (kind.code, kind.status) == CODES[kind]
    assert issubclass(kind, Refused)


def test_no_refusal_is_forgotten_here() -> None:
    known = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Refused)}
    assert known - {Refused} == set(CODES)


def test_a_refusal_is_never_taken_for_another_one() -> None:
    """A stale writer must not be told that its work was done: 412 and 409 have no class in common but Refused."""
    for kind in CODES:
        parents = [parent for parent in CODES if parent is not kind and issubclass(kind, parent)]
        assert parents == ([EntityConflict] if kind is Divergence else [])
    assert issubclass(Refused, WorldError)
    assert issubclass(WorldError, AuditorError)
    assert not issubclass(errors.StoreUnavailable, Refused)


async def test_of_no_such_run(world: BaseWorld) -> None:
    run = nowhere(world)
    refused = await run.refused(NotFound, attribute())
    assert (refused.reason, run.id in str(refused)) == ("no_such_run", True)


async def test_of_no_such_hook(world: BaseWorld) -> None:
    run = await begun(world)
    assert (await run.refused(NotFound, delivery("hook_9"))).reason == "no_such_hook"


async def test_of_a_disposed_hook(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED), hook(T.HOOK_DISPOSED))
    assert (await run.refused(NotFound, delivery())).reason == "disposed"


async def test_of_a_stale_snapshot(world: BaseWorld) -> None:
    run = await begun(world)
    refused = await run.refused(FenceConflict, attribute(), fence=tail(None))
    assert (refused.reason, refused.expected) == ("stale_snapshot", "none")
    assert refused.actual == (await run.row()).tail


async def test_of_the_end_of_a_run(world: BaseWorld) -> None:
    run = await begun(world, COMPLETED)
    assert (await run.refused(RunTerminal, attribute())).actual == "completed"


async def test_of_what_comes_too_early(harness: Harness) -> None:
    due = await harness.later()
    run = await begun(harness.world, wait(T.WAIT_CREATED, resume_at=due))
    refused = await run.refused(TooEarly, wait(T.WAIT_COMPLETED))
    assert (refused.reason, refused.retry_at) == ("not_yet", due)


CONFLICTS = [
    ([], step(T.STEP_STARTED), "not_created", None),
    ([], wait(T.WAIT_COMPLETED), "not_created", None),
    ([], hook(T.HOOK_DISPOSED), "not_created", None),
    ([step(T.STEP_CREATED)], step(T.STEP_CREATED), "already_created", "pending"),
    ([step(T.STEP_CREATED), step(T.STEP_STARTED)], step(T.STEP_CREATED), "already_created", "running"),
    ([step(T.STEP_CREATED), step(T.STEP_COMPLETED)], step(T.STEP_STARTED), "already_completed", "completed"),
    ([step(T.STEP_CREATED), step(T.STEP_FAILED)], step(T.STEP_COMPLETED), "already_completed", "failed"),
    ([wait(T.WAIT_CREATED)], wait(T.WAIT_CREATED), "already_created", "waiting"),
    ([wait(T.WAIT_CREATED), wait(T.WAIT_COMPLETED)], wait(T.WAIT_COMPLETED), "already_completed", "completed"),
    ([hook(T.HOOK_CREATED)], hook(T.HOOK_CREATED), "already_created", "open"),
    ([hook(T.HOOK_CREATED), hook(T.HOOK_DISPOSED)], hook(T.HOOK_DISPOSED), "already_disposed", "disposed"),
    ([], created(), "already_created", "running"),
    ([], STARTED, "already_started", "running"),
    ([step(T.STEP_CREATED)], step(T.STEP_STARTED, stepName="refund"), "other_step", "charge"),
    ([wait(T.WAIT_CREATED)], wait(T.WAIT_COMPLETED, resume_at=2_000), "other_resume_at", "1000"),
]


@pytest.mark.parametrize(
    ("before", "event", "reason", "actual"),
    CONFLICTS,
    ids=[f"{event.event_type}-{reason}-{actual}" for _, event, reason, actual in CONFLICTS],
)
async def test_a_conflict_says_what_the_entity_is_and_is_a_divergence_under_the_right_tail(
    world: BaseWorld, before: list[NewEvent], event: NewEvent, reason: str, actual: str | None
) -> None:
    run = await begun(world, *before)
    log = await run.read()
    for fence in (UNFENCED, None, as_of(log.as_of), state_updated_at(log.as_of)):
        refused = await run.refused(EntityConflict, event, fence=fence)
        assert (refused.reason, refused.actual) == (reason, actual)
    refused = await run.refused(Divergence, event, fence=tail(log.tail))
    assert (refused.reason, refused.actual) == (reason, actual)
    assert await run.log() == log.events


async def test_a_step_of_another_name_says_both_names(world: BaseWorld) -> None:
    run = await begun(world, step(T.STEP_CREATED))
    refused = await run.refused(EntityConflict, step(T.STEP_COMPLETED, stepName="refund"))
    assert (refused.expected, refused.actual) == ("refund", "charge")
    assert (await run.append(step(T.STEP_COMPLETED, stepName="charge"))).events


async def test_the_journal_has_a_row_for_every_event_that_was_refused(world: BaseWorld) -> None:
    run = await begun(world)
    log = await run.log()
    events = (step(T.STEP_CREATED), wait(T.WAIT_CREATED, "wait_9"), COMPLETED)
    before = await world.now()
    await run.refused(FenceConflict, *events, fence=tail(None), request_id="request-1")
    rows = await run.refusals()
    assert [(row.event_type, row.correlation_id) for row in rows] == [
        ("step_created", "step_1"),
        ("wait_created", "wait_9"),
        ("run_completed", None),
    ]
    for row in rows:
        assert row.run_id == run.id
        assert row.fence == '{"kind":"tail","value":"none"}'
        assert (row.code, row.reason) == ("FENCE_CONFLICT", "stale_snapshot")
        assert row.tail_at_refusal == row.actual == log[-1].event_id
        assert row.expected == "none"
        assert row.request_id == "request-1"
        assert (row.writer_id, row.tick_id, row.site, row.write_attempt) == (
            WRITER.writer_id,
            WRITER.tick_id,
            WRITER.site,
            WRITER.attempt,
        )
        assert before <= row.refused_at <= await world.now()


async def test_every_kind_of_refusal_is_in_the_journal_but_what_no_world_could_accept(harness: Harness) -> None:
    run = await begun(
        harness.world,
        step(T.STEP_CREATED),
        hook(T.HOOK_CREATED),
        delivery(),
        wait(T.WAIT_CREATED, resume_at=await harness.later()),
    )
    await run.refused(InvalidEvent, NewEvent(T.STEP_STARTED))
    await run.refused(InvalidEvent, attribute(), fence=as_of(await harness.later()))
    await run.refused(NotFound, delivery("hook_9"))
    await run.refused(FenceConflict, attribute(), fence=tail(None))
    await run.refused(PreconditionFailed, attribute(), fence=state_updated_at(0))
    await run.refused(TooEarly, wait(T.WAIT_COMPLETED))
    await run.refused(EntityConflict, step(T.STEP_CREATED))
    await run.refused(Divergence, step(T.STEP_CREATED), fence=await run.tail())
    await run.append(COMPLETED)
    await run.refused(RunTerminal, attribute(), fence=None)
    assert [(row.code, row.reason) for row in await run.refusals()] == [
        ("NOT_FOUND", "no_such_hook"),
        ("FENCE_CONFLICT", "stale_snapshot"),
        ("PRECONDITION_FAILED", "newer_signal"),
        ("TOO_EARLY", "not_yet"),
        ("ENTITY_CONFLICT", "already_created"),
        ("ENTITY_CONFLICT", "already_created"),
        ("RUN_TERMINAL", None),
    ]
    assert (await run.refusals())[-1].fence is None


async def test_the_rows_of_the_journal_are_numbered_and_those_of_a_run_can_be_asked_for(world: BaseWorld) -> None:
    runs = sorted([await begun(world), await begun(world)], key=lambda run: run.id, reverse=True)
    for run in [*runs, *runs]:
        await run.refused(FenceConflict, attribute(), fence=tail(None))
    rows = await dumped(world, "refusal")
    assert [row[1] for row in rows] == [runs[1].id] * 2 + [runs[0].id] * 2
    assert len({row[0] for row in rows}) == 4
    of_one = await dumped(world, "refusal", runs[0].id)
    assert of_one == rows[2:]
    assert of_one[0][0] < of_one[1][0]


async def test_a_run_that_is_not_there_has_no_journal(world: BaseWorld) -> None:
    await nowhere(world).refused(NotFound, attribute())
    await nowhere(world).refused(FenceConflict, created(), fence=tail("evnt_1"))
    assert await dumped(world, "refusal") == []


async def test_nothing_of_a_refused_batch_is_anywhere(world: BaseWorld) -> None:
    run = await begun(world, step(T.STEP_CREATED))
    before = await _everything(run)
    good = (wait(T.WAIT_CREATED), hook(T.HOOK_CREATED), step(T.STEP_STARTED), step(T.STEP_CREATED, "step_2"))
    await run.refused(EntityConflict, *good, step(T.STEP_CREATED))
    await run.refused(FenceConflict, *good, fence=tail(None))
    await run.refused(InvalidEvent, *good, NewEvent(T.STEP_STARTED))
    assert await _everything(run) == before
    assert await world.hook_by_token("key-of-a-door") is None
    assert (await run.append(*good)).events


async def _everything(run: OneRun) -> list[object]:
    """All that the world knows of a run, but the journal."""
    return [await dumped(run.world, table, run.id) for table in ("run", "event", "entity", "message")]

"""`tail`, `unfenced`, and nothing at all."""

from __future__ import annotations

import pytest
from acts import (
    COMPLETED,
    STARTED,
    UNFENCED,
    OneRun,
    T,
    attribute,
    begun,
    created,
    dumped,
    fence_of,
    nowhere,
    step,
    wait,
)

from auditor.errors import EntityConflict, FenceConflict, InvalidEvent, NotFound
from auditor.model.events import FenceKind
from auditor.world import Fence, from_request, tail, unfenced
from auditor.world.base import BaseWorld

UNKNOWN = "evnt_01ARZ3NDEKTSV4RRFFQ69G5FAV"


async def test_an_append_under_the_tail_is_accepted_and_says_so(world: BaseWorld) -> None:
    run = await begun(world)
    before = await run.read()
    done = await run.append(step(T.STEP_CREATED), fence=tail(before.tail))
    (event,) = done.events
    assert not done.repeated
    assert event.position == 3
    assert fence_of(event) == {"kind": "tail", "value": before.tail}
    assert event.tail_at_commit == before.tail
    assert done.tail == event.event_id == (await run.row()).tail


async def test_the_first_append_of_a_run_is_fenced_by_none(world: BaseWorld) -> None:
    run = nowhere(world)
    done = await run.append(created(), STARTED, fence=tail(None))
    assert [fence_of(event) for event in done.events] == [{"kind": "tail", "value": "none"}] * 2
    assert {event.tail_at_commit for event in done.events} == {"none"}


async def test_a_fence_of_none_is_refused_once_the_run_exists(world: BaseWorld) -> None:
    run = await begun(world)
    refused = await run.refused(FenceConflict, created(), fence=tail(None))
    assert refused.expected == "none"
    assert refused.missing == await run.log()


async def test_a_new_run_has_no_other_tail_than_none(world: BaseWorld) -> None:
    run = nowhere(world)
    refused = await run.refused(FenceConflict, created(), fence=tail(UNKNOWN))
    assert (refused.expected, refused.actual) == (UNKNOWN, "none")
    assert await world.run(run.id) is None


async def test_a_stale_tail_is_refused_with_exactly_the_events_that_were_missed(world: BaseWorld) -> None:
    run = await begun(world)
    stale = await run.read()
    await run.append(step(T.STEP_CREATED))
    await run.append(wait(T.WAIT_CREATED), attribute(a=1))
    log = await run.log()
    refused = await run.refused(FenceConflict, COMPLETED, fence=tail(stale.tail))
    assert (refused.expected, refused.actual) == (stale.tail, log[-1].event_id)
    assert refused.missing == log[2:]
    assert await run.log() == log


async def test_a_fence_inside_a_batch_misses_the_rest_of_it(world: BaseWorld) -> None:
    run = await begun(world)
    batch = (await run.append(attribute(a=1), attribute(a=2), attribute(a=3))).events
    refused = await run.refused(FenceConflict, COMPLETED, fence=tail(batch[0].event_id))
    assert refused.missing == batch[1:]


async def test_a_fence_that_names_no_event_of_the_run_gives_no_list_of_missing_events(world: BaseWorld) -> None:
    run, other = await begun(world), await begun(world)
    for unknown in (UNKNOWN, (await other.read()).tail, "no id at all"):
        refused = await run.refused(FenceConflict, COMPLETED, fence=tail(unknown))
        assert refused.missing is None
        assert (refused.expected, refused.actual) == (unknown, (await run.read()).tail)


async def test_a_refused_writer_that_merges_what_it_missed_is_accepted(world: BaseWorld) -> None:
    run = await begun(world)
    stale = await run.tail()
    await run.append(attribute(a=1))
    refused = await run.refused(FenceConflict, step(T.STEP_CREATED), fence=stale)
    assert (await run.append(step(T.STEP_CREATED), fence=tail(refused.missing[-1].event_id))).events


async def test_each_result_carries_the_tail_for_the_next_append(world: BaseWorld) -> None:
    run = nowhere(world)
    fence = tail(None)
    for event in (created(), STARTED, step(T.STEP_CREATED), step(T.STEP_STARTED), COMPLETED):
        fence = tail((await run.append(event, fence=fence)).tail)
    assert len(await run.log()) == 5


@pytest.mark.parametrize("fence", [UNFENCED, None], ids=["unfenced", "nothing"])
async def test_an_append_without_a_condition_is_accepted_and_moves_the_tail(
    world: BaseWorld, fence: Fence | None
) -> None:
    run = await begun(world)
    stale = await run.tail()
    (other,) = (await run.append(attribute(a=1), fence=fence)).events
    assert other.tail_at_commit == stale.value
    refused = await run.refused(FenceConflict, attribute(a=2), fence=stale)
    assert refused.missing == (other,)
    assert (await run.append(attribute(a=3), fence=tail(other.event_id))).events


async def test_what_the_writer_sent_is_what_the_log_keeps(world: BaseWorld) -> None:
    run = await begun(world)
    await run.append(attribute(a=1), fence=unfenced('a "signal" from outside'))
    await run.append(attribute(a=2), fence=None)
    *_, with_reason, with_nothing = await run.log()
    assert fence_of(with_reason) == {"kind": "unfenced", "value": None, "reason": 'a "signal" from outside'}
    assert with_nothing.fence is None


async def test_a_conflict_comes_before_the_state_of_the_entity_and_a_divergence_after_it(world: BaseWorld) -> None:
    run = await begun(world, step(T.STEP_CREATED))
    stale = await run.tail()
    await run.append(step(T.STEP_COMPLETED))
    await run.refused(FenceConflict, step(T.STEP_COMPLETED), fence=stale)
    await run.refused(EntityConflict, step(T.STEP_COMPLETED))


@pytest.mark.parametrize(
    "fence",
    [
        Fence(FenceKind.COUNT, "3"),
        unfenced(""),
        Fence(FenceKind.UNFENCED, UNKNOWN, "a test"),
        Fence(FenceKind.TAIL, None),
        Fence(FenceKind.TAIL, ""),
        Fence(FenceKind.TAIL, "x" * 256),
        Fence(FenceKind.TAIL, "evnt_\0"),
        Fence(FenceKind.AS_OF, None),
        Fence(FenceKind.AS_OF, "-1"),
        Fence(FenceKind.AS_OF, "1.5"),
        Fence(FenceKind.AS_OF, "٣"),
        Fence(FenceKind.AS_OF, "9" * 20),
        Fence(FenceKind.AS_OF, "9" * 10_000),
        Fence(FenceKind.STATE_UPDATED_AT, "2026-11-19T08:30:00Z"),
        Fence(FenceKind.STATE_UPDATED_AT, ""),
    ],
    ids=lambda fence: f"{fence.kind}-{str(fence.value)[:30]}",
)
async def test_a_fence_that_no_world_can_judge_is_invalid(world: BaseWorld, fence: Fence) -> None:
    run = await begun(world)
    await run.refused(InvalidEvent, attribute(), fence=fence)


async def test_a_fence_for_a_run_that_is_not_there_is_not_judged(world: BaseWorld) -> None:
    refused = await nowhere(world).refused(NotFound, attribute(), fence=tail(UNKNOWN))
    assert refused.reason == "no_such_run"
    assert await dumped(world, "refusal") == []


async def test_fences_of_one_run_say_nothing_of_another(world: BaseWorld) -> None:
    run, other = await begun(world), await begun(world)
    fence = await run.tail()
    await other.append(attribute(a=1))
    assert (await run.append(attribute(a=1), fence=fence)).events


def test_a_request_means_the_strongest_fence_that_it_names() -> None:
    assert from_request() is None
    assert from_request("evnt_1", 2, 3) == tail("evnt_1")
    assert from_request(None, 2, 3) == Fence(FenceKind.AS_OF, "2")
    assert from_request(None, None, 3) == Fence(FenceKind.STATE_UPDATED_AT, "3")
    assert from_request(None, 0, 3) == Fence(FenceKind.AS_OF, "0")


async def test_only_the_writer_whose_fence_holds_gets_in(world: BaseWorld) -> None:
    run = await begun(world)
    fence = await run.tail()
    outcomes = [await _tried(run, fence) for _ in range(5)]
    assert outcomes == [True, False, False, False, False]


async def _tried(run: OneRun, fence: Fence) -> bool:
    try:
        await run.append(attribute(a=1), fence=fence)
    except FenceConflict:
        return False
    return True

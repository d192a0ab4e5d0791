"""`as_of` and `state_updated_at`: what they prove, and what they do not."""

from __future__ import annotations

import asyncio

from acts import (
    COMPLETED,
    T,
    attribute,
    begun,
    created,
    delivery,
    fence_of,
    hook,
    nowhere,
    step,
    wait,
)
from stores import Harness

from auditor.errors import FenceConflict, InvalidEvent, PreconditionFailed
from auditor.model.events import FenceKind
from auditor.model.ids import milliseconds
from auditor.world import Fence, as_of, state_updated_at
from auditor.world.base import BaseWorld


async def test_the_as_of_of_a_snapshot_is_accepted_while_nothing_was_committed(world: BaseWorld) -> None:
    run = await begun(world)
    snapshot = await run.read()
    (event,) = (await run.append(attribute(a=1), fence=as_of(snapshot.as_of))).events
    assert fence_of(event) == {"kind": "as_of", "value": str(snapshot.as_of), "resolved": snapshot.tail}


async def test_a_commit_in_between_is_refused_however_fast_it_came(world: BaseWorld) -> None:
    """Also in the millisecond of the read: the clocks of the memory and SQLite stores stand still here."""
    run = await begun(world)
    snapshot = await run.read()
    (missed,) = (await run.append(attribute(a=1))).events
    refused = await run.refused(FenceConflict, COMPLETED, fence=as_of(snapshot.as_of))
    assert (refused.expected, refused.actual) == (snapshot.tail, missed.event_id)
    assert refused.missing == (missed,)


async def test_a_time_between_two_events_resolves_to_the_older_one(world: BaseWorld) -> None:
    run = await begun(world)
    first = await run.read()
    later = (await run.append(attribute(a=1), attribute(a=2))).events
    refused = await run.refused(FenceConflict, COMPLETED, fence=as_of(milliseconds(later[0].event_id) or 0))
    assert refused.expected == first.tail
    assert refused.missing == later


async def test_a_time_before_the_run_resolves_to_none(world: BaseWorld) -> None:
    run = await begun(world)
    refused = await run.refused(FenceConflict, COMPLETED, fence=as_of(0))
    assert refused.expected == "none"
    assert refused.missing == await run.log()
    fresh = nowhere(world)
    (event,) = (await fresh.append(created(), fence=as_of(0))).events
    assert fence_of(event)["resolved"] == "none"


async def test_the_time_of_the_store_is_no_future(harness: Harness) -> None:
    run = await begun(harness.world)
    await harness.advance(20)
    (event,) = (await run.append(attribute(a=1), fence=as_of(await harness.later(0)))).events
    assert fence_of(event)["resolved"] == event.tail_at_commit


async def test_a_time_in_the_future_of_the_store_is_invalid(harness: Harness) -> None:
    run = await begun(harness.world)
    await run.refused(InvalidEvent, attribute(), fence=as_of(await harness.later()))
    await nowhere(harness.world).refused(InvalidEvent, created(), fence=as_of(await harness.later()))
    assert await run.refusals() == []


async def test_ids_that_ran_ahead_of_the_clock_leave_the_as_of_of_a_snapshot_valid(timed: Harness) -> None:
    run = await begun(timed.world, *[attribute(n=n) for n in range(20)])
    snapshot = await run.read()
    assert snapshot.as_of > await timed.later(0)
    assert (await run.append(attribute(), fence=as_of(snapshot.as_of))).events
    await run.refused(InvalidEvent, attribute(), fence=as_of(snapshot.as_of + 2))


async def test_a_signal_that_is_newer_than_the_state_is_refused(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    state = milliseconds((await run.row()).tail or "") or 0
    (signal,) = (await run.append(delivery())).events
    refused = await run.refused(PreconditionFailed, COMPLETED, fence=state_updated_at(state))
    assert refused.reason == "newer_signal"
    assert (refused.expected, refused.actual) == (str(state), str(milliseconds(signal.event_id)))


async def test_an_outcome_that_is_newer_than_the_state_is_refused(world: BaseWorld) -> None:
    for outcome in (T.STEP_COMPLETED, T.STEP_FAILED):
        run = await begun(world, step(T.STEP_CREATED), step(T.STEP_STARTED))
        state = milliseconds((await run.row()).tail or "") or 0
        await run.append(step(outcome))
        await run.refused(PreconditionFailed, COMPLETED, fence=state_updated_at(state))


async def test_a_state_as_new_as_the_last_signal_is_accepted(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED), delivery())
    state = milliseconds((await run.row()).tail or "") or 0
    (event,) = (await run.append(attribute(a=1), fence=state_updated_at(state))).events
    assert fence_of(event) == {"kind": "state_updated_at", "value": str(state)}


async def test_a_decision_that_is_newer_than_the_state_passes_which_is_why_this_fence_is_weak(
    world: BaseWorld,
) -> None:
    run = await begun(world)
    state = milliseconds((await run.row()).tail or "") or 0
    await run.append(wait(T.WAIT_CREATED), step(T.STEP_CREATED))
    await run.append(wait(T.WAIT_COMPLETED), step(T.STEP_STARTED))
    assert (await run.append(wait(T.WAIT_CREATED, "wait_2"), fence=state_updated_at(state))).events


async def test_a_new_run_has_no_signal_yet(world: BaseWorld) -> None:
    assert (await nowhere(world).append(created(), fence=state_updated_at(0))).events


async def test_of_many_writers_with_one_as_of_one_gets_in(world: BaseWorld) -> None:
    run = await begun(world)
    fence: Fence = as_of((await run.read()).as_of)
    outcomes = await asyncio.gather(
        *(run.append(attribute(n=n), fence=fence) for n in range(8)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes].count(FenceConflict) == 7
    assert len(await run.log()) == 3


async def test_the_kind_of_a_fence_survives_in_the_journal(world: BaseWorld) -> None:
    run = await begun(world)
    await run.refused(FenceConflict, COMPLETED, fence=as_of(0))
    (refusal,) = await run.refusals()
    assert fence_of(refusal) == {"kind": FenceKind.AS_OF, "value": "0"}

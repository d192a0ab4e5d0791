"""Ids and times: their order is the order of the log, whatever the clock does."""

from __future__ import annotations

import re

from acts import T, attribute, begun, created, nowhere, wait
from proofs import must_be_sound
from stores import Harness

from auditor.model.ids import IdScheme, milliseconds, scheme
from auditor.world.base import BaseWorld


async def test_an_event_id_is_a_ulid_of_the_sdks_form(world: BaseWorld) -> None:
    run = await begun(world)
    for event in await run.log():
        assert scheme(event.event_id) is IdScheme.ULID
        assert re.fullmatch("evnt_[0-9A-HJKMNP-TV-Z]{26}", event.event_id)


async def test_the_time_in_an_id_is_that_of_the_commit_for_a_writer_who_is_no_faster_than_the_clock(
    harness: Harness,
) -> None:
    run = nowhere(harness.world)
    for sent in (created(), attribute(), attribute()):
        before = await harness.later(0) - harness.lag
        (event,) = (await run.append(sent)).events
        assert before <= (milliseconds(event.event_id) or 0) <= await harness.later(0)
        assert before <= event.created_at <= await harness.later(0)
        await harness.advance(3)


async def test_no_two_appends_to_a_run_share_a_millisecond(world: BaseWorld) -> None:
    run = nowhere(world)
    appends = [await run.append(event, attribute()) for event in (created(), *[attribute()] * 20)]
    moments = [{milliseconds(event.event_id) for event in done.events} for done in appends]
    assert all(len(of_batch) == 1 for of_batch in moments)
    assert len(set.union(*moments)) == 21


async def test_ids_ascend_and_times_stand_still_while_a_clock_is_set_back(timed: Harness) -> None:
    assert timed.clock is not None
    run = await begun(timed.world)
    for back in (1, 3_600_000, -10, 90_000_000):
        timed.clock.ms -= back
        await run.append(attribute(back=back), attribute())
    log = await run.log()
    must_be_sound(log)
    assert len(log) == 10


async def test_the_clock_of_a_world_never_falls_behind_its_last_commit(timed: Harness) -> None:
    assert timed.clock is not None
    run = await begun(timed.world)
    last = (await run.log())[-1]
    timed.clock.ms -= 3_600_000
    assert await timed.world.now() == last.created_at
    other = await begun(timed.world)
    assert (await other.log())[0].created_at == last.created_at


async def test_a_wait_is_over_by_the_clock_of_the_world_not_by_one_that_was_set_back(timed: Harness) -> None:
    assert timed.clock is not None
    run = await begun(timed.world, wait(T.WAIT_CREATED, resume_at=timed.clock.ms))
    timed.clock.ms -= 3_600_000
    assert (await run.append(wait(T.WAIT_COMPLETED))).events


async def test_ids_that_ran_ahead_fall_back_to_the_clock(timed: Harness) -> None:
    assert timed.clock is not None
    run = await begun(timed.world, *[attribute()] * 30)
    await timed.advance(1_000)
    (event,) = (await run.append(attribute())).events
    assert milliseconds(event.event_id) == timed.clock.ms == event.created_at


async def test_rows_carry_the_time_of_their_events(world: BaseWorld) -> None:
    run = await begun(world, attribute())
    log, row = await run.log(), await run.row()
    assert row.created_at == log[0].created_at
    assert row.updated_at == log[-1].created_at
    assert row.started_at == log[1].created_at

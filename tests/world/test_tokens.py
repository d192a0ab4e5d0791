"""Hook tokens: one holder at a time, in the whole world."""

from __future__ import annotations

import asyncio

import pytest
from acts import (
    CANCELLED,
    COMPLETED,
    FAILED,
    OTHER,
    TOKEN,
    OneRun,
    T,
    attribute,
    begun,
    created,
    data_of,
    delivery,
    hook,
    nowhere,
    step,
)
from proofs import must_be_sound
from stores import Harness

from auditor.errors import EntityConflict, InvalidEvent
from auditor.world import NewEvent
from auditor.world.base import BaseWorld

ENDS = pytest.mark.parametrize("end", [COMPLETED, FAILED, CANCELLED], ids=lambda event: event.event_type)


async def holder_of(world: BaseWorld, token: str = TOKEN) -> tuple[str, str] | None:
    """Who holds a token: run and hook."""
    entity = await world.hook_by_token(token)
    return None if entity is None else (entity.run_id, entity.correlation_id)


async def test_the_holder_of_a_token_can_be_found_by_it(world: BaseWorld) -> None:
    assert await world.hook_by_token(TOKEN) is None
    run = await begun(world, hook(T.HOOK_CREATED))
    entity = await world.hook_by_token(TOKEN)
    assert entity == await run.entity("hook_1")
    assert entity is not None
    assert (entity.run_id, entity.status, entity.token) == (run.id, "open", TOKEN)


async def test_a_taken_token_is_a_hook_conflict_in_the_log_and_its_siblings_stand(world: BaseWorld) -> None:
    holder = await begun(world, hook(T.HOOK_CREATED))
    run = await begun(world)
    fence = await run.tail()
    done = await run.append(step(T.STEP_CREATED), hook(T.HOOK_CREATED), attribute(a=1), fence=fence)
    assert [event.event_type for event in done.events] == ["step_created", "hook_conflict", "attr_set"]
    assert data_of(done.events[1]) == {"token": TOKEN, "conflictingRunId": holder.id}
    assert await holder_of(world) == (holder.id, "hook_1")
    assert (await run.refusals()) == []
    must_be_sound(await run.log())


async def test_a_hook_that_did_not_get_its_token_is_closed(world: BaseWorld) -> None:
    await begun(world, hook(T.HOOK_CREATED))
    run = await begun(world, hook(T.HOOK_CREATED))
    entity = await run.entity("hook_1")
    assert entity is not None
    assert (entity.status, entity.token) == ("disposed", None)
    refused = await run.refused(EntityConflict, hook(T.HOOK_CREATED))
    assert refused.reason == "already_disposed"


async def test_a_run_conflicts_with_itself_too(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    (event,) = (await run.append(hook(T.HOOK_CREATED, "hook_2"))).events
    assert event.event_type == "hook_conflict"
    assert data_of(event)["conflictingRunId"] == run.id
    assert await holder_of(world) == (run.id, "hook_1")


async def test_of_two_hooks_of_one_batch_the_first_gets_the_token(world: BaseWorld) -> None:
    run = await begun(world)
    done = await run.append(
        hook(T.HOOK_CREATED), hook(T.HOOK_CREATED, "hook_2"), hook(T.HOOK_CREATED, "hook_3", token=OTHER)
    )
    assert [event.event_type for event in done.events] == ["hook_created", "hook_conflict", "hook_created"]
    assert await holder_of(world) == (run.id, "hook_1")
    assert await holder_of(world, OTHER) == (run.id, "hook_3")


async def test_a_token_can_be_taken_by_the_first_event_of_a_run(world: BaseWorld) -> None:
    holder, run = nowhere(world), nowhere(world)
    await holder.append(created(), hook(T.HOOK_CREATED))
    await run.append(created(), hook(T.HOOK_CREATED))
    assert await holder.types() == ["run_created", "hook_created"]
    assert await run.types() == ["run_created", "hook_conflict"]


async def test_a_disposed_hook_frees_its_token(world: BaseWorld) -> None:
    holder, run = await begun(world, hook(T.HOOK_CREATED)), await begun(world)
    await holder.append(hook(T.HOOK_DISPOSED))
    assert await holder_of(world) is None
    await run.append(hook(T.HOOK_CREATED))
    assert await holder_of(world) == (run.id, "hook_1")


async def test_a_token_changes_hands_inside_one_batch(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    done = await run.append(
        hook(T.HOOK_DISPOSED),
        hook(T.HOOK_CREATED, "hook_2"),
        hook(T.HOOK_DISPOSED, "hook_2"),
        hook(T.HOOK_CREATED, "hook_3"),
        hook(T.HOOK_CREATED, "hook_4"),
    )
    assert done.events[-1].event_type == "hook_conflict"
    assert await holder_of(world) == (run.id, "hook_3")
    await run.append(hook(T.HOOK_CREATED, "hook_5", token=OTHER), hook(T.HOOK_DISPOSED, "hook_5"))
    assert await holder_of(world, OTHER) is None
    assert (await run.append(hook(T.HOOK_CREATED, "hook_6", token=OTHER))).events[0].event_type == "hook_created"


async def test_the_conflict_of_one_hook_frees_nothing_of_another(world: BaseWorld) -> None:
    holder = await begun(world, hook(T.HOOK_CREATED))
    run = await begun(world, hook(T.HOOK_CREATED))
    await run.append(COMPLETED)
    assert await holder_of(world) == (holder.id, "hook_1")


@ENDS
async def test_the_end_of_a_run_closes_its_hooks_and_frees_their_tokens(world: BaseWorld, end: NewEvent) -> None:
    holder = await begun(world, hook(T.HOOK_CREATED), hook(T.HOOK_CREATED, "hook_2", token=OTHER), end)
    last = (await holder.log())[-1]
    for entity in await world.entities(holder.id, "hook"):
        assert (entity.status, entity.completed_at) == ("disposed", last.created_at)
    run = await begun(world, hook(T.HOOK_CREATED), hook(T.HOOK_CREATED, "hook_2", token=OTHER))
    assert await holder_of(world) == (run.id, "hook_1")
    assert await holder_of(world, OTHER) == (run.id, "hook_2")


async def test_a_token_is_freed_by_an_end_in_the_batch_that_takes_or_uses_it(world: BaseWorld) -> None:
    first = await begun(world)
    await first.append(hook(T.HOOK_CREATED), COMPLETED)
    second = await begun(world, hook(T.HOOK_CREATED))
    assert await holder_of(world) == (second.id, "hook_1")
    await second.append(delivery(), COMPLETED)
    assert await holder_of(world) is None
    third = await begun(world, hook(T.HOOK_CREATED))
    assert await holder_of(world) == (third.id, "hook_1")
    for run in (first, second):
        entity = await run.entity("hook_1")
        assert entity is not None
        assert (entity.status, entity.completed_at) == ("disposed", (await run.log())[-1].created_at)


async def test_a_retained_token_stays_taken_after_the_end_of_its_run(harness: Harness) -> None:
    world = harness.world
    until = await harness.later()
    holder = await begun(world, hook(T.HOOK_CREATED, tokenRetentionUntil=until), COMPLETED)
    entity = await holder.entity("hook_1")
    assert entity is not None
    assert (entity.status, entity.token_retention_until) == ("disposed", until)
    assert await holder_of(world) is None, "nobody can be reached by it"
    run = await begun(world, hook(T.HOOK_CREATED))
    assert (await run.types())[-1] == "hook_conflict"
    assert data_of((await run.log())[-1])["conflictingRunId"] == holder.id


async def test_a_retained_token_is_free_when_its_time_is_over(harness: Harness) -> None:
    world = harness.world
    await begun(world, hook(T.HOOK_CREATED, tokenRetentionUntil=await harness.later(30)), COMPLETED)
    await harness.advance(60)
    run = await begun(world, hook(T.HOOK_CREATED))
    assert await holder_of(world) == (run.id, "hook_1")


async def test_a_hook_that_one_batch_opened_and_closed_has_never_held_its_token(harness: Harness) -> None:
    brief = await begun(harness.world)
    until = await harness.later()
    await brief.append(hook(T.HOOK_CREATED, tokenRetentionUntil=until), COMPLETED)
    run = await begun(harness.world, hook(T.HOOK_CREATED))
    assert await holder_of(harness.world) == (run.id, "hook_1")


async def test_retention_keeps_a_token_also_if_the_last_batch_touched_its_hook(harness: Harness) -> None:
    until = await harness.later()
    holder = await begun(harness.world, hook(T.HOOK_CREATED, tokenRetentionUntil=until))
    await holder.append(delivery(), COMPLETED)
    run = await begun(harness.world, hook(T.HOOK_CREATED))
    assert (await run.types())[-1] == "hook_conflict"


async def test_retention_does_not_outlive_a_disposal(harness: Harness) -> None:
    until = await harness.later()
    holder = await begun(harness.world, hook(T.HOOK_CREATED, tokenRetentionUntil=until), hook(T.HOOK_DISPOSED))
    run = await begun(harness.world, hook(T.HOOK_CREATED))
    assert await holder_of(harness.world) == (run.id, "hook_1")
    await holder.append(COMPLETED)
    assert await holder_of(harness.world) == (run.id, "hook_1")


async def test_a_retention_that_is_over_before_the_end_retains_nothing(harness: Harness) -> None:
    await begun(harness.world, hook(T.HOOK_CREATED, tokenRetentionUntil=1), COMPLETED)
    run = await begun(harness.world, hook(T.HOOK_CREATED))
    assert await holder_of(harness.world) == (run.id, "hook_1")


async def test_a_token_is_granted_once_however_many_ask_at_once(world: BaseWorld) -> None:
    runs = [await begun(world) for _ in range(8)]
    await asyncio.gather(*(run.append(hook(T.HOOK_CREATED)) for run in runs))
    got = [(await run.types())[-1] for run in runs]
    assert sorted(got) == ["hook_conflict"] * 7 + ["hook_created"]
    assert await holder_of(world) == (runs[got.index("hook_created")].id, "hook_1")


async def test_a_token_that_passes_from_hand_to_hand_at_once_has_no_holder_at_the_end(world: BaseWorld) -> None:
    runs = [await begun(world) for _ in range(6)]

    async def take_and_give(run: OneRun, entity: str) -> None:
        (event,) = (await run.append(hook(T.HOOK_CREATED, entity))).events
        if event.event_type == "hook_created":
            await run.append(hook(T.HOOK_DISPOSED, entity))

    await asyncio.gather(*(take_and_give(run, f"hook_{n}") for run in runs for n in range(3)))
    assert await holder_of(world) is None
    last = await begun(world, hook(T.HOOK_CREATED))
    assert await holder_of(world) == (last.id, "hook_1")


@pytest.mark.parametrize("token", ["", "x" * 256, "a\0", "\ud800", 5, None, ["a"]], ids=ascii)
async def test_a_token_is_a_text_of_printable_characters(world: BaseWorld, token: object) -> None:
    run = await begun(world)
    await run.refused(InvalidEvent, NewEvent(T.HOOK_CREATED, "hook_1", {"token": token}))
    await run.refused(InvalidEvent, NewEvent(T.HOOK_CREATED, "hook_1"))

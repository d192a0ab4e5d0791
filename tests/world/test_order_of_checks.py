"""The checks stand in one order, in every store. Each test breaks two at once; the earlier one answers."""

from __future__ import annotations

from acts import (
    CANCELLED,
    COMPLETED,
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
from stores import LONG, Harness

from auditor.errors import (
    EntityConflict,
    FenceConflict,
    InvalidEvent,
    NotFound,
    PreconditionFailed,
    RunTerminal,
    TooEarly,
)
from auditor.world import Fence, NewEvent, as_of, state_updated_at, tail
from auditor.world.base import BaseWorld


async def stale(run: OneRun) -> Fence:
    """A fence on the event before the last one."""
    return tail((await run.log())[-2].event_id)


async def test_malformed_before_no_such_run(world: BaseWorld) -> None:
    await nowhere(world).refused(InvalidEvent, NewEvent(T.STEP_STARTED))


async def test_as_of_in_the_future_before_no_such_run(harness: Harness) -> None:
    await nowhere(harness.world).refused(InvalidEvent, attribute(), fence=as_of(await harness.later()))


async def test_no_such_run_before_a_key_that_another_run_has_used(world: BaseWorld) -> None:
    run = await begun(world)
    await run.append(attribute(), idempotency_key="key")
    await nowhere(world).refused(NotFound, attribute(), idempotency_key="key")


async def test_malformed_before_a_key_that_was_used(world: BaseWorld) -> None:
    run = await begun(world)
    await run.append(attribute(), idempotency_key="key")
    await run.refused(InvalidEvent, attribute(), NewEvent(T.STEP_STARTED), idempotency_key="key")


async def test_a_used_key_before_a_used_resume_id(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    first = await run.append(attribute(), idempotency_key="key")
    second = await run.append(delivery(resume_id="resume"))
    refused = await run.refused(InvalidEvent, delivery(resume_id="resume"), idempotency_key="key")
    assert "idempotency key" in str(refused)
    again = await run.append(delivery(resume_id="resume"), idempotency_key="another")
    assert (again.repeated, again.events) == (True, second.events)
    assert (await run.append(attribute(), idempotency_key="key")).events == first.events


async def test_a_used_key_before_a_disposed_hook(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    first = await run.append(delivery(), idempotency_key="key")
    await run.append(hook(T.HOOK_DISPOSED))
    again = await run.append(delivery(), idempotency_key="key")
    assert (again.repeated, again.events) == (True, first.events)


async def test_a_used_key_before_a_stale_fence(world: BaseWorld) -> None:
    run = await begun(world)
    first = await run.append(step(T.STEP_CREATED), idempotency_key="key", fence=await run.tail())
    await run.append(attribute())
    again = await run.append(step(T.STEP_CREATED), idempotency_key="key", fence=await stale(run))
    assert (again.repeated, again.events) == (True, first.events)


async def test_a_used_key_before_the_end_of_the_run(world: BaseWorld) -> None:
    run = await begun(world)
    first = await run.append(attribute(), COMPLETED, idempotency_key="key")
    again = await run.append(attribute(), COMPLETED, idempotency_key="key")
    assert (again.repeated, again.events) == (True, first.events)


async def test_a_used_resume_id_before_a_disposed_hook(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    first = await run.append(delivery(resume_id="resume"))
    await run.append(hook(T.HOOK_DISPOSED))
    again = await run.append(delivery(resume_id="resume"))
    assert (again.repeated, again.events) == (True, first.events)


async def test_a_used_resume_id_before_a_stale_fence(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    first = await run.append(delivery(resume_id="resume"))
    await run.append(attribute())
    again = await run.append(delivery(resume_id="resume"), fence=await stale(run))
    assert (again.repeated, again.events) == (True, first.events)


async def test_a_used_resume_id_before_the_end_of_the_run(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    first = await run.append(delivery(resume_id="resume"))
    await run.append(CANCELLED)
    again = await run.append(delivery(resume_id="resume"))
    assert (again.repeated, again.events) == (True, first.events)


async def test_no_such_hook_before_a_stale_fence(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED), hook(T.HOOK_DISPOSED))
    for entity in ("hook_1", "hook_2"):
        await run.refused(NotFound, delivery(entity), fence=await stale(run))
        await run.refused(NotFound, delivery(entity), fence=as_of(0))


async def test_a_stale_fence_before_the_end_of_the_run(world: BaseWorld) -> None:
    run = await begun(world, step(T.STEP_CREATED), step(T.STEP_COMPLETED), COMPLETED)
    await run.refused(FenceConflict, attribute(), fence=await stale(run))
    await run.refused(FenceConflict, attribute(), fence=as_of(0))
    await run.refused(PreconditionFailed, attribute(), fence=state_updated_at(0))
    await run.refused(RunTerminal, attribute(), fence=await run.tail())


async def test_a_stale_fence_before_too_early(harness: Harness) -> None:
    run = await begun(harness.world, wait(T.WAIT_CREATED, resume_at=await harness.later()))
    await run.refused(FenceConflict, wait(T.WAIT_COMPLETED), fence=await stale(run))
    await run.refused(TooEarly, wait(T.WAIT_COMPLETED), fence=await run.tail())


async def test_a_stale_fence_before_the_state_of_the_entity(world: BaseWorld) -> None:
    """The seed's follow-up bug: told "already completed", a stale writer took its own decision for done."""
    run = await begun(world, step(T.STEP_CREATED), step(T.STEP_COMPLETED))
    fences = (await stale(run), as_of(0), tail(None), tail("evnt_unknown"))
    for fence in fences:
        await run.refused(FenceConflict, step(T.STEP_COMPLETED), fence=fence)
        await run.refused(FenceConflict, step(T.STEP_CREATED), fence=fence)
    await run.refused(PreconditionFailed, step(T.STEP_COMPLETED), fence=state_updated_at(0))
    assert [refusal.code for refusal in await run.refusals()].count("ENTITY_CONFLICT") == 0


async def test_a_stale_fence_before_the_state_of_the_run(world: BaseWorld) -> None:
    run = await begun(world)
    await run.refused(FenceConflict, STARTED, fence=tail(None))
    await run.refused(FenceConflict, created(), fence=tail(None))


async def test_the_end_of_the_run_before_too_early(harness: Harness) -> None:
    run = await begun(harness.world, wait(T.WAIT_CREATED, resume_at=await harness.later()), COMPLETED)
    await run.refused(RunTerminal, wait(T.WAIT_COMPLETED))


async def test_the_end_of_the_run_before_the_state_of_the_entity(world: BaseWorld) -> None:
    run = await begun(world, step(T.STEP_CREATED), step(T.STEP_COMPLETED), COMPLETED)
    await run.refused(RunTerminal, step(T.STEP_COMPLETED))
    await run.refused(RunTerminal, created())


async def test_the_end_of_the_run_disposed_its_hooks_and_is_the_better_answer(world: BaseWorld) -> None:
    run = await begun(world, hook(T.HOOK_CREATED), COMPLETED)
    await run.refused(RunTerminal, delivery())


async def test_too_early_before_the_state_of_the_entity(harness: Harness) -> None:
    due = await harness.later()
    run = await begun(harness.world, wait(T.WAIT_CREATED, resume_at=due), step(T.STEP_CREATED))
    early = wait(T.WAIT_COMPLETED, resume_at=due + LONG)
    await run.refused(TooEarly, early)
    await run.refused(TooEarly, step(T.STEP_CREATED), wait(T.WAIT_COMPLETED))
    await run.refused(EntityConflict, step(T.STEP_CREATED))

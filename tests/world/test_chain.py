"""The hash chain, recomputed from its written recipe."""

from __future__ import annotations

import hashlib

from acts import (
    COMPLETED,
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
from proofs import must_be_sound, recomputed

from auditor.model.rows import Event
from auditor.world import NewEvent, as_of, state_updated_at, tail
from auditor.world.base import BaseWorld


async def every_shape(world: BaseWorld) -> tuple[Event, ...]:
    """A log with every kind of fence, and with every column of the chain once null and once not."""
    await begun(world, hook(T.HOOK_CREATED))
    run = nowhere(world)
    await run.append(created(), STARTED, fence=tail(None))
    await run.append(NewEvent(T.ATTR_SET))
    await run.append(
        NewEvent(T.ATTR_SET, "ünïcode", {"a": "\u2028 \u0001 \U0001f600"}, spec_version=9), fence=None
    )
    await run.append(step(T.STEP_CREATED), hook(T.HOOK_CREATED), fence=await run.tail())
    await run.append(step(T.STEP_STARTED), fence=as_of((await run.read()).as_of))
    await run.append(wait(T.WAIT_CREATED), fence=state_updated_at((await run.read()).as_of))
    await run.append(wait(T.WAIT_COMPLETED))
    await run.append(hook(T.HOOK_CREATED, "hook_2", token="x"))
    await run.append(delivery("hook_2", resume_id="resume"))
    await run.append(COMPLETED, fence=await run.tail())
    return await run.log()


async def test_the_chain_is_made_by_the_recipe_in_the_schema(world: BaseWorld) -> None:
    must_be_sound(await every_shape(world))


async def test_the_first_link_written_out(world: BaseWorld) -> None:
    run = nowhere(world)
    (event,) = (await run.append(NewEvent(T.RUN_CREATED, data={"workflowName": "w"}), fence=tail(None))).events
    data = hashlib.sha256(b'{"workflowName":"w"}').hexdigest()
    text = f"\x1f1\x1f{event.event_id}\x1frun_created\x1f\x1f{event.created_at}\x1f3\x1ftail\x1fnone\x1f{data}"
    assert event.data_sha256 == data
    assert event.prev_hash is None
    assert event.hash == hashlib.sha256(text.encode()).hexdigest()


async def test_the_run_keeps_the_head_of_its_chain(world: BaseWorld) -> None:
    run = await begun(world, attribute())
    log, row = await run.log(), await run.row()
    assert (row.hash, row.tail, row.version) == (log[-1].hash, log[-1].event_id, 3)


async def test_an_edit_or_a_gap_breaks_the_chain(world: BaseWorld) -> None:
    log = await every_shape(world)
    edits = [
        {"event_type": "attr_set_"},
        {"correlation_id": "other"},
        {"created_at": 1},
        {"spec_version": 1},
        {"event_id": "evnt_1"},
        {"data_sha256": None},
        {"fence": '{"kind":"tail","value":"evnt_1"}'},
    ]
    for edit in edits:
        edited = [*log[:4], log[4]._replace(**edit), *log[5:]]
        assert recomputed(edited)[4:] != [event.hash for event in log[4:]], edit
    assert recomputed([*log[:4], *log[5:]])[-1] != log[-1].hash


async def test_a_redacted_log_still_verifies(world: BaseWorld) -> None:
    log = [event._replace(data=None) for event in await every_shape(world)]
    assert recomputed(log) == [event.hash for event in log]

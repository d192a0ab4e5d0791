"""Reads: prefixes of logs, pages of runs, entities, and a dump of one moment."""

from __future__ import annotations

import asyncio

import pytest
from acts import (
    COMPLETED,
    STARTED,
    OneRun,
    T,
    attribute,
    begun,
    created,
    dumped,
    hook,
    nowhere,
    step,
    wait,
)
from proofs import must_be_sound

from auditor.errors import FenceConflict, NotFound
from auditor.model.ids import milliseconds
from auditor.model.rows import Entity, Event, Refusal, Run
from auditor.world import tail
from auditor.world.base import BaseWorld
from auditor.world.protocol import StoredMessage


async def test_the_events_of_a_run_are_read_in_order_from_a_position_on(world: BaseWorld) -> None:
    run = await begun(world, *[attribute(n=n) for n in range(5)])
    log = await run.log()
    assert [event.position for event in log] == [1, 2, 3, 4, 5, 6, 7]
    for after in range(9):
        snapshot = await run.read(after)
        assert snapshot.events == log[after:]
        assert snapshot.after == after
        assert snapshot.complete
        assert snapshot.tail == log[-1].event_id


async def test_a_limit_cuts_a_snapshot_off_and_it_says_so(world: BaseWorld) -> None:
    run = await begun(world, *[attribute(n=n) for n in range(3)])
    log = await run.log()
    first = await run.read(limit=2)
    assert (first.events, first.complete, first.tail) == (log[:2], False, log[1].event_id)
    second = await run.read(after=2, limit=2)
    assert (second.events, second.complete) == (log[2:4], False)
    last = await run.read(after=4, limit=2)
    assert (last.events, last.complete, last.tail) == (log[4:], True, log[-1].event_id)
    assert (await run.read(limit=5)).complete
    assert (await run.read(after=5, limit=5)).complete


async def test_a_page_that_is_not_the_end_is_no_tail(world: BaseWorld) -> None:
    run = await begun(world, attribute())
    page = await run.read(limit=2)
    refused = await run.refused(FenceConflict, COMPLETED, fence=tail(page.tail))
    assert refused.missing == (await run.log())[2:]


async def test_the_as_of_of_a_snapshot_is_the_first_moment_that_no_event_of_it_carries(world: BaseWorld) -> None:
    run = await begun(world, attribute())
    snapshot = await run.read()
    assert snapshot.as_of == (milliseconds(snapshot.events[-1].event_id) or 0) + 1
    (event,) = (await run.append(attribute())).events
    assert (milliseconds(event.event_id) or 0) >= snapshot.as_of


async def test_a_snapshot_brings_the_run_as_it_was_at_that_moment(world: BaseWorld) -> None:
    run = await begun(world)
    before = await run.read()
    await run.append(COMPLETED)
    after = await run.read()
    assert (before.run.status, before.run.version) == ("running", 2)
    assert (after.run.status, after.run.version) == ("completed", 3)
    assert after.run == await world.run(run.id)


async def test_a_snapshot_is_one_moment_however_many_write(world: BaseWorld) -> None:
    run = await begun(world)

    async def write() -> None:
        for number in range(10):
            await run.append(attribute(n=number), attribute(n=number))

    async def read() -> None:
        for _ in range(20):
            snapshot = await run.read()
            assert len(snapshot.events) == snapshot.run.version
            assert snapshot.events[-1].event_id == snapshot.run.tail
            assert len(snapshot.events) % 2 == 0

    await asyncio.gather(write(), read(), write(), read())
    must_be_sound(await run.log())


async def test_a_run_that_is_not_there_is_none_or_not_found(world: BaseWorld) -> None:
    run = nowhere(world)
    assert await world.run(run.id) is None
    assert await world.entities(run.id) == []
    with pytest.raises(NotFound) as caught:
        await run.read()
    assert caught.value.reason == "no_such_run"
    assert run.id in str(caught.value)


async def test_the_row_of_a_run_says_what_its_creation_said(world: BaseWorld) -> None:
    run = await begun(world, deploymentId="dpl_1", executionContext={"workflowCoreVersion": "4.8.9"})
    row = await run.row()
    assert (row.workflow_name, row.deployment_id, row.core_version) == ("order", "dpl_1", "4.8.9")
    bare = await (await begun(world, deploymentId=5, executionContext="4.8.9")).row()
    assert (bare.deployment_id, bare.core_version) == (None, None)


async def test_runs_are_read_in_pages_by_id(world: BaseWorld) -> None:
    ids = ["run-b", "run-a", "run-Z", "run_1", "Run-0", "run-é"]
    for number, name in enumerate(ids):
        await OneRun(world, name).append(created(), *([COMPLETED] if number % 2 else []))
    # By the code points of the id, whatever the locale of the store.
    assert [row.run_id for row in await world.runs()] == sorted(ids)
    pages, after = [], None
    while page := await world.runs(after=after, limit=4):
        pages.append(len(page))
        after = page[-1].run_id
    assert pages == [4, 2]
    assert [row.run_id for row in await world.runs("completed")] == sorted(ids[1::2])
    assert [row.run_id for row in await world.runs("pending", after="run-a", limit=1)] == ["run-b"]
    assert await world.runs("failed") == []
    assert await world.runs("no such status") == []


async def test_entities_are_read_by_kind_and_id(world: BaseWorld) -> None:
    run, other = await begun(world), await begun(world, step(T.STEP_CREATED))
    await run.append(wait(T.WAIT_CREATED, "b"), step(T.STEP_CREATED, "z"), step(T.STEP_CREATED, "a"))
    await run.append(hook(T.HOOK_CREATED, "Z"))
    rows = await world.entities(run.id)
    assert [(row.kind, row.correlation_id) for row in rows] == [
        ("hook", "Z"),
        ("step", "a"),
        ("step", "z"),
        ("wait", "b"),
    ]
    assert [row.correlation_id for row in await world.entities(run.id, "step")] == ["a", "z"]
    assert await world.entities(run.id, "no such kind") == []
    assert len(await world.entities(other.id)) == 1


async def test_rows_are_of_their_types(world: BaseWorld) -> None:
    run = await begun(world, step(T.STEP_CREATED))
    await run.refused(FenceConflict, attribute(), fence=tail(None))
    types = {"run": Run, "event": Event, "entity": Entity}
    for table, kind in types.items():
        for row in await dumped(world, table):
            assert kind._make(row) == row
            assert len(row) == len(kind._fields)
    (refusal,) = await dumped(world, "refusal")
    assert isinstance(refusal[0], int)
    assert Refusal._make(refusal[1:]).run_id == run.id
    assert {type(row) for row in await dumped(world, "message")} == {StoredMessage}
    assert all(isinstance(row.message_id, str) for row in await dumped(world, "message"))


async def test_a_dump_gives_the_tables_in_the_order_asked_for_by_run_and_position(world: BaseWorld) -> None:
    runs = sorted([await begun(world) for _ in range(4)], key=lambda run: run.id, reverse=True)
    for run in [*runs, *runs]:
        await run.append(step(T.STEP_CREATED, f"step_{len(await run.log())}"))
    tables = [table async for table, _ in world.dump(["event", "message", "entity", "run"])]
    assert list(dict.fromkeys(tables)) == ["event", "message", "entity", "run"]
    events = [Event._make(row) for row in await dumped(world, "event")]
    assert [(event.run_id, event.position) for event in events] == sorted(
        (event.run_id, event.position) for event in events
    )
    assert len(events) == 16
    for table in ("entity", "message", "run"):
        ids = [row.run_id if table == "message" else row[0] for row in await dumped(world, table)]
        assert ids == sorted(ids)


async def test_a_dump_of_one_run_holds_nothing_of_another(world: BaseWorld) -> None:
    run, other = await begun(world, step(T.STEP_CREATED)), await begun(world, step(T.STEP_CREATED))
    for each in (run, other):
        await each.refused(FenceConflict, attribute(), fence=tail(None))
    assert await dumped(world, "event", run.id) == list(await run.log())
    assert await dumped(world, "run", run.id) == [await run.row()]
    assert await dumped(world, "entity", run.id) == await world.entities(run.id)
    assert {row[1] for row in await dumped(world, "refusal", run.id)} == {run.id}
    assert {row.run_id for row in await run.messages()} == {run.id}
    for table in ("run", "event", "refusal", "entity", "message"):
        assert await dumped(world, table, "run-nobody") == []


async def test_a_dump_is_one_moment_whatever_is_appended_meanwhile(world: BaseWorld) -> None:
    run = await begun(world, step(T.STEP_CREATED))
    before = {table: await dumped(world, table) for table in ("run", "event", "entity", "refusal", "message")}
    seen: dict[str, list[object]] = {table: [] for table in before}
    async for table, rows in world.dump(list(before)):
        seen[table] += rows
        await begun(world, step(T.STEP_CREATED))
        await run.append(attribute(), step(T.STEP_CREATED, f"step_{table}"))
        await run.refused(FenceConflict, attribute(), fence=tail(None))
    assert seen == before


async def test_a_dump_that_is_given_up_holds_nothing(world: BaseWorld) -> None:
    run = await begun(world)
    dump = world.dump(["event", "run"])
    async for _ in dump:
        break
    await dump.aclose()  # type: ignore[attr-defined]
    assert (await run.append(attribute())).events


async def test_time_does_not_go_back(world: BaseWorld) -> None:
    first = await world.now()
    await begun(world)
    assert first <= await world.now()


async def test_a_long_log_is_read_whole(world: BaseWorld) -> None:
    run = nowhere(world)
    await run.append(created(), STARTED, *[attribute(n=n) for n in range(998)])
    await run.append(*[attribute(n=n) for n in range(1_000)])
    await run.append(*[attribute(n=n) for n in range(500)])
    assert len(await run.log()) == len(await dumped(world, "event")) == 2_500
    must_be_sound(await run.log())

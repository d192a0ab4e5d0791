"""What a PostgreSQL world says when its server cannot: typed errors, nothing lost, and callers go on."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import postgres
import psycopg
import pytest
from crash.wire import Cut, Wire, wire
from postgres import OWNER, PASSWORD, Server
from world.acts import COMPLETED, T, attribute, begun, created, hook, step
from world.proofs import must_be_sound
from world.stores import postgres_template

from auditor.errors import NotAWorld, StoreBusy, StoreFull, StoreUnavailable, WorldError
from auditor.world import NewEvent, Writer, create_world, new_run_id, tail, unfenced
from auditor.world.postgres import PostgresWorld

if TYPE_CHECKING:
    from world.acts import OneRun

PATIENCE = 0.6
"""Seconds that a world of these tests takes for a call before it gives up."""


@pytest.fixture(scope="module")
def template(server: Server) -> str:
    return postgres_template(server)


@pytest.fixture
def url(server: Server, template: str) -> str:
    """A database with an empty world, over loopback."""
    name = f"faults_{secrets.token_hex(4)}"
    server.psql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return server.url(name, OWNER, "secret")


def database(url: str) -> str:
    return url.rsplit("/", 1)[1]


def at(server: Server, url: str, port: int | None = None) -> str:
    """The URL with the right password, and another port if one is given."""
    conninfo = psycopg.conninfo.make_conninfo(
        user=OWNER, password=PASSWORD, host="127.0.0.1", port=port or server.port, dbname=database(url)
    )
    return str(conninfo)


@pytest.fixture
async def cable(server: Server) -> AsyncIterator[Wire]:
    async with wire(server.port) as carried:
        yield carried


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER, Cut.WITHIN])
@pytest.mark.parametrize("kind", ["a new run", "a decision", "a signal", "an outcome with a key", "the end"])
async def test_an_append_whose_connection_breaks_is_in_the_log_once(
    server: Server, url: str, cable: Wire, cut: Cut, kind: str
) -> None:
    async with await PostgresWorld.open(at(server, url, cable.port)) as world:
        run = await begun(world, step(T.STEP_CREATED), hook(T.HOOK_CREATED))
        request = f"req-{secrets.token_hex(8)}"
        cable.fail(cut, request)
        if kind == "a new run":
            new = new_run_id()
            done = await world.append(new, [created()], tail(None), writer=Writer("w"), request_id=request)
            log = (await world.events(new)).events
        else:
            event, fence, key = {
                "a decision": (step(T.STEP_CREATED, "step_2"), await run.tail(), None),
                "a signal": (NewEvent(T.HOOK_RECEIVED, "hook_1", resume_id="r1"), unfenced("a signal"), None),
                "an outcome with a key": (step(T.STEP_COMPLETED), unfenced("a step"), "the outcome"),
                "the end": (COMPLETED, await run.tail(), None),
            }[kind]
            done = await run.append(event, fence=fence, request_id=request, idempotency_key=key)
            log = await run.log()
        assert cable.cuts == 1
        assert [event.request_id for event in log].count(request) == 1
        assert log[-1] == done.events[0]
        must_be_sound(log)
        again = await run.append(step(T.STEP_CREATED, "step_9")) if kind != "the end" else None
        assert again is None or again.events


async def test_reads_and_messages_outlive_a_broken_connection(server: Server, url: str, cable: Wire) -> None:
    async with await PostgresWorld.open(at(server, url, cable.port)) as world:
        run = await begun(world, step(T.STEP_CREATED))
        cable.fail(Cut.AFTER, "ORDER BY")
        assert len((await run.read()).events) == 3
        deliveries = await world.queue.receive(limit=9)
        for delivery in deliveries:
            cable.fail(Cut.AFTER, "DELETE FROM message")
            await world.queue.ack(delivery)
        assert await world.queue.depth() == {"waiting": 0, "due": 0, "leased": 0, "dead": 0}
        assert cable.cuts >= 3


async def test_an_answer_that_never_comes_is_looked_up_on_another_connection(
    server: Server, url: str, cable: Wire
) -> None:
    async with await PostgresWorld.open(at(server, url, cable.port), timeout_seconds=PATIENCE) as world:
        run = await begun(world)
        request = f"req-{secrets.token_hex(8)}"
        cable.fail(Cut.SILENT, request)
        started = time.monotonic()
        done = await run.append(attribute(), request_id=request)
        assert time.monotonic() - started < 10
        assert [event.request_id for event in await run.log()].count(request) == 1
        assert (await run.log())[-1] == done.events[0]


async def test_a_run_that_somebody_else_has_locked_is_busy(server: Server, url: str) -> None:
    async with await PostgresWorld.open(at(server, url), timeout_seconds=PATIENCE) as world:
        run = await begun(world)
        other = await begun(world)
        async with await psycopg.AsyncConnection.connect(at(server, url)) as blocker:
            await blocker.execute("SELECT 1 FROM auditor.run WHERE run_id = %s FOR UPDATE", (run.id,))
            with pytest.raises(StoreBusy, match="nothing was written"):
                await run.append(attribute())
            await other.append(attribute())
        assert len(await run.log()) == 2
        await run.append(attribute())


async def test_a_full_disk_is_said_so_and_nothing_is_written(server: Server, url: str) -> None:
    """The server's own error, raised where it would arise; nobody fills the disk of the tests."""
    full = (
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$; "
        "CREATE TRIGGER full_disk BEFORE INSERT ON auditor.message EXECUTE FUNCTION full_disk();"
    )
    async with await PostgresWorld.open(at(server, url)) as world:
        run = await begun(world)
        server.psql(full, database(url))
        with pytest.raises(StoreFull, match="could not extend file"):
            await run.append(attribute(), step(T.STEP_CREATED))
        assert len(await run.log()) == 2
        await run.append(attribute())  # sends no message, so it needs no room there
        server.psql("DROP TRIGGER full_disk ON auditor.message", database(url))
        await run.append(step(T.STEP_CREATED))
        must_be_sound(await run.log())


async def test_a_server_that_is_down_is_said_so_and_used_again_when_it_is_back() -> None:
    with postgres.server() as server:
        url = server.url("postgres")
        await create_world(url)
        async with await PostgresWorld.open(url, timeout_seconds=PATIENCE) as world:
            run = await begun(world)
            await asyncio.to_thread(server.stop, signal.SIGQUIT)
            for call in (run.append(attribute()), run.read(), world.queue.receive(), world.now()):
                with pytest.raises(StoreUnavailable):
                    await call
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                await PostgresWorld.open(url)
            await asyncio.to_thread(server.start)
            await _soon(run)
            assert [event.event_type for event in await run.log()] == [T.RUN_CREATED, T.RUN_STARTED, T.ATTR_SET]


async def _soon(run: OneRun) -> None:
    """Append as soon as the pool has found the server again."""
    for _ in range(50):
        try:
            await run.append(attribute(), idempotency_key="once")
        except StoreUnavailable:
            await asyncio.sleep(0.1)
        else:
            return
    pytest.fail("the world does not find its server again")


async def test_what_is_in_flight_when_a_world_closes_is_answered(server: Server, url: str) -> None:
    world = await PostgresWorld.open(at(server, url))
    runs = [await begun(world) for _ in range(20)]
    asked = [asyncio.ensure_future(run.append(attribute())) for run in runs]
    await asyncio.sleep(0)
    await world.close()
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(one, WorldError) or one.events for one in told)
    with pytest.raises(StoreUnavailable, match="was closed"):
        await runs[0].append(attribute())
    async with await PostgresWorld.open(at(server, url)) as again:
        for run, one in zip(runs, told, strict=True):
            stored = len((await again.events(run.id)).events)
            assert stored == (2 if isinstance(one, WorldError) else 3)


async def test_a_caller_who_gives_up_leaves_the_whole_append_or_none(server: Server, url: str) -> None:
    async with await PostgresWorld.open(at(server, url)) as world:
        runs = [await begun(world) for _ in range(20)]
        asked = [asyncio.ensure_future(run.append(attribute(), step(T.STEP_CREATED))) for run in runs]
        for turns, one in enumerate(asked):
            for _ in range(turns % 7):
                await asyncio.sleep(0)
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        for run in runs:
            assert len(await run.log()) in (2, 4)
            await run.append(step(T.STEP_CREATED, "step_2"))
            must_be_sound(await run.log())


async def test_what_may_not_be_used_is_no_world_and_no_password_is_shown(server: Server, url: str) -> None:
    wrong = psycopg.conninfo.make_conninfo(at(server, url), password="s3cret-guess")
    nobody = psycopg.conninfo.make_conninfo(at(server, url), dbname="no_such_database", password="s3cret-guess")
    for bad in (wrong, nobody):
        with pytest.raises((NotAWorld, StoreUnavailable)) as told:
            await PostgresWorld.open(bad)
        assert "s3cret-guess" not in str(told.value)
        assert PASSWORD not in str(told.value)
    server.psql("CREATE ROLE guest LOGIN PASSWORD 'guest'", database(url))
    guest = psycopg.conninfo.make_conninfo(at(server, url), user="guest", password="guest")
    with pytest.raises(NotAWorld, match="permission denied"):
        await PostgresWorld.open(guest)
    server.psql("DROP ROLE guest")

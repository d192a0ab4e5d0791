"""The database of a PostgreSQL world: brought up to date, refused with a reason, and read in one order."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from acts import OneRun, T, attribute, begun, created, delivery, dumped, hook, step, wait
from postgres import PASSWORD, free_port
from proofs import must_be_sound

from auditor import schemas
from auditor.errors import AuditorError, EntityConflict, FenceConflict, NotAWorld, StoreUnavailable, UsageError
from auditor.world import create_world, open_world, tail

if TYPE_CHECKING:
    from postgres import Server

SECRET = "s3cret-of-nobody"  # noqa: S105 - of nobody
TABLES = ("run", "event", "refusal", "entity")


@pytest.fixture
def url(server: Server, template_database: str) -> str:
    """A database with an empty world."""
    server.psql('DROP DATABASE IF EXISTS "one_world" WITH (FORCE)')
    server.psql(f'CREATE DATABASE "one_world" TEMPLATE "{template_database}"')
    return server.url("one_world")


def by_hand(server: Server, name: str) -> str:
    """A database with the tables of `auditor schema world` alone, as its first lines say they are made."""
    url = server.database(name)
    schema = f"CREATE SCHEMA auditor; SET search_path = auditor;\n{schemas.text('world')}"
    server.psql(f"{schema}\nINSERT INTO meta VALUES ('schema', 'auditor.world/v1');", name)
    return url


async def test_tables_that_were_made_by_hand_are_brought_up_to_date(server: Server) -> None:
    url = by_hand(server, "by_hand")
    async with await open_world(url) as world:
        run = await begun(world, hook(T.HOOK_CREATED))
        must_be_sound(await run.log())
    assert server.psql("SELECT value FROM auditor.meta WHERE key = 'store_version'", "by_hand") == "2"
    async with await open_world(url) as world:
        assert len(await OneRun(world, run.id).log()) == 3


async def test_what_is_in_them_stays_and_counts(server: Server, url: str) -> None:
    async with await open_world(url) as world:
        run = await begun(world, hook(T.HOOK_CREATED), delivery(resume_id="resume"), step(T.STEP_CREATED))
        await run.refused(EntityConflict, step(T.STEP_CREATED))
        before = await run.log()
    old = by_hand(server, "old_world")
    for table in TABLES:
        rows = server.psql(f"COPY auditor.{table} TO STDOUT", "one_world")
        server.psql(f"COPY auditor.{table} FROM STDIN;\n{rows}\n\\.\n", "old_world")
    async with await open_world(old) as world:
        run = OneRun(world, run.id)
        assert await run.log() == before
        await run.append(step(T.STEP_STARTED), fence=await run.tail())
        must_be_sound(await run.log())
        again = await run.append(delivery(resume_id="resume"))
        assert (again.repeated, again.events) == (True, (before[3],))
        await run.refused(FenceConflict, attribute(), fence=tail(None))
        assert [row.code for row in await run.refusals()] == ["ENTITY_CONFLICT", "FENCE_CONFLICT"]
        taken = await begun(world, hook(T.HOOK_CREATED))
        assert await taken.types() == ["run_created", "run_started", "hook_conflict"]


async def test_tables_of_a_later_version_are_left_alone(server: Server, url: str) -> None:
    server.psql("UPDATE auditor.meta SET value = '7' WHERE key = 'store_version'", "one_world")
    with pytest.raises(NotAWorld, match=r"newer auditor.*version 7, this one knows 2.*--upgrade"):
        await open_world(url)
    assert server.psql("SELECT value FROM auditor.meta WHERE key = 'store_version'", "one_world") == "7"


async def test_another_schema_is_named(server: Server, url: str) -> None:
    server.psql("UPDATE auditor.meta SET value = 'auditor.world/v9' WHERE key = 'schema'", "one_world")
    with pytest.raises(NotAWorld, match=r"auditor\.world/v9.*auditor\.world/v1"):
        await open_world(url)


async def test_a_database_without_a_world_says_how_to_make_one(server: Server) -> None:
    url = server.database("empty")
    with pytest.raises(NotAWorld, match="auditor world init"):
        await open_world(url)
    server.psql("CREATE SCHEMA auditor", "empty")
    with pytest.raises(NotAWorld, match="auditor world init"):
        await open_world(url)
    assert server.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'auditor'", "empty") == "0"


async def test_a_world_is_not_made_over_another(url: str) -> None:
    async with await open_world(url) as world:
        run = await begun(world)
    with pytest.raises(NotAWorld, match="has a schema auditor already"):
        await create_world(url)
    async with await open_world(url) as world:
        assert len(await OneRun(world, run.id).log()) == 2


async def test_the_password_opens_it(server: Server, url: str) -> None:
    assert url
    async with await open_world(server.url("one_world", password=quote(PASSWORD, safe=""))) as world:
        await begun(world)


def says_nothing_of(secret: str, error: BaseException | None) -> None:
    """Neither the error nor any that it came from."""
    while error is not None:
        assert secret not in f"{error} {error!r}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@pytest.mark.parametrize("made", [open_world, create_world], ids=["open", "create"])
@pytest.mark.parametrize("what", ["password", "user", "database", "server", "host"])
async def test_a_connection_that_fails_says_why_and_no_password(
    server: Server, url: str, what: str, made: type[open_world], caplog: pytest.LogCaptureFixture
) -> None:
    right = quote(PASSWORD, safe="")
    urls = {
        "password": server.url("one_world", password=SECRET),
        "user": server.url("one_world", "nobody", SECRET),
        "database": server.url("no_such_database", password=right),
        "server": f"postgresql://owner:{SECRET}@127.0.0.1:{free_port()}/one_world",
        "host": f"postgresql://owner:{SECRET}@no-such-host.invalid/one_world",
    }
    with pytest.raises((NotAWorld, StoreUnavailable)) as caught:
        await made(urls[what])
    assert urls[what].rpartition("/")[2] in str(caught.value), "which database"
    for secret in (SECRET, right, PASSWORD):
        says_nothing_of(secret, caught.value)
        assert secret not in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        f"postgresql://owner:{SECRET}%zz@localhost/x",
        f"postgresql://owner:{SECRET}@[localhost/x",
        f"postgresql://owner:{SECRET}/@localhost:5432/x",
        f"postgresql://owner:{SECRET}@localhost/x?nonsense=1",
        f"postgresql://owner:{SECRET} @local host/x?=&",
        f"postgresql://owner@localhost/x?password={SECRET}%zz",
        f"postgresql://owner@localhost/x?passwort={SECRET}",
        f"postgresql://owner@localhost/x?{SECRET}",
        f"postgresql://owner:1/{SECRET}@localhost/x",
        f"postgresql://owner:1@{SECRET}@localhost/x",
        f"postgresql://owner:{SECRET}?@localhost/x",
    ],
)
async def test_a_url_that_postgres_does_not_understand_is_not_repeated(wrong: str) -> None:
    with pytest.raises((UsageError, NotAWorld, StoreUnavailable)) as caught:
        await open_world(wrong)
    says_nothing_of(SECRET, caught.value)
    assert isinstance(caught.value, AuditorError)


@pytest.mark.parametrize(
    "options", ["LOCALE_PROVIDER icu ICU_LOCALE 'en-US'", "LOCALE 'C.UTF-8'"], ids=["icu", "c"]
)
async def test_ids_stand_in_one_order_whatever_the_collation_of_the_database(server: Server, options: str) -> None:
    url = server.database("collated", options)
    await create_world(url)
    names = ["b", "B", "a", "A", "_", "-", "a-b", "ab", "Ä", "z", "Z", "10", "9"]
    run_ids = [f"wrun_{name}" for name in names]
    async with await open_world(url) as world:
        for run_id in run_ids:
            run = OneRun(world, run_id)
            await run.append(created(), *(wait(T.WAIT_CREATED, name) for name in names))
            await run.refused(EntityConflict, created())
            for name in names[:4]:
                await world.streams.append(run_id, name, b"x")
        assert [run.run_id for run in await world.runs()] == sorted(run_ids)
        paged: list[str] = []
        while page := await world.runs(after=paged[-1] if paged else None, limit=2):
            paged += [run.run_id for run in page]
        assert paged == sorted(run_ids)
        assert [row.correlation_id for row in await world.entities(run_ids[0])] == sorted(names)
        assert await world.streams.names(run_ids[0]) == sorted(names[:4])
        for table, place in (("run", 0), ("event", 0), ("refusal", 1), ("entity", 0), ("message", 1)):
            found = [row[place] for row in await dumped(world, table)]
            assert found == sorted(found), table
        run = OneRun(world, run_ids[0])
        for number in range(30):
            await run.append(attribute(n=number), fence=await run.tail())
        must_be_sound(await run.log())


async def test_the_world_of_icu_is_not_that_of_code_points(server: Server) -> None:
    """The control: without a collation of their own, the ids of the test above would stand in another order."""
    server.database("collated", "LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
    query = "SELECT string_agg(name, '' ORDER BY name) FROM unnest(ARRAY['a', 'B', 'A', 'b']) AS t (name)"
    assert server.psql(query, "collated") == "aAbB"

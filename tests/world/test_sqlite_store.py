"""A world in a file, beyond the contract: threads, processes, group commits, and files that are no world."""

from __future__ import annotations

import asyncio
import multiprocessing
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from acts import WRITER, OneRun, T, attribute, begun, data_of, delivery, hook, step
from proofs import must_be_sound

from auditor import schemas
from auditor.errors import EntityConflict, FenceConflict, NotAWorld, Refused, StoreUnavailable
from auditor.world import Writer, create_world, open_world, tail
from auditor.world.sqlite import SqliteWorld

OWN = 25
"""Events that each writer wants in the log, however often it is refused."""


@pytest.fixture
def path(sqlite_template: Path, tmp_path: Path) -> Path:
    """The file of an empty world."""
    return Path(shutil.copy(sqlite_template, tmp_path / "world.db"))


@pytest.fixture
async def runs(path: Path) -> list[str]:
    """Two runs in it, by id."""
    async with SqliteWorld(path) as world:
        return [(await begun(world)).id for _ in range(2)]


async def insist(world: SqliteWorld, runs: list[str], name: str) -> int:
    """A writer that decides anew until all of its events are in, some in each run; how often it was refused.

    Any other answer than a fence conflict is raised.
    """
    refused = 0
    for number in range(OWN):
        run = OneRun(world, runs[number % len(runs)])
        fence = await run.tail()
        while True:
            try:
                await run.append(attribute(by=name, n=number), fence=fence, writer=Writer(name))
                break
            except FenceConflict as conflict:
                refused += 1
                missing = conflict.missing or ()
                fence = tail(missing[-1].event_id)
    return refused


def alone(path: str, runs: list[str], name: str, start: Any = None) -> int:
    """The same in a thread or process of its own, with a world and an event loop of its own."""

    async def work() -> int:
        async with SqliteWorld(Path(path)) as world:
            if start is not None:
                start.wait(20)
            return await insist(world, runs, name)

    return asyncio.run(work())


async def nothing_is_lost(path: Path, runs: list[str], names: list[str], refused: int) -> None:
    """Every event of every writer is in, once, and so is every refusal."""
    kept = 0
    async with SqliteWorld(path) as world:
        for place, run_id in enumerate(runs):
            run = OneRun(world, run_id)
            log = await run.log()
            must_be_sound(log)
            wanted = Counter((name, n) for name in names for n in range(OWN) if n % len(runs) == place)
            said = [data_of(event)["changes"] for event in log[2:]]
            assert Counter((one["by"], one["n"]) for one in said) == wanted
            row = await run.row()
            assert (row.version, row.tail, row.hash) == (len(log), log[-1].event_id, log[-1].hash)
            rows = await run.refusals()
            assert {refusal.code for refusal in rows} <= {"FENCE_CONFLICT"}
            kept += len(rows)
    assert kept == refused


async def test_two_worlds_of_one_file_in_two_threads_lose_nothing(path: Path, runs: list[str]) -> None:
    names, start = ["thread-1", "thread-2"], threading.Barrier(2)
    with ThreadPoolExecutor(2) as threads:
        writing = [threads.submit(alone, str(path), runs, name, start) for name in names]
        refused = [await asyncio.wrap_future(one) for one in writing]
    await nothing_is_lost(path, runs, names, sum(refused))


async def test_a_file_that_others_open_and_close_can_be_opened(path: Path) -> None:
    """Whoever comes while the last one lets go of the write-ahead log waits for it, and is not sent away."""

    async def open_and_close() -> None:
        for _ in range(30):
            async with SqliteWorld(path) as world:
                await begun(world)

    with ThreadPoolExecutor(3) as threads:
        for done in [threads.submit(lambda: asyncio.run(open_and_close())) for _ in range(3)]:
            await asyncio.wrap_future(done)


async def test_two_processes_lose_nothing(path: Path, runs: list[str]) -> None:
    names, context = ["process-1", "process-2"], multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(2) as processes:
        start = manager.Barrier(2)
        writing = processes.starmap_async(alone, [(str(path), runs, name, start) for name in names])
        refused = await asyncio.to_thread(writing.get, 60)
    await nothing_is_lost(path, runs, names, sum(refused))


async def test_one_world_serves_two_event_loops_at_once(path: Path, runs: list[str]) -> None:
    names, start = ["loop-1", "loop-2"], threading.Barrier(2)
    async with SqliteWorld(path) as world:

        def on_a_loop_of_its_own(name: str) -> int:
            start.wait(30)
            return asyncio.run(insist(world, runs, name))

        refused = await asyncio.gather(*(asyncio.to_thread(on_a_loop_of_its_own, name) for name in names))
    await nothing_is_lost(path, runs, names, sum(refused))


def commits(path: Path) -> int:
    with closing(sqlite3.connect(path)) as con:
        return int(con.execute("SELECT commit_seq FROM last_commit").fetchone()[0])


async def test_one_append_is_one_commit(path: Path) -> None:
    async with SqliteWorld(path) as world:
        run = await begun(world)
        before = commits(path)
        await run.append(attribute())
        assert commits(path) == before + 1


async def test_appends_at_once_share_commits(path: Path) -> None:
    async with SqliteWorld(path) as world:
        runs = [await begun(world) for _ in range(8)]
        before = commits(path)
        await asyncio.gather(*(run.append(attribute(n=n)) for run in runs for n in range(8)))
        assert before < commits(path) < before + 64
        for run in runs:
            must_be_sound(await run.log())


async def test_a_refusal_does_not_undo_what_shares_its_commit(path: Path) -> None:
    async with SqliteWorld(path) as world:
        run, other = await begun(world), await begun(world)
        before = commits(path)
        answers = await asyncio.gather(
            run.append(attribute(n=1)),
            other.append(attribute(), fence=tail("evnt_unknown")),
            run.append(attribute(n=2)),
            return_exceptions=True,
        )
        assert [isinstance(answer, FenceConflict) for answer in answers] == [False, True, False]
        assert commits(path) == before + 1
        assert (len(await run.log()), len(await other.log()), len(await other.refusals())) == (4, 2, 1)


async def test_an_acknowledged_append_is_synchronous_unless_told_otherwise(path: Path) -> None:
    async with SqliteWorld(path) as world:
        assert world._committer._con.execute("PRAGMA synchronous").fetchone() == (2,)
        assert world._committer._con.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    async with SqliteWorld(path, synchronous="NORMAL") as world:
        assert world._committer._con.execute("PRAGMA synchronous").fetchone() == (1,)


async def test_closing_answers_everything_that_was_asked(path: Path) -> None:
    world = SqliteWorld(path)
    run = await begun(world)
    asked = [asyncio.ensure_future(run.append(attribute(n=n))) for n in range(100)]
    await asyncio.sleep(0)
    await world.close()
    done = await asyncio.gather(*asked)
    async with SqliteWorld(path) as again:
        log = await OneRun(again, run.id).log()
    assert [one.events[0] for one in done] == list(log[2:])


async def test_closing_waits_for_those_who_wait_for_another_process(path: Path, runs: list[str]) -> None:
    world = SqliteWorld(path)
    run = OneRun(world, runs[0])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asked = [asyncio.ensure_future(run.append(attribute(n=n))) for n in range(5)]
        await asyncio.sleep(0.05)
        closed = asyncio.ensure_future(world.close())
        await asyncio.sleep(0.05)
        assert not any(one.done() for one in asked)
        other.execute("ROLLBACK")
    assert len(await asyncio.gather(*asked)) == 5
    await closed


CALLS: dict[str, Callable[[OneRun], Coroutine[Any, Any, Any]]] = {
    "append": lambda run: run.append(attribute()),
    "events": lambda run: run.read(),
    "run": lambda run: run.row(),
    "now": lambda run: run.world.now(),
    "messages": lambda run: run.world.queue.receive(),
    "depth": lambda run: run.world.queue.depth(),
    "stream": lambda run: run.world.streams.append(run.id, "out", b"x"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_a_closed_world_says_so(path: Path, call: Callable[[OneRun], Coroutine[Any, Any, Any]]) -> None:
    world = SqliteWorld(path)
    run = await begun(world)
    await world.close()
    with pytest.raises(StoreUnavailable, match="was closed"):
        await call(run)
    await world.close()


async def exported(path: Path, to: Path, version: int) -> list[str]:
    """A copy of the tables of `auditor schema world` alone, with all that is in them; the ids of its runs."""
    async with SqliteWorld(path) as world:
        run = await begun(world, hook(T.HOOK_CREATED), delivery(resume_id="resume"), step(T.STEP_CREATED))
        await run.refused(EntityConflict, step(T.STEP_CREATED))
    with closing(sqlite3.connect(to, isolation_level=None)) as con:
        con.executescript(schemas.text("world"))
        con.execute("ATTACH ? AS source", (str(path),))
        for table in ("meta", "run", "event", "refusal", "entity"):
            con.execute(f"INSERT INTO main.{table} SELECT * FROM source.{table}")
        con.execute(f"PRAGMA user_version = {version}")
    return [run.id]


async def test_a_file_of_the_first_version_is_brought_up_to_date(path: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    (run_id,) = await exported(path, old, 1)
    async with SqliteWorld(path) as world:
        before = await OneRun(world, run_id).log()
    async with SqliteWorld(old) as world:
        run = OneRun(world, run_id)
        assert await run.log() == before
        (event,) = (await run.append(step(T.STEP_STARTED), fence=await run.tail())).events
        assert event.position == len(before) + 1
        must_be_sound(await run.log())
        assert await run.refused(FenceConflict, attribute(), fence=tail(None))
        assert [refusal.code for refusal in await run.refusals()] == ["ENTITY_CONFLICT", "FENCE_CONFLICT"]
        taken = await begun(world, hook(T.HOOK_CREATED))
        assert await taken.types() == ["run_created", "run_started", "hook_conflict"]
        again = await run.append(delivery(resume_id="resume"))
        assert (again.repeated, again.events) == (True, (before[3],))
    with closing(sqlite3.connect(old)) as con:
        assert con.execute("PRAGMA user_version").fetchone() == (2,)


async def test_any_number_may_bring_it_up_to_date_at_once(path: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    (run_id,) = await exported(path, old, 1)

    async def opened_elsewhere() -> int:
        async with SqliteWorld(old) as world:
            return (await OneRun(world, run_id).row()).version

    with ThreadPoolExecutor(4) as threads:
        versions = [*threads.map(lambda _: asyncio.run(opened_elsewhere()), range(4))]
    assert versions == [5] * 4


async def test_a_file_of_a_later_version_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as con:
        con.execute("PRAGMA user_version = 7")
    before = path.read_bytes()
    with pytest.raises(NotAWorld, match=r"newer auditor.*version 7, this one knows 2.*--upgrade"):
        SqliteWorld(path)
    assert path.read_bytes() == before


async def test_another_schema_is_named(path: Path) -> None:
    with closing(sqlite3.connect(path)) as con:
        con.execute("UPDATE meta SET value = 'auditor.world/v9' WHERE key = 'schema'")
        con.commit()
    with pytest.raises(NotAWorld, match=r"auditor\.world/v9.*auditor\.world/v1"):
        SqliteWorld(path)


def a_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as con:
        con.execute("CREATE TABLE meta (key TEXT, value TEXT)")
        con.execute("CREATE TABLE users (name TEXT)")


NOT_WORLDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "another database": (a_database, "no world of auditor; `auditor world init`"),
    "a text": (
        lambda path: path.write_text("not a database, but long enough to look at\n" * 40),
        "no SQLite file",
    ),
    "an empty file": (lambda path: path.touch(), "no world of auditor; `auditor world init`"),
    "nothing": (lambda path: None, "cannot be opened: is it there"),
    "a folder": (lambda path: path.mkdir(), "cannot be opened"),
}


@pytest.mark.parametrize(("make", "says"), NOT_WORLDS.values(), ids=NOT_WORLDS.keys())
async def test_what_is_no_world_is_not_opened_and_not_changed(
    tmp_path: Path, make: Callable[[Path], object], says: str
) -> None:
    path = tmp_path / "thing.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(NotAWorld, match=says) as caught:
        await open_world(f"sqlite:///{path}")
    assert str(path) in str(caught.value)
    assert (path.read_bytes() if path.is_file() else None) == before


async def test_a_world_is_not_made_over_anything(path: Path, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("mine")
    for there in (path, text, tmp_path):
        with pytest.raises(NotAWorld, match="exists already"):
            await create_world(f"sqlite:///{there}")
    assert text.read_text() == "mine"
    with pytest.raises(NotAWorld, match="does not exist"):
        await create_world(f"sqlite:///{tmp_path}/nowhere/world.db")


async def test_a_refusal_of_one_process_is_typed_in_the_other(path: Path, runs: list[str]) -> None:
    async with SqliteWorld(path) as one, SqliteWorld(path) as other:
        snapshot = await OneRun(other, runs[0]).read()
        missed = (await OneRun(one, runs[0]).append(attribute())).events
        with pytest.raises(Refused) as caught:
            await other.append(runs[0], [attribute()], tail(snapshot.tail), writer=WRITER)
        assert isinstance(caught.value, FenceConflict)
        assert caught.value.missing == missed

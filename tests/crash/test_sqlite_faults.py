"""The disk under a world is full, fails, is damaged, or is taken away: typed errors, and callers go on."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Awaitable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from crash.lab import laboratory
from crash.trouble import new_world, somebody_else, sound, told
from world.acts import OneRun, T, attribute, begun, dumped, hook, step

from auditor.errors import NotAWorld, StoreFull, StoreUnavailable, WorldError
from auditor.world import Appended
from auditor.world.sqlite import SqliteWorld

PAGE = 4096
BIG = attribute(padding="x" * 400_000)
SOON = 5.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return new_world(tmp_path)


def limit(world: SqliteWorld, pages: int) -> None:
    """Give the file so many pages more than it has."""
    con = world._committer._con
    (count,) = con.execute("PRAGMA page_count").fetchone()
    con.execute(f"PRAGMA max_page_count = {count + pages}")


async def test_what_finds_no_room_is_told_so_and_what_does_goes_through(path: Path) -> None:
    async with SqliteWorld(path) as world:
        run, other = await begun(world), await begun(world)
        limit(world, 20)
        answers = await asyncio.gather(
            told(other.append(attribute(n=1))), told(run.append(BIG, BIG)), told(other.append(attribute(n=2)))
        )
        assert [type(answer) for answer in answers] == [Appended, StoreFull, Appended]
        assert not answers[1].outcome_unknown
        assert len(await run.log()) == 2
        assert len(await other.log()) == 4
        limit(world, 1_000_000)
        await run.append(BIG, BIG)
    stored = sound(path)
    assert (len(stored.events[run.id]), len(stored.events[other.id])) == (4, 4)


def test_a_file_that_may_not_grow_takes_whole_appends_or_none(tmp_path: Path) -> None:
    found = laboratory("crash.faulty:no_room", folder=str(tmp_path))
    told = [name for name, _ in groupby(found["told"])]
    assert told[0] == "Appended"
    assert set(told) == {"Appended", "StoreUnavailable"}
    assert found["log"] == 2 + found["told"].count("Appended")
    assert found["lifted"]
    assert found["finally"] == found["log"] + 1


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What became of an append of three events, for every call of the disk that failed, in every way."""
    return laboratory("crash.faulty:every_call", folder=str(tmp_path_factory.mktemp("disk")))


def test_whichever_call_of_the_disk_fails_the_append_is_whole_or_absent(failures: list[dict[str, Any]]) -> None:
    calls = Counter(result["call"] for result in failures)
    print(f"\n{len(failures)} failures: {calls}")
    assert calls["write"] > 30
    assert calls["sync"] >= 6
    for result in failures:
        assert result["there"] in (0, 3), result
        assert result["seen"] in (0, 3), result
        assert result["told"] in ("Appended", "StoreFull", "StoreUnavailable"), result


def test_whichever_call_fails_the_same_request_and_the_next_go_through(failures: list[dict[str, Any]]) -> None:
    for result in failures:
        assert result["again"], result
        assert result["next"], result
        assert result["finally"] == 4, result


def test_no_failure_is_reported_as_success(failures: list[dict[str, Any]]) -> None:
    before = [result for result in failures if result["commit"] <= 0]
    assert {result["told"] for result in before} == {"StoreFull", "StoreUnavailable"}
    for result in before:
        assert (result["told"] == "StoreFull") == (result["code"] == 13), result
        assert result["seen"] == 0, result


def test_what_cannot_be_moved_after_a_commit_does_not_fail_the_commit(failures: list[dict[str, Any]]) -> None:
    after = [result for result in failures if result["commit"] > 0]
    assert len(after) > 10
    assert {(result["told"], result["there"]) for result in after} == {("Appended", 3)}


def test_who_is_told_that_nothing_was_written_can_rely_on_it(failures: list[dict[str, Any]]) -> None:
    """A commit whose sync failed lies in the write-ahead log: a process that comes up right then finds it."""
    assert any(result["there"] == 3 for result in failures if result["told"] != "Appended")
    for result in failures:
        if result["told"] != "Appended" and not result["unknown"]:
            assert result["there"] == 0, result


async def furnished(path: Path) -> list[OneRun]:
    """A world with some of everything, all of it in the file and nothing in the write-ahead log."""
    async with SqliteWorld(path) as world:
        runs = []
        for n in range(12):
            made = [step(T.STEP_CREATED), hook(T.HOOK_CREATED, token=f"token {n}"), attribute(padding="x" * 3_000)]
            runs.append(await begun(world, *made))
            await world.streams.append(runs[-1].id, "out", b"y" * 5_000)
    return runs


def everything(world: SqliteWorld, ids: list[str]) -> list[Awaitable[Any]]:
    """All that a world can be asked."""
    queue, streams = world.queue, world.streams
    tables = ("run", "event", "refusal", "entity", "message")
    return [
        *(world.events(run) for run in ids),
        *(OneRun(world, run).append(attribute(n=1)) for run in ids),
        *(OneRun(world, run).append(step(T.STEP_STARTED)) for run in ids),
        *(OneRun(world, run).append(hook(T.HOOK_CREATED, "hook_2", f"token {n}")) for n, run in enumerate(ids)),
        *(world.entities(run) for run in ids),
        *(world.hook_by_token(f"token {n}") for n in range(len(ids))),
        *(streams.read(run, "out") for run in ids),
        *(streams.append(run, "out", b"z" * 5_000) for run in ids),
        *(dumped(world, table) for table in tables),
        *(queue.lease_run(run, "an owner") for run in ids),
        world.runs(),
        world.now(),
        queue.receive(limit=10),
        queue.depth(),
        queue.next_due(),
    ]


def with_zeros(pages: list[bytes], chance: random.Random) -> list[bytes]:
    return [bytes(PAGE) if chance.random() < 0.4 else page for page in pages]


def with_noise(pages: list[bytes], chance: random.Random) -> list[bytes]:
    return [chance.randbytes(PAGE) if chance.random() < 0.4 else page for page in pages]


def with_torn_sectors(pages: list[bytes], chance: random.Random) -> list[bytes]:
    return [page[:1024] + chance.randbytes(1024) + page[2048:] for page in pages]


def in_the_wrong_order(pages: list[bytes], chance: random.Random) -> list[bytes]:
    return chance.sample(pages, len(pages))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("harm", [with_zeros, with_noise, with_torn_sectors, in_the_wrong_order])
async def test_of_a_damaged_file_a_world_says_so_and_nothing_else(path: Path, harm: Any, seed: int) -> None:
    ids = [run.id for run in await furnished(path)]
    world = SqliteWorld(path)
    with path.open("r+b") as file:
        # The first page tells what the file is; the last ones are in the middle of nothing.
        pages = [file.read(PAGE) for _ in range(path.stat().st_size // PAGE)]
        file.seek(PAGE)
        file.write(b"".join(harm(pages[1:], random.Random(seed))))
    async with asyncio.timeout(SOON):
        answers = [await told(call) for call in everything(world, ids)]
        await told(world.close())
    kinds = Counter(type(answer).__name__ for answer in answers if isinstance(answer, WorldError))
    assert kinds["StoreUnavailable"] > 0
    assert set(kinds) <= {"StoreUnavailable", "NotAWorld", "NotFound", "EntityConflict"}


async def test_a_world_whose_file_was_deleted_acknowledges_nothing(path: Path) -> None:
    async with SqliteWorld(path) as world:
        run = await begun(world)
        for file in path.parent.glob("world.db*"):
            file.unlink()
        async with asyncio.timeout(SOON):
            answers = [await told(call) for call in everything(world, [run.id])]
            appended = await told(run.append(attribute(n=1)))
    assert not any(isinstance(answer, Appended) for answer in answers)
    assert type(appended) is StoreUnavailable
    with pytest.raises(NotAWorld):
        SqliteWorld(path)


async def test_a_world_whose_file_was_replaced_acknowledges_nothing(path: Path, tmp_path: Path) -> None:
    async with SqliteWorld(path) as world:
        run = await begun(world)
        for file in path.parent.glob("world.db*"):
            file.unlink()
        new_world(tmp_path)
        assert type(await told(run.append(attribute(n=1)))) is StoreUnavailable
        assert path.exists()
    async with SqliteWorld(path) as another:
        assert await another.runs() == []
        await begun(another)


async def test_a_file_that_may_only_be_read_takes_no_append(path: Path) -> None:
    async with SqliteWorld(path) as world:
        await begun(world)
        for file in path.parent.glob("world.db*"):
            file.chmod(0o444)
        for folder in path.parents:
            if folder == Path(tempfile.gettempdir()):
                break
            folder.chmod(0o755)
        assert laboratory("crash.faulty:not_ours", path=str(path)) == ["StoreUnavailable", "list"]
        await begun(world)


@pytest.mark.parametrize(
    "harm", ["DELETE FROM last_commit", "UPDATE last_commit SET at = 'noise'", "DROP TABLE last_commit"]
)
async def test_of_damage_that_sqlite_does_not_see_a_world_says_so(path: Path, harm: str) -> None:
    async with SqliteWorld(path) as world:
        run = await begun(world)
        with somebody_else(path) as con:
            con.execute(harm)
        for call in (run.append(attribute(n=1)), world.queue.lease_run(run.id, "an owner"), world.now()):
            assert type(await told(call)) is StoreUnavailable
        assert len(await run.log()) == 2

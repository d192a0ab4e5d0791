"""Others at the same file: they lock it, read it for long, move its write-ahead log, or write as much as we do."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from crash.evidence import facts, judge
from crash.journal import read
from crash.lab import laboratory
from crash.trouble import acknowledged, locked, new_world, somebody_else, sound, told, written
from world.acts import OneRun, attribute, begun

from auditor.errors import StoreBusy
from auditor.world import Appended
from auditor.world.sqlite import SqliteWorld

BUSY = 0.3
PATIENT = 10.0
MANY = 300
"""Callers, more than go into a few transactions."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return new_world(tmp_path)


@asynccontextmanager
async def ticking() -> AsyncIterator[list[float]]:
    """Another task of the event loop; how long it was kept waiting each time."""
    gaps: list[float] = []

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - before)

    task = asyncio.create_task(tick())
    try:
        yield gaps
    finally:
        task.cancel()


async def ask(run: OneRun, number: int) -> object:
    return await told(run.append(attribute(n=number), idempotency_key=f"request {number}"))


async def test_all_who_wait_for_a_lock_are_told_so_after_one_wait(path: Path) -> None:
    async with SqliteWorld(path, busy_seconds=BUSY) as world:
        run = await begun(world)
        with locked(path):
            began = time.monotonic()
            answers = await asyncio.gather(*(ask(run, n) for n in range(MANY)))
            took = time.monotonic() - began
            assert len(await run.log()) == 2
        assert {type(answer) for answer in answers} == {StoreBusy}
        assert not any(answer.outcome_unknown for answer in answers if isinstance(answer, StoreBusy))
        assert 0.8 * BUSY < took < 3 * BUSY


async def test_the_same_requests_go_through_once_the_lock_is_gone(path: Path) -> None:
    async with SqliteWorld(path, busy_seconds=BUSY) as world:
        run = await begun(world)
        with locked(path):
            await asyncio.gather(*(ask(run, n) for n in range(5)))
        answers = await asyncio.gather(*(ask(run, n) for n in range(5)))
        assert [type(answer) for answer in answers] == [Appended] * 5
        assert not any(answer.repeated for answer in answers if isinstance(answer, Appended))
    assert len(sound(path).events[run.id]) == 2 + 5


async def test_who_asks_later_waits_no_less_than_it_was_told_to(path: Path) -> None:
    async with SqliteWorld(path, busy_seconds=BUSY) as world:
        run = await begun(world)
        with locked(path):
            early = asyncio.create_task(ask(run, 1))
            await asyncio.sleep(0.8 * BUSY)
            late = asyncio.create_task(ask(run, 2))
            assert isinstance(await early, StoreBusy)
        # The lock was released before the late one's time was over.
        assert isinstance(await late, Appended)


async def test_a_short_lock_is_waited_for_while_the_event_loop_goes_on(path: Path) -> None:
    async with SqliteWorld(path, busy_seconds=PATIENT) as world:
        run = await begun(world)
        async with ticking() as gaps:
            # The second time, somebody has waited for a lock before.
            for n in range(2):
                with locked(path):
                    asked = asyncio.create_task(run.append(attribute(n=n)))
                    await asyncio.sleep(0.6)
                    assert not asked.done()
                async with asyncio.timeout(PATIENT / 2):
                    await asked
        assert len(gaps) > 10
        assert max(gaps) < 0.4
        assert len(await run.log()) == 4


async def test_reads_do_not_wait_for_a_lock(path: Path) -> None:
    async with SqliteWorld(path, busy_seconds=PATIENT) as world:
        run = await begun(world)
        with locked(path):
            asked = asyncio.create_task(run.append(attribute(n=1)))
            await asyncio.sleep(0.05)
            async with asyncio.timeout(1):
                assert len(await run.log()) == 2
                assert (await run.row()).version == 2
                assert await world.entities(run.id) == []
                assert len(await run.messages()) == 1
                assert (await world.queue.depth())["waiting"] == 1
            assert not asked.done()
        await asked


async def test_a_world_opens_while_another_process_holds_the_lock(path: Path) -> None:
    with locked(path):
        world = SqliteWorld(path, busy_seconds=BUSY)
        assert await world.runs() == []
        await world.close()


async def test_a_long_reader_holds_up_no_writer_and_sees_what_it_saw(path: Path) -> None:
    async with SqliteWorld(path, busy_seconds=0) as world:
        run = await begun(world)
        with somebody_else(path) as reader:
            count = "SELECT count(*) FROM event"
            reader.execute("BEGIN")
            before = reader.execute(count).fetchone()
            for n in range(100):
                await run.append(attribute(n=n, padding="x" * 10_000))
            assert reader.execute(count).fetchone() == before == (2,)
            reader.execute("ROLLBACK")
            assert reader.execute(count).fetchone() == (102,)
    sound(path)


@pytest.mark.parametrize("mode", ["PASSIVE", "TRUNCATE"])
async def test_checkpoints_beside_a_reader_fail_no_writer(path: Path, mode: str) -> None:
    over = threading.Event()
    moved = 0

    def checkpoints() -> None:
        nonlocal moved
        with somebody_else(path) as con:
            con.execute("PRAGMA busy_timeout = 5")
            while not over.is_set():
                _, _, pages = con.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
                moved += pages > 0 or mode == "TRUNCATE"
                time.sleep(0.02)

    async with SqliteWorld(path, busy_seconds=PATIENT) as world:
        runs = [await begun(world) for _ in range(4)]
        with somebody_else(path) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM event").fetchone()
            other = threading.Thread(target=checkpoints)
            other.start()
            try:
                async with asyncio.timeout(PATIENT):
                    answers = []
                    for n in range(25):
                        answers += await asyncio.gather(*(run.append(attribute(n=n)) for run in runs))
            finally:
                over.set()
                other.join()
    assert moved > 0
    assert acknowledged(answers) <= written(sound(path))
    assert len(answers) == 100


def test_four_processes_under_load_lose_nothing(path: Path) -> None:
    url = f"sqlite:///{path}"
    laboratory("crash.faulty:four_writers", url=url, folder=str(path.parent), seconds=2.0)
    history = read(path.parent)
    stored = facts(url)
    judge(stored, history)
    writers = {event.writer_id for log in stored.events.values() for event in log}
    print(f"\n{len(history.acknowledged)} appends acknowledged, {len(history.refused)} refused")
    assert len(writers) == 4
    assert len(history.acknowledged) > 40
    assert history.refused, "they did not come into each other's way"

"""Worlds that are closed, calls that are given up and event loops that end, with appends in flight."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from crash.trouble import acknowledged, locked, new_world, sound, told, written
from world.acts import OneRun, attribute, begun, nowhere

from auditor.errors import StoreBusy, StoreUnavailable
from auditor.world import Appended
from auditor.world.sqlite import SqliteWorld

BATCH = tuple(attribute(n=n) for n in range(3))
SOON = 5.0
"""Seconds after which a call that was not answered never will be."""

A_CROWD = 200
"""Callers for more than one transaction."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return new_world(tmp_path)


def length(path: Path, run: OneRun) -> int:
    """How many events the log has beyond the two that it began with."""
    return len(sound(path).events[run.id]) - 2


@pytest.mark.parametrize("turns", range(4))
async def test_a_close_answers_all_who_are_in_flight_and_keeps_what_it_acknowledged(
    path: Path, turns: int
) -> None:
    world = SqliteWorld(path)
    run = await begun(world)
    calls = [asyncio.create_task(told(run.append(*BATCH))) for _ in range(50)]
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(SOON):
        await world.close()
        answers = await asyncio.gather(*calls)
    assert {type(answer) for answer in answers} <= {Appended, StoreUnavailable}
    done = acknowledged(answers)
    assert len(done) in (0, 150) if turns == 0 else len(done) == 150
    async with SqliteWorld(path) as again:
        log = await OneRun(again, run.id).log()
        assert {event.event_id for event in log[2:]} == done


async def test_after_a_close_every_call_says_so(path: Path) -> None:
    world = SqliteWorld(path)
    run = await begun(world)
    await world.close()
    calls = (run.append(*BATCH), run.log(), world.runs(), world.queue.receive(), world.streams.names(run.id))
    for call in calls:
        assert type(await told(call)) is StoreUnavailable
    await world.close()


async def test_an_append_that_is_asked_for_in_the_moment_of_the_close_is_answered(path: Path) -> None:
    world = SqliteWorld(path)
    run = await begun(world)
    await world.close()
    # As it looks to a thread that found the world open just before.
    world._committer._closed = False
    async with asyncio.timeout(SOON):
        answers = [await told(run.append(*BATCH)) for _ in range(2)]
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 2


@pytest.mark.parametrize("turns", range(4))
async def test_a_close_behind_a_lock_answers_all_who_are_in_flight(path: Path, turns: int) -> None:
    world = SqliteWorld(path, busy_seconds=0.2)
    run = await begun(world)
    with locked(path):
        calls = [asyncio.create_task(told(run.append(*BATCH))) for _ in range(A_CROWD)]
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(SOON):
            await world.close()
            answers = await asyncio.gather(*calls)
    assert {type(answer) for answer in answers} <= {StoreBusy, StoreUnavailable}
    assert length(path, run) == 0


async def test_a_lock_that_is_found_while_the_world_closes_leaves_nobody_waiting(path: Path) -> None:
    """The thread that waits for locks is gone by then."""
    world = SqliteWorld(path, busy_seconds=0.2)
    run = await begun(world)
    with locked(path):
        call = asyncio.create_task(told(run.append(*BATCH)))
        await asyncio.sleep(0)
        world._committer._thread.shutdown()
        async with asyncio.timeout(SOON):
            await asyncio.sleep(0.01)
            await world.close()
            assert type(await call) is StoreBusy


async def test_another_world_on_the_file_goes_on_while_one_is_closed_and_opened(path: Path) -> None:
    answers: list[object] = []
    over = False

    async def goes_on(run: OneRun) -> None:
        while not over:
            answers.append(await told(run.append(*BATCH)))
            await asyncio.sleep(0)

    async with SqliteWorld(path) as steady:
        run = await begun(steady)
        task = asyncio.create_task(goes_on(run))
        restarted = []
        for _ in range(10):
            async with SqliteWorld(path) as world:
                same = OneRun(world, run.id)
                calls = [asyncio.create_task(told(same.append(*BATCH))) for _ in range(10)]
                await asyncio.sleep(0.005)
            restarted += await asyncio.gather(*calls)
        over = True
        await task
    assert {type(answer) for answer in [*answers, *restarted]} == {Appended}
    assert len(answers) > 10
    assert acknowledged(answers) | acknowledged(restarted) <= written(sound(path))


@pytest.mark.parametrize("turns", range(4))
async def test_a_cancelled_append_is_whole_or_absent_and_the_others_go_on(path: Path, turns: int) -> None:
    async with SqliteWorld(path) as world:
        run = await begun(world)
        doomed = asyncio.create_task(run.append(*BATCH, idempotency_key="the key"))
        others = [asyncio.create_task(run.append(*BATCH)) for _ in range(3)]
        for _ in range(turns):
            await asyncio.sleep(0)
        doomed.cancel()
        await asyncio.gather(doomed, return_exceptions=True)
        await asyncio.gather(*others)
        assert len(await run.log()) in (2 + 9, 2 + 12)
        await run.append(*BATCH, idempotency_key="the key")
        await run.append(attribute(n=4))
    assert length(path, run) == 13


async def test_an_append_that_is_cancelled_behind_a_lock_holds_nobody_up(path: Path) -> None:
    async with SqliteWorld(path, busy_seconds=SOON) as world:
        run = await begun(world)
        with locked(path):
            doomed = asyncio.create_task(run.append(*BATCH))
            other = asyncio.create_task(run.append(*BATCH))
            await asyncio.sleep(0.05)
            doomed.cancel()
        async with asyncio.timeout(SOON):
            assert isinstance(await other, Appended)
            await run.append(attribute(n=4))
    assert length(path, run) in (4, 7)


def test_a_world_outlives_an_event_loop_that_ended_behind_a_lock(path: Path) -> None:
    world = SqliteWorld(path, busy_seconds=SOON)
    run = asyncio.run(begun(world))

    async def given_up() -> None:
        async with asyncio.timeout(0.1):
            await asyncio.gather(*(run.append(*BATCH) for _ in range(A_CROWD)))

    async def next_one() -> Appended:
        async with asyncio.timeout(SOON):
            return await run.append(attribute(n=4))

    with locked(path), pytest.raises(TimeoutError):
        asyncio.run(given_up())
    appended = asyncio.run(next_one())
    asyncio.run(world.close())
    log = sound(path).events[run.id]
    assert appended.tail in {event.event_id for event in log}
    assert (len(log) - 3) % 3 == 0


def waiting(run: OneRun) -> Sequence[object]:
    """What was asked of the world of a run and is not answered yet."""
    assert isinstance(run.world, SqliteWorld)
    return run.world._committer._waiting


def left_behind(run: OneRun, crowd: int) -> asyncio.AbstractEventLoop:
    """An event loop that was closed in the very turn in which so many appends were asked for."""
    loop = asyncio.new_event_loop()

    calls = [loop.create_task(run.append(*BATCH)) for _ in range(crowd)]
    loop.call_soon(loop.stop)
    loop.run_forever()
    for call in calls:
        call._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    assert len(waiting(run)) == crowd
    return loop


def test_a_world_outlives_an_event_loop_that_left_a_crowd_behind(path: Path) -> None:
    world = SqliteWorld(path)
    run = asyncio.run(begun(world))
    left_behind(run, A_CROWD)

    async def next_one() -> Appended:
        async with asyncio.timeout(SOON):
            return await run.append(attribute(n=4))

    appended = asyncio.run(next_one())
    asyncio.run(world.close())
    log = sound(path).events[run.id]
    assert appended.tail in {event.event_id for event in log}
    assert (len(log) - 3) % 3 == 0


def test_an_event_loop_that_closes_while_it_is_told_takes_nobody_along(path: Path) -> None:
    world = SqliteWorld(path)
    run = asyncio.run(begun(world))
    loop = left_behind(run, 1)
    # As it looks to a thread that asks just before it closes.
    loop.is_closed = lambda: False  # type: ignore[method-assign]

    async def next_ones() -> None:
        async with asyncio.timeout(SOON):
            await run.append(attribute(n=4))
            await run.append(attribute(n=5))

    asyncio.run(next_ones())
    del loop.is_closed
    asyncio.run(world.close())
    assert length(path, run) in (2, 5)


def test_event_loops_that_come_and_go_in_threads_share_one_world(path: Path) -> None:
    world = SqliteWorld(path)
    answers: list[object] = []

    async def a_few() -> None:
        run = nowhere(world)
        mine = await begun(world)

        async def one() -> object:
            # The call is made when the task runs: the time may be up before it does.
            return await told(mine.append(*BATCH))

        try:
            async with asyncio.timeout(0.02):
                while True:
                    answers.extend(await asyncio.gather(*(one() for _ in range(5))))
        except TimeoutError:
            answers.append(await told(run.append(*BATCH)))

    def life() -> None:
        for _ in range(10):
            asyncio.run(a_few())

    threads = [threading.Thread(target=life, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert not any(thread.is_alive() for thread in threads)
    asyncio.run(world.close())
    assert acknowledged(answers) <= written(sound(path))
    assert len(acknowledged(answers)) > 100

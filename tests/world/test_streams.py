"""Streams: chunks of bytes, dense from 0, for as many readers as like."""

from __future__ import annotations

import asyncio

import pytest
from acts import COMPLETED, begun, nowhere

from auditor.errors import NotFound, StreamClosed
from auditor.world import StreamInfo
from auditor.world.base import BaseWorld


async def test_chunks_are_numbered_densely_from_zero(world: BaseWorld) -> None:
    run = await begun(world)
    chunks = [b"one", b"", bytes(range(256)), "drei ☃".encode(), b"x" * 200_000]
    assert [await world.streams.append(run.id, "out", chunk) for chunk in chunks] == [0, 1, 2, 3, 4]
    assert await world.streams.read(run.id, "out") == chunks


async def test_a_reader_goes_on_where_it_was(world: BaseWorld) -> None:
    run = await begun(world)
    for number in range(5):
        await world.streams.append(run.id, "out", b"%d" % number)
    assert await world.streams.read(run.id, "out", 3) == [b"3", b"4"]
    assert await world.streams.read(run.id, "out", 1, limit=2) == [b"1", b"2"]
    assert await world.streams.read(run.id, "out", 5) == []
    assert await world.streams.read(run.id, "out", 99) == []
    await world.streams.append(run.id, "out", b"5")
    assert await world.streams.read(run.id, "out", 5) == [b"5"]


async def test_streams_are_known_by_run_and_name(world: BaseWorld) -> None:
    run, other = await begun(world), await begun(world)
    for name in ("b", "a", "ü", "A"):
        await world.streams.append(run.id, name, name.encode())
    await world.streams.append(other.id, "a", b"of another")
    assert await world.streams.names(run.id) == ["A", "a", "b", "ü"]
    assert await world.streams.names(other.id) == ["a"]
    assert await world.streams.names("run-nobody") == []
    assert await world.streams.read(run.id, "a") == [b"a"]


async def test_the_end_of_a_stream_can_be_asked_for(world: BaseWorld) -> None:
    run = await begun(world)
    assert await world.streams.info(run.id, "out") is None
    await world.streams.append(run.id, "out", b"abc")
    await world.streams.append(run.id, "out", b"")
    assert await world.streams.info(run.id, "out") == StreamInfo("out", 2, 3, closed=False)
    await world.streams.close(run.id, "out")
    assert await world.streams.info(run.id, "out") == StreamInfo("out", 2, 3, closed=True)


async def test_a_closed_stream_takes_no_more_and_can_be_read(world: BaseWorld) -> None:
    run = await begun(world)
    await world.streams.append(run.id, "out", b"abc")
    await world.streams.close(run.id, "out")
    await world.streams.close(run.id, "out")
    with pytest.raises(StreamClosed, match="out"):
        await world.streams.append(run.id, "out", b"more")
    assert await world.streams.read(run.id, "out") == [b"abc"]
    assert await world.streams.append(run.id, "err", b"another stream") == 0


async def test_a_stream_may_be_closed_empty(world: BaseWorld) -> None:
    run = await begun(world)
    await world.streams.close(run.id, "out")
    assert await world.streams.info(run.id, "out") == StreamInfo("out", 0, 0, closed=True)
    with pytest.raises(StreamClosed):
        await world.streams.append(run.id, "out", b"late")


async def test_streams_belong_to_runs(world: BaseWorld) -> None:
    run = nowhere(world)
    with pytest.raises(NotFound) as caught:
        await world.streams.append(run.id, "out", b"abc")
    assert caught.value.reason == "no_such_run"
    with pytest.raises(NotFound):
        await world.streams.close(run.id, "out")
    assert await world.streams.read(run.id, "out") == []
    assert await world.streams.info(run.id, "out") is None


async def test_writers_at_once_leave_no_hole_and_lose_nothing(world: BaseWorld) -> None:
    run = await begun(world)
    indexes = await asyncio.gather(*(world.streams.append(run.id, "out", b"%d" % number) for number in range(40)))
    assert sorted(indexes) == list(range(40))
    chunks = await world.streams.read(run.id, "out")
    assert [chunks[index] for index in indexes] == [b"%d" % number for number in range(40)]


async def test_of_writers_and_a_close_at_once_nothing_stands_behind_the_end(world: BaseWorld) -> None:
    run = await begun(world)
    calls = [world.streams.append(run.id, "out", b"x") for _ in range(10)]
    done = await asyncio.gather(*calls[:5], world.streams.close(run.id, "out"), *calls[5:], return_exceptions=True)
    written = [result for result in done if isinstance(result, int)]
    assert sorted(written) == list(range(len(written)))
    assert all(isinstance(result, int | StreamClosed) or result is None for result in done)
    assert len(await world.streams.read(run.id, "out")) == len(written)


async def test_the_end_of_a_run_leaves_its_streams_readable_and_open(world: BaseWorld) -> None:
    run = await begun(world)
    await world.streams.append(run.id, "out", b"abc")
    await run.append(COMPLETED)
    assert await world.streams.append(run.id, "out", b"def") == 1
    assert await world.streams.read(run.id, "out") == [b"abc", b"def"]

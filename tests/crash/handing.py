"""Messages, streams and worlds in the making, and a process that dies at every point. Runs in a laboratory."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from crash import flow, lab
from crash.evidence import copied
from crash.sweep import MANY, die_at

from auditor.errors import NotAWorld
from auditor.world import Writer, create_world, open_world, tail
from auditor.world.base import BaseWorld
from auditor.world.sqlite import file

RUN = "wrun_01KAP2D000RRRRRRRRRRRRRRRR"
CHUNKS = ["first", "second"]
STATES = ("leased", "leased", "waiting", "leased", "gone")
"""Of a message that is received, held for longer, given back, received again, and done; it was waiting before."""


def message(folder: str) -> list[dict[str, Any]]:
    """Where each process died that handled a message, and the state of the message then."""

    async def work(world: BaseWorld) -> None:
        (delivery,) = await world.queue.receive()
        await world.queue.nack(await world.queue.extend(delivery, 60_000))
        (delivery,) = await world.queue.receive()
        await world.queue.ack(delivery)

    def found(con: sqlite3.Connection) -> str:
        rows = con.execute("SELECT state FROM message").fetchall()
        assert len(rows) < 2
        return rows[0][0] if rows else "gone"

    return list(_deaths(Path(folder), work, found))


def stream(folder: str) -> list[dict[str, Any]]:
    """Where each process died that wrote to a stream; its chunks then, and how many it says there are."""

    async def work(world: BaseWorld) -> None:
        for chunk in CHUNKS:
            await world.streams.append(RUN, "out", chunk.encode())

    def found(con: sqlite3.Connection) -> list[object]:
        chunks = con.execute("SELECT number, CAST(data AS TEXT) FROM chunk ORDER BY number").fetchall()
        said = con.execute("SELECT length, size FROM stream").fetchall() or [(0, 0)]
        assert [number for number, _ in chunks] == list(range(len(chunks)))
        assert said[0][1] == sum(len(text) for _, text in chunks)
        return [[text for _, text in chunks], said[0][0]]

    return list(_deaths(Path(folder), work, found))


def _deaths(
    folder: Path, work: Callable[[BaseWorld], Awaitable[None]], found: Callable[[sqlite3.Connection], object]
) -> Iterator[dict[str, Any]]:
    """Each process has a world of its own, in which there is one run."""
    template = folder / "template.db"
    assert lab.answer(lambda: asyncio.run(_one_run(template)))[0] == 0
    for number in range(MANY):
        path = folder / f"world-{number}.db"
        shutil.copy(template, path)

        async def visit(path: Path = path) -> None:
            async with await open_world(f"sqlite:///{path}") as world:
                await work(world)

        point = die_at(number, visit)
        with copied(path) as con:
            yield {"point": point, "found": found(con)}
        if point is None:
            return


async def _one_run(path: Path) -> None:
    url = f"sqlite:///{path}"
    await create_world(url)
    async with await open_world(url) as world:
        await world.append(RUN, [flow.created()], tail(None), writer=Writer("writer"))


def making(folder: str) -> list[dict[str, bool]]:
    """For each process that died while it made a world: whether that opens, and whether it could be made then."""
    told = []
    for number in range(MANY):
        url = f"sqlite:///{folder}/world-{number}.db"
        code = lab.ended(lab.fork(lambda number=number, url=url: _dies_making(url, number)))
        opens, made = lab.answer(lambda url=url: [_works(open_world(url)), _works(create_world(url))])[1]
        assert code == 0 or lab.answer(lambda url=url: _works(open_world(url))) == (0, True)
        told.append({"opens": opens, "made_again": made})
        if code == 0:
            break
    return told


def _dies_making(url: str, number: int) -> None:
    connect, left = file.connect, number

    def begins(_statement: str) -> None:
        nonlocal left
        if left == 0:
            lab.die()
        left -= 1

    def watched(*call: Any) -> sqlite3.Connection:
        con = connect(*call)
        con.set_trace_callback(begins)
        return con

    file.connect = watched  # type: ignore[assignment]
    asyncio.run(create_world(url))


def _works(call: Awaitable[Any]) -> bool:
    async def done() -> bool:
        try:
            world = await call
        except NotAWorld:
            return False
        if world is not None:
            await world.close()
        return True

    return asyncio.run(done())

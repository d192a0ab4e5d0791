"""A wire to a server that can be cut, or go silent, at a chosen moment of one request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from enum import Enum


class Cut(Enum):
    """Where the wire fails: before the server reads a request, after it has, or as it answers."""

    BEFORE = "the request is lost"
    AFTER = "the answer is lost"
    WITHIN = "the answer is cut off"
    SILENT = "nobody answers any more"


class Wire:
    """Forwards connections to a port of loopback. `fail` makes the request that holds a mark go wrong, once."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._mark = b""
        self._cut: Cut | None = None
        self._ends: set[asyncio.Future[None]] = set()
        self.port = 0
        self.cuts = 0

    def fail(self, cut: Cut, mark: str) -> None:
        """The next request in which the mark stands goes wrong like this."""
        self._cut, self._mark = cut, mark.encode()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until one of its ends is gone."""
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._to)
        met: list[Cut] = []

        async def there() -> None:
            while data := await reader.read(1 << 16):
                if self._cut is not None and self._mark in data:
                    met.append(self._cut)
                    self._cut, self.cuts = None, self.cuts + 1
                    if met[-1] is Cut.BEFORE:
                        return
                server_writer.write(data)
                await server_writer.drain()

        async def back() -> None:
            while data := await server_reader.read(1 << 16):
                if met and met[-1] is Cut.SILENT:
                    continue
                if met:
                    writer.write(data[: len(data) // 2] if met[-1] is Cut.WITHIN else b"")
                    await writer.drain()
                    return
                writer.write(data)
                await writer.drain()

        ends = [asyncio.ensure_future(there()), asyncio.ensure_future(back())]
        self._ends.update(ends)
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _over(ends)
            for stream in (writer, server_writer):
                stream.close()
                with suppress(OSError):
                    await stream.wait_closed()

    async def close(self) -> None:
        """Cut every connection that is left."""
        await _over(self._ends)
        await asyncio.sleep(0.01)  # their ends see it


async def _over(tasks: Iterable[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def wire(port: int) -> AsyncIterator[Wire]:
    """A wire for the length of a block."""
    carried = Wire(port)
    listening = await asyncio.start_server(carried.carry, "127.0.0.1", 0)
    carried.port = listening.sockets[0].getsockname()[1]
    try:
        yield carried
    finally:
        listening.close()
        await carried.close()

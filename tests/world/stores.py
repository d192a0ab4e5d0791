"""Every store as the contract suite opens it: new, empty, and with time in the hands of the test."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import AsyncConnection

from auditor.world import create_world, open_world
from auditor.world.base import BaseWorld
from auditor.world.memory import MemoryWorld
from auditor.world.sqlite import SqliteWorld

if TYPE_CHECKING:
    from postgres import Server

LONG = 60_000
"""Milliseconds that no test waits for: what is due in LONG is not due yet, however slow the machine."""

START = 1_790_000_000_000


class Clock:
    """A clock that stands still until a test moves it, also backwards."""

    def __init__(self) -> None:
        self.ms = START

    def __call__(self) -> int:
        return self.ms


@dataclass(frozen=True)
class Harness:
    """A world, and the means to let time pass in it."""

    world: BaseWorld
    clock: Clock | None

    @property
    def lag(self) -> int:
        """How far a store may be behind its own clock, in ms: PostgreSQL's is known from the last round trip."""
        return 0 if self.clock is not None else 50

    async def advance(self, ms: int) -> None:
        """Let time pass: at once where the clock is ours, else for real."""
        if self.clock is not None:
            self.clock.ms += ms
        else:
            assert ms < 1_000, "nobody waits that long for a real clock"
            await asyncio.sleep((ms + 5) / 1_000)

    async def later(self, ms: int = LONG) -> int:
        """A time so much after now, by the clock of the store."""
        return await self.world.now() + ms


@dataclass(frozen=True)
class Place:
    """Where the worlds of one test live. Every call of `opened` gives a new, empty one."""

    store: str
    opened: Callable[[], AbstractAsyncContextManager[Harness]]


def in_memory() -> Place:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Harness]:
        clock = Clock()
        async with MemoryWorld(clock=clock) as world:
            yield Harness(world, clock)

    return Place("memory", opened)


def in_sqlite(template: Path, folder: Path) -> Place:
    """Each world is a copy of `template`. Nobody pulls the plug here, so nothing waits for the disk."""
    made = 0

    @asynccontextmanager
    async def opened() -> AsyncIterator[Harness]:
        nonlocal made
        made += 1
        path = folder / f"world-{made}.db"
        shutil.copy(template, path)
        clock = Clock()
        async with SqliteWorld(path, synchronous="OFF", clock=clock) as world:
            yield Harness(world, clock)

    return Place("sqlite", opened)


TEMPLATE = "contract_template"


def postgres_template(server: Server) -> str:
    """A database with an empty world, which every other one is a copy of; its name."""
    asyncio.run(create_world(server.database(TEMPLATE)))
    return TEMPLATE


_EMPTY: dict[int, list[str]] = {}
"""Databases that nobody uses now, by the port of their server: to empty one is much cheaper than to make one."""

_TABLES = ("event", "run", "entity", "refusal", "remembered", "token", "message", "run_lease", "stream", "chunk")


def in_postgres(server: Server, template: str) -> Place:
    free = _EMPTY.setdefault(server.port, [])

    @asynccontextmanager
    async def opened() -> AsyncIterator[Harness]:
        if free:
            name = free.pop()
        else:
            name = f"contract_{secrets.token_hex(4)}"
            server.psql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        async with await open_world(server.url(name)) as world:
            yield Harness(world, None)
        async with await AsyncConnection.connect(server.url(name)) as con:
            for table in _TABLES:
                await con.execute(f"DELETE FROM auditor.{table}")
        free.append(name)

    return Place("postgres", opened)

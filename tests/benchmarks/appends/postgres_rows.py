"""A PostgreSQL world against bare inserts, and against the recorder of `eventsourcing`, on a server of our own."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from auditor.model.rows import Event
from auditor.world import create_world
from auditor.world.postgres import PostgresWorld
from auditor.world.postgres.reads import columns

from ..ratios import Row, by_turns, row
from .sqlite_rows import recorded
from .workload import at_once, begun

sys.path.insert(0, str(Path(__file__).parents[2]))
import postgres

CONNECTIONS = 8


def measure(appends: int, rounds: int) -> list[Row]:
    """One event an append, eight writers; the server keeps what it acknowledges (fsync on)."""
    settings = {
        name: value for name, value in postgres.SETTINGS.items() if name not in ("fsync", "full_page_writes")
    }
    with postgres.server(settings) as server:
        events: list[Event] = []

        def ours() -> float:
            async def main() -> float:
                url = server.database("ours")
                await create_world(url)
                async with await PostgresWorld.open(url, connections=CONNECTIONS) as world:
                    lines = await begun(world)
                    seconds = await at_once(lines, appends, CONNECTIONS)
                    if not events:
                        async for _, rows in world.dump(["event"]):
                            events.extend(Event._make(one) for one in rows)
                    return seconds

            return asyncio.run(main())

        ours()  # the rows that the baseline inserts
        world, bare, other = by_turns(
            [
                ours,
                lambda: asyncio.run(_bare(server.database("bare"), events[:appends])),
                lambda: _recorder(server.database("other"), appends),
            ],
            rounds,
        )
    return [
        row("PostgreSQL, 8 writers, against bare inserts of the events alone", 1 / 0.8, world, bare),
        row("PostgreSQL, 8 writers, against the eventsourcing recorder", 1 / 5, world, other),
    ]


async def _bare(url: str, events: list[Event]) -> float:
    await create_world(url)
    marks = ", ".join(["%s"] * len(Event._fields))
    statement = f"INSERT INTO auditor.event ({columns(Event)}) VALUES ({marks})"

    async def insert(mine: list[Event]) -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as con:
            for event in mine:
                await con.execute(statement, event)

    started = time.perf_counter()
    await asyncio.gather(*(insert(events[which::CONNECTIONS]) for which in range(CONNECTIONS)))
    return time.perf_counter() - started


def _recorder(url: str, appends: int) -> float:
    parts = urlsplit(url)
    where = parse_qs(parts.query)
    store = PostgresDatastore(
        parts.path.strip("/"),
        where["host"][0],
        where["port"][0],
        parts.netloc.rstrip("@"),
        "",
        pool_size=CONNECTIONS,
    )
    recorder = PostgresApplicationRecorder(store)
    recorder.create_table()
    seconds = recorded(recorder, appends)
    store.close()
    return seconds

"""Whether an append costs the same in a long run, and in a full store."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

from auditor.world.sqlite import SqliteWorld
from auditor.world.sqlite.file import connect

from ..ratios import Row, by_turns, row
from .sqlite_rows import new_file
from .workload import Line, begun, in_turn

LONG = 100_000


def measure(folder: Path, appends: int, rounds: int, store: int) -> list[Row]:
    """In SQLite, where every append decides on what it reads from the file."""
    return [_long_run(folder, rounds), _full_store(folder, appends, rounds, store)]


def _long_run(folder: Path, rounds: int) -> Row:
    """The appends at 100,000 events of a run against its first thousand."""

    async def main() -> tuple[list[float], list[float]]:
        first, last = [], []
        for _ in range(rounds):
            async with SqliteWorld(new_file(folder), synchronous="NORMAL") as world:
                line = Line(world)
                first.append(await in_turn([line], 1_000))
                while first and (await world.events(line.run_id, LONG - 1_000, 1)).run.version < LONG - 1_000:
                    await line.append(min(1_000, LONG - 1_000 - (await _length(world, line.run_id))))
                last.append(await in_turn([line], 1_000))
        return first, last

    first, last = asyncio.run(main())
    return row("SQLite, append at 100,000 events of a run, against its first 1,000", 1.2, last, first)


async def _length(world: SqliteWorld, run_id: str) -> int:
    run = await world.run(run_id)
    return 0 if run is None else run.version


def _full_store(folder: Path, appends: int, rounds: int, events: int) -> Row:
    """The same appends in a store with a million events against an empty one."""
    full = new_file(folder)
    _fill(full, events)

    def on(path: Path) -> float:
        async def main() -> float:
            async with SqliteWorld(path, synchronous="NORMAL") as world:
                return await in_turn(await begun(world), appends)

        return asyncio.run(main())

    def on_copy() -> float:
        path = full.with_suffix(".copy")
        shutil.copyfile(full, path)
        try:
            return on(path)
        finally:
            for left in path.parent.glob(f"{path.name}*"):
                left.unlink()

    filled, empty = by_turns([on_copy, lambda: on(new_file(folder))], rounds)
    return row(f"SQLite, append at {events:,} events in the store, against an empty one", 1.2, filled, empty)


def _fill(path: Path, events: int) -> None:
    """Put runs of 40 events into a store, in SQL: what counts is how much there is, not what it says."""
    con = connect(path, 5)
    con.execute("PRAGMA synchronous = OFF")
    con.execute("BEGIN")
    con.execute(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "INSERT INTO run (run_id, status, created_at, updated_at, version) "
        "SELECT 'wrun_z' || hex(randomblob(4)) || i, 'running', 0, 0, 40 FROM n",
        (events // 40 - 1,),
    )
    con.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) "
        'INSERT INTO event (run_id, "position", event_id, event_type, correlation_id, created_at, spec_version, '
        "data, data_sha256, fence, tail_at_commit, request_id, writer_id, prev_hash, hash) "
        "SELECT run_id, i, 'evnt_' || printf('%026d', i), 'step_created', 'step_' || i, 0, 3, "
        "printf('%250d', i), hex(randomblob(32)), printf('%60d', i), printf('%31d', i), 'req_' || i, 'w', "
        "hex(randomblob(32)), hex(randomblob(32)) FROM run, n"
    )
    con.execute(
        "INSERT INTO entity (run_id, kind, correlation_id, status, created_at, updated_at, step_name, attempt) "
        "SELECT run_id, 'step', correlation_id, 'pending', 0, 0, 'charge', 0 FROM event WHERE \"position\" % 3 = 0"
    )
    con.execute("COMMIT")
    con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    con.close()
    with sqlite3.connect(path) as check:
        check.execute("ANALYZE")
    check.close()

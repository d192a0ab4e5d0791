"""A SQLite world against bare inserts, and against the recorder of `eventsourcing`."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from auditor.model.rows import Entity, Event
from auditor.world.sqlite import SqliteWorld, file
from auditor.world.sqlite.appends import insert

from ..ratios import Row, by_turns, row
from .workload import PAYLOAD, Line, at_once, begun, in_turn

WRITERS = 8
BATCH = 64
_MESSAGE = (
    "INSERT INTO message (run_id, kind, correlation_id, key, state, ready_at) VALUES (?, ?, ?, ?, 'waiting', ?) "
    "ON CONFLICT DO NOTHING"
)
_numbers = itertools.count()


def new_file(folder: Path) -> Path:
    """A new, empty world."""
    path = folder / f"{next(_numbers)}.db"
    file.create(path)
    return path


def timed(folder: Path, synchronous: str, work: Callable[[list[Line]], Awaitable[float]]) -> tuple[float, Path]:
    """Seconds that the work took on a new world with runs in it, and the world."""
    path = new_file(folder)

    async def main() -> float:
        async with SqliteWorld(path, synchronous=synchronous) as world:
            return await work(await begun(world))

    return asyncio.run(main()), path


def bare(folder: Path, made: Path, synchronous: str, size: int, *, events_alone: bool) -> float:
    """Seconds to insert the rows of a world into a new one, `size` events a transaction."""
    groups = _groups(made, size, events_alone)
    con = file.connect(new_file(folder), 5)
    con.execute(f"PRAGMA synchronous = {synchronous}")
    started = time.perf_counter()
    for group in groups:
        con.execute("BEGIN IMMEDIATE")
        for statement, values in group:
            con.execute(statement, values)
        con.execute("COMMIT")
    seconds = time.perf_counter() - started
    con.close()
    return seconds


def _groups(made: Path, size: int, events_alone: bool) -> list[list[tuple[str, Any]]]:
    """The rows that the appends of a world made, by append; the creation of its runs is left out."""
    con = sqlite3.connect(made)
    entities = {(r[0], r[2]): r for r in con.execute("SELECT * FROM entity")}
    rows = con.execute('SELECT * FROM event WHERE "position" > 1 ORDER BY commit_seq, "position"').fetchall()
    groups: list[list[tuple[str, Any]]] = []
    for number, event in enumerate(map(Event._make, rows)):
        if number % size == 0:
            groups.append([])
        groups[-1].append((insert("event", Event), event))
        if not events_alone and event.event_type == "step_created":
            groups[-1].append((insert("entity", Entity), entities[event.run_id, event.correlation_id]))
            key = f"step:{event.correlation_id}"
            groups[-1].append((_MESSAGE, (event.run_id, "step", event.correlation_id, key, event.created_at)))
        if not events_alone and event.event_type == "step_completed":
            groups[-1].append((_MESSAGE, (event.run_id, "run", None, "wake", event.created_at)))
    con.close()
    return groups


def one_writer(folder: Path, appends: int, rounds: int) -> list[Row]:
    """One event an append, one append at a time."""
    rows = []
    for synchronous, target in (("FULL", 1 / 0.6), ("NORMAL", 1 / 0.35)):
        rows += _against_bare(f"SQLite {synchronous}, one writer", target, folder, synchronous, appends, 1, rounds)
    return rows


def batches(folder: Path, appends: int, rounds: int) -> list[Row]:
    """Batches of 64 events."""
    count = max(appends // 16, 10)
    return _against_bare(f"SQLite FULL, batches of {BATCH}", 1 / 0.5, folder, "FULL", count, BATCH, rounds)


def _against_bare(
    what: str, target: float, folder: Path, synchronous: str, appends: int, size: int, rounds: int
) -> list[Row]:
    made: list[Path] = []

    def ours() -> float:
        seconds, path = timed(folder, synchronous, lambda lines: in_turn(lines, appends, size))
        made.append(path)
        return seconds

    ours()  # the rows that the baseline inserts
    world, all_rows, alone = by_turns(
        [
            ours,
            lambda: bare(folder, made[0], synchronous, size, events_alone=False),
            lambda: bare(folder, made[0], synchronous, size, events_alone=True),
        ],
        rounds,
    )
    return [
        row(f"{what}, against bare inserts of the same rows", target, world, all_rows),
        row(f"{what}, against bare inserts of the events alone", target, world, alone),
    ]


def commits(folder: Path, appends: int) -> list[Row]:
    """Transactions an append, one at a time and with eight writers, as the file counted them."""

    def counted(work: Callable[[list[Line]], Awaitable[float]]) -> float:
        _, path = timed(folder, "FULL", work)
        con = sqlite3.connect(path)
        (total,) = con.execute("SELECT commit_seq FROM last_commit").fetchone()
        (runs,) = con.execute("SELECT count(*) FROM run").fetchone()
        con.close()
        return (total - runs) / (appends // WRITERS * WRITERS)

    return [
        Row("commits an append, one writer", 1, (counted(lambda lines: in_turn(lines, appends // 8 * 8)),)),
        Row("commits an append, 8 writers", 1, (counted(lambda lines: at_once(lines, appends, WRITERS)),)),
    ]


def concurrent(folder: Path, appends: int, rounds: int) -> list[Row]:
    """Eight writers, each waiting for its append, against eight threads with the recorder."""

    def ours() -> float:
        return timed(folder, "FULL", lambda lines: at_once(lines, appends, WRITERS))[0]

    def theirs() -> float:
        store = SQLiteDatastore(str(folder / f"{next(_numbers)}.es.db"), pool_size=WRITERS)
        recorder = SQLiteApplicationRecorder(store)
        recorder.create_table()
        return recorded(recorder, appends)

    world, other = by_turns([ours, theirs], rounds)
    return [row("SQLite FULL, 8 writers, against the eventsourcing recorder", 1 / 5, world, other)]


def recorded(recorder: Any, appends: int) -> float:
    """Seconds that a recorder takes for so many events, one a call, from eight threads."""
    state = PAYLOAD.encode()

    def write(count: int) -> None:
        for _ in range(count // 30):
            run = uuid4()
            for version in range(30):
                recorder.insert_events([StoredEvent(run, version, "auditor:Event", state)])

    started = time.perf_counter()
    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(write, [appends // WRITERS // 30 * 30 + 30] * WRITERS))
    seconds = time.perf_counter() - started
    return seconds * appends / (WRITERS * (appends // WRITERS // 30 * 30 + 30))

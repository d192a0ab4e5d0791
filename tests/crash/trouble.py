"""What goes wrong around a SQLite world, on purpose, and what must be true of it afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from crash.evidence import Facts, in_sqlite
from world.proofs import must_be_sound

from auditor.errors import WorldError
from auditor.world import Appended
from auditor.world.sqlite import file


def new_world(folder: Path, name: str = "world.db") -> Path:
    """The path of a new, empty world."""
    path = folder / name
    file.create(path)
    return path


@contextmanager
def somebody_else(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to the file that knows nothing of worlds."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as con:
        yield con


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody else holds the lock of the file."""
    with somebody_else(path) as con:
        con.execute("BEGIN IMMEDIATE")
        yield con


def sound(path: Path) -> Facts:
    """The facts of a file that nobody has open, once each of its logs is proven: dense, chained, whole batches."""
    facts = in_sqlite(path)
    assert facts.runs.keys() == facts.events.keys()
    for run_id, log in facts.events.items():
        must_be_sound(log)
        assert facts.runs[run_id].version == len(log)
    return facts


def written(facts: Facts) -> set[str]:
    """The ids of all events."""
    return {event.event_id for log in facts.events.values() for event in log}


def acknowledged(answers: list[Any]) -> set[str]:
    """The ids of the events that callers were told are in the log."""
    return {event.event_id for answer in answers if isinstance(answer, Appended) for event in answer.events}


async def told(call: Awaitable[Any]) -> Any:
    """What a call returned, or the error that it raised, which must be one of a world."""
    try:
        return await call
    except WorldError as error:
        return error

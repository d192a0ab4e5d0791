"""Is what the writers were told true of what is stored? Judged without any code of the world."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import psycopg
from crash.journal import History, Intent
from world.proofs import must_be_sound

from auditor.model.rows import Entity, Event, Run

OPEN = ("pending", "running")


@dataclass(frozen=True)
class Facts:
    """What lies in a store: events by run and position, and of each message its run, state and lease."""

    runs: dict[str, Run]
    events: dict[str, list[Event]]
    entities: list[Entity]
    messages: list[tuple[str, str, str | None]]


@contextmanager
def copied(path: Path) -> Iterator[sqlite3.Connection]:
    """A copy of a world that nobody has open, with its write-ahead log: to look at it would change it."""
    with tempfile.TemporaryDirectory(prefix="evidence-") as folder:
        copy = Path(folder) / path.name
        for suffix in ("", "-wal"):
            if (file := path.with_name(path.name + suffix)).exists():
                shutil.copy(file, copy.with_name(copy.name + suffix))
        with closing(sqlite3.connect(copy)) as con:
            con.execute("PRAGMA synchronous = OFF")
            yield con


def facts(url: str) -> Facts:
    """The facts of a world that nobody writes to."""
    if url.startswith("sqlite:"):
        return in_sqlite(Path(url.removeprefix("sqlite:///")))
    with psycopg.connect(url) as con:
        con.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        con.execute("SET search_path = auditor")
        return _read(lambda sql: con.execute(sql).fetchall())


def in_sqlite(path: Path) -> Facts:
    """The facts of a file, which must be undamaged."""
    with copied(path) as con:
        assert con.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return _read(lambda sql: con.execute(sql).fetchall())


def _read(query: Callable[[str], list[tuple[Any, ...]]]) -> Facts:
    def rows(kind: type, table: str, order: str) -> list[tuple[Any, ...]]:
        names = ", ".join(f'"{name}"' for name in kind._fields)  # type: ignore[attr-defined]
        return query(f"SELECT {names} FROM {table} ORDER BY {order}")

    runs = [Run._make(row) for row in rows(Run, "run", "run_id")]
    events = [Event._make(row) for row in rows(Event, "event", 'run_id, "position"')]
    return Facts(
        {run.run_id: run for run in runs},
        {run_id: list(log) for run_id, log in groupby(events, lambda event: event.run_id)},
        [Entity._make(row) for row in rows(Entity, "entity", "run_id, kind, correlation_id")],
        query("SELECT run_id, state, lease FROM message"),
    )


def judge(facts: Facts, history: History) -> None:
    """Nothing lost, nothing doubled, nothing torn, nothing forgotten. Fails with what is wrong."""
    for log in facts.events.values():
        must_be_sound(log)
    _runs_are_their_logs(facts)
    _batches_are_those_that_were_asked_for(facts, history)
    _answers_were_true(facts, history)
    _nothing_is_there_twice(facts, history)
    _nobody_is_forgotten(facts)
    held = {lease for _, _, lease in facts.messages}
    assert not held & history.leases_given_back


def _runs_are_their_logs(facts: Facts) -> None:
    assert facts.runs.keys() == facts.events.keys()
    for run_id, run in facts.runs.items():
        last = facts.events[run_id][-1]
        assert (run.version, run.tail, run.hash) == (last.position, last.event_id, last.hash)


def _batches_are_those_that_were_asked_for(facts: Facts, history: History) -> None:
    for run_id, log in facts.events.items():
        for request, events in groupby(log, lambda event: event.request_id):
            assert request in history.intents, f"nobody asked for {request}"
            intent = history.intents[request]
            assert intent.run == run_id
            stored = [(event.event_type, event.correlation_id, event.resume_id) for event in events]
            assert stored == [(kind, entity, resume) for kind, entity, _, resume in intent.events]


def _answers_were_true(facts: Facts, history: History) -> None:
    stored = {run_id: {(e.position, e.event_id) for e in log} for run_id, log in facts.events.items()}
    for request, places in history.acknowledged.items():
        intent = history.intents[request]
        assert len(places) == len(intent.events)
        assert stored.get(intent.run, set()).issuperset(places), f"lost, though it was acknowledged: {intent}"
    written = {event.request_id for log in facts.events.values() for event in log}
    refused = written & history.refused.keys()
    assert not refused, f"written, though it was refused: {refused}"


def _nothing_is_there_twice(facts: Facts, history: History) -> None:
    resumed: dict[tuple[str, str], int] = defaultdict(int)
    keyed: dict[tuple[str, str], set[str]] = defaultdict(set)
    for run_id, log in facts.events.items():
        for event in log:
            if event.resume_id is not None:
                resumed[run_id, event.resume_id] += 1
            if (key := history.intents[event.request_id].key) is not None:
                keyed[run_id, key].add(event.request_id)
    for request in history.acknowledged:
        intent = history.intents[request]
        assert intent.resume is None or resumed[intent.run, intent.resume] == 1
        assert intent.key is None or len(keyed[intent.run, intent.key]) == 1
    assert set(resumed.values()) <= {1}
    assert {len(requests) for requests in keyed.values()} <= {1}


def _nobody_is_forgotten(facts: Facts) -> None:
    """Each open run has a message that somebody will get, unless it waits for hooks alone."""
    awake = {run_id for run_id, state, _ in facts.messages if state in ("waiting", "leased")}
    open_kinds: dict[str, set[str]] = defaultdict(set)
    for entity in facts.entities:
        if entity.status not in ("completed", "failed", "disposed"):
            open_kinds[entity.run_id].add(entity.kind)
    for run_id, run in facts.runs.items():
        if run.status in OPEN and run_id not in awake:
            assert open_kinds[run_id] == {"hook"}, f"{run_id} is open, and nobody will look at it"


def whole_or_absent(facts: Facts, intent: Intent) -> bool:
    """Whether the events of a request are there; they are all there, or none."""
    log = facts.events.get(intent.run, [])
    count = sum(event.request_id == intent.request for event in log)
    assert count in (0, len(intent.events)), f"torn: {count} of {len(intent.events)} events"
    return count > 0

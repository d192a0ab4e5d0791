"""An append in a SQLite transaction: load what the request touches, decide, write what was decided."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable

from auditor.errors import FenceConflict, Refused
from auditor.model.events import EventType
from auditor.model.ids import ulid_floor
from auditor.model.rows import NONE, Entity, Event, Refusal, Run
from auditor.world.base import MAX_MISSING
from auditor.world.decision import Accepted, Remembered, Repeated, RunState, decide, refusals
from auditor.world.draft import Request
from auditor.world.entities import Holder, Key, key_of
from auditor.world.protocol import Appended, Message
from auditor.world.sqlite.committer import Tx


def columns(row: type[tuple[object, ...]]) -> str:
    """The columns of a row type, for a SELECT or an INSERT."""
    return ", ".join(f'"{name}"' for name in row._fields)  # type: ignore[attr-defined]


def insert(table: str, row: type[tuple[object, ...]]) -> str:
    """The INSERT of a row type into its table."""
    marks = ", ".join("?" * len(row._fields))  # type: ignore[attr-defined]
    return f"INSERT INTO {table} ({columns(row)}) VALUES ({marks})"


SELECT_RUN = f"SELECT {columns(Run)} FROM run WHERE run_id = ?"
SELECT_EVENTS = (
    f'SELECT {columns(Event)} FROM event WHERE run_id = ? AND "position" > ? ORDER BY "position" LIMIT ?'
)
_SELECT_ENTITY = f"SELECT {columns(Entity)} FROM entity WHERE run_id = ? AND kind = ? AND correlation_id = ?"
_SELECT_RESUMED = f"SELECT {columns(Event)} FROM event WHERE run_id = ? AND resume_id = ?"
_INSERT_EVENT, _INSERT_RUN = insert("event", Event), insert("run", Run)
_INSERT_ENTITY = insert("entity", Entity)
# The key of this table is no rowid (BIGINT, for both stores), so SQLite does not number it by itself.
_INSERT_REFUSAL = (
    f"INSERT INTO refusal (refusal_no, {columns(Refusal)}) "
    f"VALUES ((SELECT coalesce(max(refusal_no), 0) + 1 FROM refusal), {', '.join('?' * len(Refusal._fields))})"
)
_CHANGING_RUN = Run._fields[5:]
_UPDATE_RUN = f"UPDATE run SET {', '.join(f'{name} = ?' for name in _CHANGING_RUN)} WHERE run_id = ?"
_CHANGING_ENTITY = Entity._fields[3:]
_UPDATE_ENTITY = (
    f"UPDATE entity SET {', '.join(f'{name} = ?' for name in _CHANGING_ENTITY)} "
    "WHERE run_id = ? AND kind = ? AND correlation_id = ?"
)
_SEND = (
    "INSERT INTO message (run_id, kind, correlation_id, key, state, ready_at) VALUES (?, ?, ?, ?, 'waiting', ?) "
    "ON CONFLICT (run_id, key) WHERE state = 'waiting' DO UPDATE SET ready_at = min(ready_at, excluded.ready_at)"
)
NO_LIMIT = -1


def append(tx: Tx, request: Request) -> Appended:
    """Decide on a request and write what comes of it, the refusal too. Raises Refused."""
    state = load(tx, request)
    decision = decide(state, request, tx.now, secrets.randbits)
    if isinstance(decision, Refused):
        tx.con.executemany(_INSERT_REFUSAL, refusals(state, request, decision, tx.now))
        if isinstance(decision, FenceConflict):
            decision.missing = _missing(tx.con, request.append.run_id, decision.expected or NONE)
        raise decision
    run_id, since = request.append.run_id, request.append.since
    if isinstance(decision, Repeated):
        events = tuple(read(tx.con, run_id, decision.first - 1, decision.last - decision.first + 1))
    else:
        events = write(tx, decision)
    behind = () if since is None else tuple(read(tx.con, run_id, max(since, 0)))
    return Appended(events, isinstance(decision, Repeated), behind)


def read(con: sqlite3.Connection, run_id: str, after: int, limit: int = NO_LIMIT) -> Iterable[Event]:
    """The events of a run behind a position."""
    return map(Event._make, con.execute(SELECT_EVENTS, (run_id, after, limit)))


def load(tx: Tx, request: Request) -> RunState:
    """What a request touches."""
    con, run_id = tx.con, request.append.run_id
    row = con.execute(SELECT_RUN, (run_id,)).fetchone()
    state = RunState(None if row is None else Run._make(row))
    for draft in request.drafts:
        if draft.event_type is EventType.HOOK_CREATED:
            _load_holder(tx, str(draft.data["token"]), state.holders)
    if state.run is None:
        return state
    _load_entities(con, request, state.entities)
    if request.append.idempotency_key is not None:
        known = con.execute(
            "SELECT key, body, first, last FROM remembered WHERE run_id = ? AND key = ?",
            (run_id, request.append.idempotency_key),
        ).fetchone()
        state.remembered = None if known is None else Remembered(*known)
    if request.resume_id is not None:
        resumed = con.execute(_SELECT_RESUMED, (run_id, request.resume_id)).fetchone()
        state.resumed = None if resumed is None else Event._make(resumed)
    if request.as_of is not None:
        state.resolved = con.execute(
            "SELECT max(event_id) FROM event WHERE run_id = ? AND event_id < ?",
            (run_id, f"evnt_{ulid_floor(request.as_of)}"),
        ).fetchone()[0]
    return state


def _load_entities(con: sqlite3.Connection, request: Request, entities: dict[Key, Entity]) -> None:
    for draft in request.drafts:
        key = key_of(draft)
        if key is not None and key not in entities:
            row = con.execute(_SELECT_ENTITY, (request.append.run_id, *key)).fetchone()
            if row is not None:
                entities[key] = Entity._make(row)


def _load_holder(tx: Tx, token: str, holders: dict[str, Holder]) -> None:
    row = tx.con.execute("SELECT run_id, correlation_id, until FROM token WHERE token = ?", (token,)).fetchone()
    if row is not None and (row[2] is None or row[2] > tx.now):
        holders[token] = Holder(row[0], row[1])


def write(tx: Tx, accepted: Accepted) -> tuple[Event, ...]:
    """Write what was decided; the events as they are stored."""
    con, run, change = tx.con, accepted.run, accepted.change
    events = tuple(event._replace(commit_seq=tx.commit_seq) for event in accepted.events)
    if accepted.before == 0:
        con.execute(_INSERT_RUN, run)
    else:
        con.execute(_UPDATE_RUN, (*run[5:], run.run_id))
    con.executemany(_INSERT_EVENT, events)
    if change.created:
        con.executemany(_INSERT_ENTITY, change.created.values())
    if change.updated:
        con.executemany(_UPDATE_ENTITY, ((*row[3:], *row[:3]) for row in change.updated.values()))
    _write_tokens(con, accepted)
    if accepted.remembered is not None:
        kept = accepted.remembered
        con.execute(
            "INSERT INTO remembered VALUES (?, ?, ?, ?, ?)",
            (run.run_id, kept.key, kept.body, kept.first, kept.last),
        )
    if accepted.ended:
        _release(con, run)
    con.executemany(_SEND, map(_sent, accepted.messages))
    return events


def _write_tokens(con: sqlite3.Connection, accepted: Accepted) -> None:
    for token in accepted.change.freed:
        con.execute("DELETE FROM token WHERE token = ?", (token,))
    for token, holder in accepted.change.granted.items():
        con.execute("REPLACE INTO token VALUES (?, ?, ?, NULL)", (token, holder.run_id, holder.correlation_id))


def _release(con: sqlite3.Connection, run: Run) -> None:
    """The end of a run: its hooks are closed, their tokens free at once or after their retention."""
    now = run.updated_at
    con.execute(
        "DELETE FROM token WHERE run_id = ?1 AND NOT EXISTS (SELECT 1 FROM entity WHERE entity.run_id = ?1 "
        "AND kind = 'hook' AND entity.correlation_id = token.correlation_id AND token_retention_until > ?2)",
        (run.run_id, now),
    )
    con.execute(
        "UPDATE token SET until = (SELECT token_retention_until FROM entity WHERE entity.run_id = token.run_id "
        "AND kind = 'hook' AND entity.correlation_id = token.correlation_id) WHERE run_id = ? AND until IS NULL",
        (run.run_id,),
    )
    con.execute(
        "UPDATE entity SET status = 'disposed', updated_at = ?1, completed_at = ?1 "
        "WHERE run_id = ?2 AND kind = 'hook' AND status = 'open'",
        (now, run.run_id),
    )
    con.execute("DELETE FROM message WHERE run_id = ? AND state = 'waiting'", (run.run_id,))


def send(con: sqlite3.Connection, message: Message) -> None:
    """Store one message."""
    con.execute(_SEND, _sent(message))


def _sent(message: Message) -> tuple[str, str, str | None, str, int]:
    return message.run_id, message.kind.value, message.correlation_id, message.key, message.deliver_at


def _missing(con: sqlite3.Connection, run_id: str, expected: str) -> tuple[Event, ...] | None:
    """The events behind the one that a fence names; None if it names none, or there are too many."""
    known = 0
    if expected != NONE:
        row = con.execute(
            'SELECT "position" FROM event WHERE run_id = ? AND event_id = ?', (run_id, expected)
        ).fetchone()
        if row is None:
            return None
        known = row[0]
    missing = tuple(read(con, run_id, known, MAX_MISSING + 1))
    return None if len(missing) > MAX_MISSING else missing

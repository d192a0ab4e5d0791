"""What a PostgreSQL world reads: everything that a request touches, in one round trip, and events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

import orjson

from auditor.errors import Refused
from auditor.model.events import EventType, FenceKind
from auditor.model.ids import ulid_floor
from auditor.model.rows import NONE, Entity, Event, Refusal, Run
from auditor.world.decision import Remembered, RunState
from auditor.world.draft import Request
from auditor.world.entities import Holder, key_of
from auditor.world.postgres.database import Connection


def columns(row: type[tuple[Any, ...]], of: str = "") -> LiteralString:
    """The columns of a row type, for a SELECT or an INSERT."""
    return ", ".join(f'{of}"{name}"' for name in row._fields)  # type: ignore[attr-defined]


_LOAD: LiteralString = f"""
SELECT
    now_ms(),
    (SELECT row_to_json(r) FROM (SELECT {columns(Run)} FROM run WHERE run_id = %(run_id)s) AS r),
    (
        SELECT json_agg(row_to_json(e))
        FROM (
            SELECT {columns(Entity, "entity.")}
            FROM entity
            JOIN json_to_recordset(%(keys)s) AS wanted (kind TEXT, correlation_id TEXT)
                USING (kind, correlation_id)
            WHERE run_id = %(run_id)s
        ) AS e
    ),
    (
        SELECT json_build_array(key, body, first, last)
        FROM remembered WHERE run_id = %(run_id)s AND key = %(key)s
    ),
    (
        SELECT row_to_json(e)
        FROM (SELECT {columns(Event)} FROM event WHERE run_id = %(run_id)s AND resume_id = %(resume_id)s) AS e
    ),
    (
        SELECT json_agg(json_build_array(token, run_id, correlation_id))
        FROM token WHERE token = ANY(%(tokens)s) AND (until IS NULL OR until > now_ms())
    ),
    (
        SELECT event_id FROM event
        WHERE run_id = %(run_id)s AND event_id COLLATE "C" < %(as_of)s ORDER BY "position" DESC LIMIT 1
    ),
    (
        SELECT json_build_array(min("position"), max("position"))
        FROM event WHERE run_id = %(run_id)s AND "position" > %(sent)s AND request_id = %(request_id)s
    )
"""

_REFUSE: LiteralString = f"""
INSERT INTO refusal (refusal_no, {columns(Refusal)})
SELECT nextval('refusal_number'), {columns(Refusal)} FROM json_populate_recordset(NULL::refusal, %s)
"""

SELECT_EVENTS: LiteralString = (
    f'SELECT {columns(Event)} FROM event WHERE run_id = %s AND "position" > %s ORDER BY "position" LIMIT %s'
)


def encode(rows: list[dict[str, Any]]) -> str:
    """Rows as the JSON text in which they travel."""
    return orjson.dumps(rows).decode()


async def load(
    con: Connection, request: Request, sent: int | None
) -> tuple[RunState, int, tuple[int, int] | None]:
    """What a request touches, the server's time in ms, and where its own events stand if they are in the log.

    `sent` is the version of the run on which the request was sent before, with an outcome that nobody knows.
    """
    tokens = [str(draft.data["token"]) for draft in request.drafts if draft.event_type is EventType.HOOK_CREATED]
    if tokens:
        await con.execute("DELETE FROM token WHERE token = ANY(%s) AND until <= now_ms()", (tokens,))
    keys = {key for draft in request.drafts if (key := key_of(draft)) is not None}
    values = {
        "run_id": request.append.run_id,
        "keys": encode([{"kind": kind, "correlation_id": name} for kind, name in sorted(keys)]),
        "key": request.append.idempotency_key,
        "resume_id": request.resume_id,
        "tokens": tokens,
        "as_of": None if request.as_of is None else f"evnt_{ulid_floor(request.as_of)}",
        "sent": sent,
        "request_id": request.append.request_id,
    }
    row = await (await con.execute(_LOAD, values)).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    now, run, entities, remembered, resumed, holders, resolved, mine = row
    rows = [Entity(**entity) for entity in entities or ()]
    state = RunState(
        run=None if run is None else Run(**run),
        entities={(entity.kind, entity.correlation_id): entity for entity in rows},
        remembered=None if remembered is None else Remembered(*remembered),
        resumed=None if resumed is None else Event(**resumed),
        holders={token: Holder(run_id, name) for token, run_id, name in holders or ()},
        resolved=resolved,
    )
    return state, int(now), (mine[0], mine[1]) if mine is not None and mine[0] is not None else None


def is_warm(request: Request, state: RunState) -> bool:
    """Whether a state that a store remembers is enough to decide on: what it lacks can only be absent.

    What turns out to be there after all breaks a key of a table, and the request is decided on again.
    """
    run, fence = state.run, request.append.fence
    if run is None or (fence is not None and fence.kind is FenceKind.AS_OF):
        return False
    for draft in request.drafts:
        key = key_of(draft)
        if key is not None and not draft.event_type.value.endswith("_created") and key not in state.entities:
            return False
    return True


async def journal(con: Connection, rows: Sequence[Refusal]) -> None:
    """Write down what was refused."""
    await con.execute(_REFUSE, (encode([row._asdict() for row in rows]),))


async def missing(con: Connection, refused: Refused, run: Run, at_most: int) -> tuple[Event, ...] | None:
    """The events between the one that a fence names and the end of the run as it was judged.

    None if it names none, or there are too many.
    """
    known = 0
    if refused.expected != NONE:
        cursor = await con.execute(
            'SELECT "position" FROM event WHERE run_id = %s AND event_id = %s', (run.run_id, refused.expected)
        )
        row = await cursor.fetchone()
        if row is None:
            return None
        known = row[0]
    if run.version - known > at_most:
        return None
    return await read(con, run.run_id, known, run.version - known)


async def read(con: Connection, run_id: str, after: int, limit: int | None = None) -> tuple[Event, ...]:
    """The events of a run behind a position."""
    cursor = await con.execute(SELECT_EVENTS, (run_id, after, limit))
    return tuple(Event._make(row) for row in await cursor.fetchall())

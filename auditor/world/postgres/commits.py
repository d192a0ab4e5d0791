"""One guarded statement commits what was decided of a run, or of several runs at once.

Rows travel as one JSON text a table, so a statement has the same text however many rows it writes, and PostgreSQL
plans it once a connection. Every part but the first works only for the runs that were moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, LiteralString

from auditor.model.rows import Entity, Event, Run
from auditor.world.decision import Accepted
from auditor.world.entities import Holder
from auditor.world.postgres.database import Connection
from auditor.world.postgres.reads import columns, encode
from auditor.world.protocol import Message


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided, and the server's time in ms that it was decided on."""

    accepted: Accepted
    now: int


def _assigned(names: Iterable[str], of: str) -> LiteralString:
    return ", ".join(f'"{name}" = {of}."{name}"' for name in names)


# The time that a decision took must be the server's: never ahead of its clock, and less than a second old.
_TIMELY = "%(oldest)s >= now_ms() - 1000 AND %(newest)s <= now_ms()"

_MOVED: LiteralString = f"""
moved AS (
    UPDATE run SET {_assigned(Run._fields[5:], "after")}
    FROM json_populate_recordset(NULL::run, %(moved)s) AS after
    JOIN json_to_recordset(%(moved)s) AS known (run_id TEXT, before BIGINT) USING (run_id)
    WHERE run.run_id = after.run_id AND run.version = known.before AND {_TIMELY}
"""

_PARTS: dict[str, LiteralString] = {
    # Runs are locked in one order, so that two groups never wait for each other.
    "several": """
locked AS MATERIALIZED (
    SELECT run.run_id
    FROM run
    WHERE run.run_id IN (SELECT run_id FROM json_to_recordset(%(moved)s) AS wanted (run_id TEXT))
    ORDER BY run.run_id
    FOR UPDATE
)""",
    "held": """
still AS (
    SELECT token.token
    FROM token
    JOIN json_to_recordset(%(held)s) AS held (token TEXT, run_id TEXT, correlation_id TEXT)
        USING (token, run_id, correlation_id)
    FOR SHARE OF token
)""",
    "begun": f"""
begun AS (
    INSERT INTO run ({columns(Run)})
    SELECT {columns(Run)} FROM json_populate_recordset(NULL::run, %(begun)s) WHERE {_TIMELY} ORDER BY run_id
    ON CONFLICT (run_id) DO NOTHING
    RETURNING run_id
)""",
    "moved": f"{_MOVED} RETURNING run.run_id)",
    "moved several": f"{_MOVED} AND run.run_id IN (SELECT run_id FROM locked) RETURNING run.run_id)",
    "moved held": f"{_MOVED} AND (SELECT count(*) FROM still) = json_array_length(%(held)s) RETURNING run.run_id)",
    "number begun": """
number AS MATERIALIZED (SELECT run_id, nextval('commit_number') AS commit_seq FROM begun)""",
    "number moved": """
number AS MATERIALIZED (SELECT run_id, nextval('commit_number') AS commit_seq FROM moved)""",
    "number both": """
number AS MATERIALIZED (
    SELECT run_id, nextval('commit_number') AS commit_seq
    FROM (SELECT run_id FROM begun UNION ALL SELECT run_id FROM moved) AS changed
)""",
    "events": f"""
written AS (
    INSERT INTO event ({columns(Event)})
    SELECT {columns(Event, "new.").replace('new."commit_seq"', "number.commit_seq")}
    FROM json_populate_recordset(NULL::event, %(events)s) AS new JOIN number USING (run_id)
)""",
    "created": f"""
created AS (
    INSERT INTO entity ({columns(Entity)})
    SELECT {columns(Entity, "new.")}
    FROM json_populate_recordset(NULL::entity, %(created)s) AS new JOIN number USING (run_id)
)""",
    "updated": f"""
updated AS (
    UPDATE entity SET {_assigned(Entity._fields[3:], "new")}
    FROM json_populate_recordset(NULL::entity, %(updated)s) AS new JOIN number USING (run_id)
    WHERE entity.run_id = new.run_id AND entity.kind = new.kind AND entity.correlation_id = new.correlation_id
)""",
    "freed": """
freed AS (
    DELETE FROM token
    USING json_populate_recordset(NULL::token, %(freed)s) AS gone JOIN number USING (run_id)
    WHERE token.token = gone.token AND token.run_id = gone.run_id
)""",
    "handed": """
handed AS (
    UPDATE token SET correlation_id = new.correlation_id, until = NULL
    FROM json_populate_recordset(NULL::token, %(handed)s) AS new JOIN number USING (run_id)
    WHERE token.token = new.token
)""",
    "granted": """
granted AS (
    INSERT INTO token (token, run_id, correlation_id)
    SELECT new.token, new.run_id, new.correlation_id
    FROM json_populate_recordset(NULL::token, %(granted)s) AS new JOIN number USING (run_id)
)""",
    "messages": """
sent AS (
    INSERT INTO message (run_id, kind, correlation_id, key, state, ready_at)
    SELECT new.run_id, new.kind, new.correlation_id, new.key, 'waiting', new.ready_at
    FROM json_populate_recordset(NULL::message, %(messages)s) AS new JOIN number USING (run_id)
    ON CONFLICT (run_id, key) WHERE state = 'waiting'
        DO UPDATE SET ready_at = least(message.ready_at, excluded.ready_at)
)""",
    "remembered": """
kept AS (
    INSERT INTO remembered (run_id, key, body, first, last)
    SELECT new.run_id, new.key, new.body, new.first, new.last
    FROM json_populate_recordset(NULL::remembered, %(remembered)s) AS new JOIN number USING (run_id)
)""",
    "ended": """
ended AS MATERIALIZED (
    SELECT ended.*
    FROM json_to_recordset(%(ended)s)
        AS ended (run_id TEXT, at BIGINT, touched TEXT[], let_go TEXT[], keys TEXT[])
    JOIN number USING (run_id)
),
closed AS (
    UPDATE entity SET status = 'disposed', updated_at = at, completed_at = at
    FROM ended
    WHERE entity.run_id = ended.run_id AND kind = 'hook' AND status = 'open' AND correlation_id <> ALL(touched)
),
retained AS MATERIALIZED (
    SELECT token.token, entity.token_retention_until AS until
    FROM ended
    JOIN token USING (run_id)
    JOIN entity USING (run_id, correlation_id)
    WHERE entity.kind = 'hook' AND entity.token_retention_until > at AND token.token <> ALL(let_go)
),
kept_on AS (
    UPDATE token SET until = retained.until FROM retained WHERE token.token = retained.token
),
released AS (
    DELETE FROM token
    USING ended
    WHERE token.run_id = ended.run_id AND token.token <> ALL(let_go)
        AND token.token NOT IN (SELECT token FROM retained)
),
dropped AS (
    DELETE FROM message
    USING ended
    WHERE message.run_id = ended.run_id AND state = 'waiting' AND key <> ALL(keys)
)""",
}


@lru_cache(maxsize=256)
def _statement(parts: tuple[str, ...]) -> LiteralString:
    return (
        f"WITH {', '.join(_PARTS[part] for part in parts)} "
        "SELECT (SELECT json_object_agg(run_id, commit_seq) FROM number), now_ms()"
    )


async def commit(con: Connection, group: Sequence[Decided]) -> tuple[dict[str, int], int]:
    """Commit what was decided of different runs; the number of the commit of each run, and the server's time.

    Of a run that the answer lacks nothing is committed: it has moved on, a token is not held any more, or the time
    of the decision is not the server's.
    """
    rows = _rows([decided.accepted for decided in group])
    values: dict[str, Any] = {part: encode(some) for part, some in rows.items() if some}
    values["oldest"] = min(decided.now for decided in group)
    values["newest"] = max(decided.now for decided in group)
    row = await (await con.execute(_statement(_parts(rows)), values)).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return row[0] or {}, int(row[1])


def _parts(rows: dict[str, list[dict[str, Any]]]) -> tuple[str, ...]:
    """The parts of a statement for these rows, in their order."""
    begun, moved, held = bool(rows["begun"]), len(rows["moved"]), bool(rows["held"])
    parts = []
    if moved > 1:
        parts += ["several"]
    if moved and held:
        parts += ["held"]
    if begun:
        parts += ["begun"]
    if moved:
        parts += ["moved several" if moved > 1 else "moved held" if held else "moved"]
    parts += ["number both" if begun and moved else "number begun" if begun else "number moved"]
    last = ("events", "created", "updated", "freed", "handed", "granted", "messages", "remembered", "ended")
    return (*parts, *(part for part in last if rows[part]))


def _rows(group: Sequence[Accepted]) -> dict[str, list[dict[str, Any]]]:
    """What is to be written, by part."""
    rows: dict[str, list[dict[str, Any]]] = {
        "begun": [accepted.run._asdict() for accepted in group if accepted.before == 0],
        "moved": [accepted.run._asdict() | {"before": accepted.before} for accepted in group if accepted.before],
        "held": [],
        "events": [event._asdict() for accepted in group for event in accepted.events],
        "created": [],
        "updated": [],
        "freed": [],
        "handed": [],
        "granted": [],
        "messages": [_message(message) for accepted in group for message in accepted.messages],
        "remembered": [],
        "ended": [_end(accepted) for accepted in group if accepted.ended],
    }
    for accepted in group:
        change, run_id = accepted.change, accepted.run.run_id
        rows["created"] += [row._asdict() for row in change.created.values()]
        rows["updated"] += [row._asdict() for row in change.updated.values()]
        rows["held"] += [_token(token, holder) for token, holder in change.held.items()]
        rows["freed"] += [{"token": token, "run_id": run_id} for token in change.freed - change.granted.keys()]
        for token, holder in change.granted.items():
            rows["handed" if token in change.freed else "granted"].append(_token(token, holder))
        if (kept := accepted.remembered) is not None:
            row = {"run_id": run_id, "key": kept.key, "body": kept.body, "first": kept.first, "last": kept.last}
            rows["remembered"].append(row)
    return rows


def _token(token: str, holder: Holder) -> dict[str, Any]:
    return {"token": token, "run_id": holder.run_id, "correlation_id": holder.correlation_id}


def _message(message: Message) -> dict[str, Any]:
    return {
        "run_id": message.run_id,
        "kind": message.kind.value,
        "correlation_id": message.correlation_id,
        "key": message.key,
        "ready_at": message.deliver_at,
    }


def _end(accepted: Accepted) -> dict[str, Any]:
    change = accepted.change
    return {
        "run_id": accepted.run.run_id,
        "at": accepted.run.updated_at,
        "touched": [name for _, name in (*change.created, *change.updated)],
        "let_go": list(change.freed),
        "keys": [message.key for message in accepted.messages],
    }

"""One run of an audit: what is known of it, its events, entities, transitions and findings."""

from __future__ import annotations

from typing import Any

import duckdb

from .rows import rows
from .times import in_words

_NOT_SHOWN = {"event_no", "source_id", "payload"}


def about(con: duckdb.DuckDBPyConnection, run_id: str) -> dict[str, Any] | None:
    """The run and its verdicts; None if the audit has no such run."""
    known = rows(con, "SELECT * FROM run LEFT JOIN verdict USING (run_id) WHERE run_id = $1", [run_id])
    return known[0] if known else None


def findings(con: duckdb.DuckDBPyConnection, run_id: str, limit: int, offset: int = 0) -> list[dict[str, Any]]:
    """Its findings, in the order of the log."""
    return rows(
        con, f"{_FINDINGS} ORDER BY place NULLS LAST, finding_no LIMIT $2 OFFSET $3", [run_id, limit, offset]
    )


def finding(con: duckdb.DuckDBPyConnection, run_id: str, instance: str) -> dict[str, Any] | None:
    """One of them."""
    known = rows(con, f"{_FINDINGS} AND instance = $2 LIMIT 1", [run_id, instance])
    return known[0] if known else None


def severities(con: duckdb.DuckDBPyConnection, run_id: str) -> dict[str, int]:
    """How many findings it has of each severity."""
    known = rows(con, "SELECT severity, count(*) AS n FROM finding WHERE run_id = $1 GROUP BY severity", [run_id])
    return {row["severity"]: row["n"] for row in known}


_FINDINGS = """
    SELECT finding_no, severity, rule, run_id, confidence, because, place, state, instance, pattern
    FROM finding
    WHERE run_id = $1
"""

_CHOSEN = """
    FROM log
    WHERE log.run_id = $run_id AND ($event_type IS NULL OR event_type = $event_type)
        AND ($entity IS NULL OR correlation_id = $entity)
        AND "position" BETWEEN coalesce($first, "position") AND coalesce($last, "position")
"""


def events(
    con: duckdb.DuckDBPyConnection,
    run_id: str,
    limit: int,
    offset: int = 0,
    *,
    event_type: str | None = None,
    entity: str | None = None,
    first: int | None = None,
    last: int | None = None,
) -> list[dict[str, Any]]:
    """A page of its events. `entity` is a correlation id; `first` and `last` are positions."""
    return rows(
        con,
        f"""
        WITH page AS (SELECT log.* {_CHOSEN} ORDER BY "position" LIMIT $limit OFFSET $offset)

        SELECT
            page."position", page.event_type, page.event_id, page.correlation_id,
            page.kind || coalesce('#' || ordinal, '') AS entity, event.step_name,
            {in_words("page.created_at")} AS created_at, event.fence_kind, event.fence_value, known,
            concat_ws(' / ', event.writer_id, event.tick_id) AS writer,
            source.name || coalesce(':' || event.line, '') AS source
        FROM page
        JOIN event USING (event_no)
        JOIN source USING (source_id)
        LEFT JOIN entity
            ON entity.run_id = page.run_id AND entity.kind = page.kind
            AND entity.correlation_id = page.correlation_id
        LEFT JOIN write ON write.run_id = page.run_id AND write.event_no = page.event_no
        ORDER BY page."position"
        """,
        _chosen(run_id, event_type, entity, first, last) | {"limit": limit, "offset": offset},
    )


def count_events(
    con: duckdb.DuckDBPyConnection,
    run_id: str,
    *,
    event_type: str | None = None,
    entity: str | None = None,
    last: int | None = None,
) -> int:
    """How many of its events there are; with `last`, up to that position."""
    counted = rows(con, f"SELECT count(*) AS n {_CHOSEN}", _chosen(run_id, event_type, entity, None, last))
    return int(counted[0]["n"])


def event_types(con: duckdb.DuckDBPyConnection, run_id: str) -> list[str]:
    """The types of its events."""
    known = rows(
        con, "SELECT DISTINCT event_type FROM log WHERE run_id = $1 ORDER BY event_type LIMIT 100", [run_id]
    )
    return [row["event_type"] for row in known]


def event(con: duckdb.DuckDBPyConnection, run_id: str, position: int) -> dict[str, Any] | None:
    """All that is kept of one event, but for its payload: `has_payload` says whether there is one."""
    known = rows(
        con,
        """
        SELECT event.* EXCLUDE ("position"), log."position", event.payload IS NOT NULL AS has_payload
        FROM log JOIN event USING (event_no)
        WHERE log.run_id = $1 AND log."position" = $2
        """,
        [run_id, position],
    )
    if not known:
        return None
    return {name: value for name, value in known[0].items() if value is not None and name not in _NOT_SHOWN}


def payload(con: duckdb.DuckDBPyConnection, run_id: str, position: int) -> str | None:
    """The payload of one event, as JSON. Reading it is written down first: see views/run_events.py."""
    known = rows(
        con,
        'SELECT payload FROM log JOIN event USING (event_no) WHERE log.run_id = $1 AND log."position" = $2',
        [run_id, position],
    )
    return str(known[0]["payload"]) if known and known[0]["payload"] is not None else None


def entities(con: duckdb.DuckDBPyConnection, run_id: str, limit: int, offset: int = 0) -> list[dict[str, Any]]:
    """A page of its steps, waits and hooks, in the order in which they were created."""
    return rows(
        con,
        f"""
        WITH page AS (
            SELECT *, least(first_created, first_active, first_closed) AS first
            FROM entity WHERE run_id = $1
            ORDER BY first, correlation_id
            LIMIT $2 OFFSET $3
        )

        SELECT
            page.kind, page.ordinal, any_value(step_name) AS step_name, page.correlation_id,
            ['created', 'active', 'closed'][stage] AS state,
            arg_max(log.event_type, log."position") AS last_event,
            first_created, first_active, first_closed, page.created, page.started, page.retried, page.closed,
            max(attempt) AS attempt, {in_words("max(event_core.resume_at)")} AS resume_at
        FROM page
        JOIN log ON log.run_id = $1 AND log.kind = page.kind AND log.correlation_id = page.correlation_id
        JOIN event_core USING (event_no)
        GROUP BY ALL
        ORDER BY any_value(page.first), page.correlation_id
        """,
        [run_id, limit, offset],
    )


def count_entities(con: duckdb.DuckDBPyConnection, run_id: str) -> dict[str, int]:
    """How many it has of each kind."""
    known = rows(con, "SELECT kind, count(*) AS n FROM entity WHERE run_id = $1 GROUP BY kind", [run_id])
    return {row["kind"]: row["n"] for row in known}


def transitions(con: duckdb.DuckDBPyConnection, run_id: str) -> list[dict[str, Any]]:
    """What events did to the entities of each kind, and how often. `rule` accuses those that are not allowed."""
    return rows(
        con,
        """
        WITH seen AS (
            SELECT
                log.kind, correlation_id, event_type, reaches,
                coalesce(max(reaches) OVER (
                    PARTITION BY log.kind, correlation_id ORDER BY "position"
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ), 0) AS before
            FROM log
            JOIN (SELECT DISTINCT kind, event_type, reaches FROM lifecycle) USING (kind, event_type)
            WHERE run_id = $1 AND correlation_id IS NOT NULL
        )

        SELECT
            seen.kind, before, seen.event_type, greatest(before, seen.reaches) AS after,
            count(*) AS times, count(DISTINCT correlation_id) AS entities, any_value(accusation) AS rule
        FROM seen
        LEFT JOIN lifecycle USING (kind, event_type, before)
        GROUP BY seen.kind, before, seen.event_type, after
        ORDER BY list_position(['step', 'hook', 'wait'], seen.kind), before, after, seen.event_type
        """,
        [run_id],
    )


def _chosen(
    run_id: str, event_type: str | None, entity: str | None, first: int | None, last: int | None
) -> dict[str, Any]:
    return {"run_id": run_id, "event_type": event_type, "entity": entity, "first": first, "last": last}

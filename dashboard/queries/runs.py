"""The runs of an audit: the list, and where an id leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from .rows import rows

STATUSES = ("running", "completed", "failed", "cancelled")
SHORTEST = 4
"""Characters of an id that are looked up as its beginning."""

_HITS = 50


@dataclass(frozen=True, slots=True)
class Filter:
    """Which runs are listed; empty: all."""

    verdicts: Sequence[str] = ()
    statuses: Sequence[str] = ()
    workflow: str | None = None
    run_ids: Sequence[str] | None = None
    """Only these; None: all."""


_CHOSEN = """
    FROM run JOIN verdict USING (run_id)
    WHERE (len($verdicts) = 0 OR list_contains($verdicts, log_verdict))
        AND (len($statuses) = 0 OR list_contains($statuses, status))
        AND ($workflow IS NULL OR workflow = $workflow)
        AND ($run_ids IS NULL OR list_contains($run_ids, run_id))
"""


def count(con: duckdb.DuckDBPyConnection, chosen: Filter) -> int:
    """How many runs there are."""
    return int(rows(con, f"SELECT count(*) AS runs {_CHOSEN}", _values(chosen))[0]["runs"])


def listed(con: duckdb.DuckDBPyConnection, chosen: Filter, limit: int, offset: int) -> list[dict[str, Any]]:
    """A page of them, the worst first."""
    return rows(
        con,
        f"""
        WITH page AS (
            SELECT
                run.*, log_verdict, runtime_verdict,
                (SELECT count(*) FROM finding WHERE finding.run_id = run.run_id) AS findings,
                list_position(['corrupt', 'cannot_tell', 'suspect', 'sound'], log_verdict) AS rank
            {_CHOSEN}
            ORDER BY rank, findings DESC, run_id
            LIMIT $limit OFFSET $offset
        )

        SELECT
            page.run_id, workflow, status, log_verdict, runtime_verdict, events, findings,
            (
                SELECT min_by(severity, list_position(['error', 'warning', 'info'], severity))
                FROM finding WHERE finding.run_id = page.run_id
            ) AS worst,
            first.created_at AS began,
            epoch(last_created_at) - epoch(first.created_at) AS seconds
        FROM page
        LEFT JOIN event_core AS first ON first.event_no = first_event_no
        ORDER BY rank, findings DESC, page.run_id
        """,
        _values(chosen) | {"limit": limit, "offset": offset},
    )


def workflows(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Their workflows."""
    found = rows(
        con, "SELECT DISTINCT workflow FROM run WHERE workflow IS NOT NULL ORDER BY workflow LIMIT 1000", {}
    )
    return [row["workflow"] for row in found]


def found(con: duckdb.DuckDBPyConnection, text: str) -> list[dict[str, Any]]:
    """What an id, or its beginning, leads to: `what` it is, its `id`, its `run_id`, and where it is in the run."""
    values = {"text": text, "limit": _HITS}
    exact = rows(con, _find("{} = $text"), values)
    if exact or len(text) < SHORTEST:
        return exact
    return rows(con, _find("starts_with({}, $text)"), values)


def _find(match: str) -> str:
    return f"""
        SELECT 'run' AS what, run_id AS id, run_id, NULL AS "position", NULL AS instance
        FROM run WHERE {match.format("run_id")}
        UNION ALL
        SELECT 'finding', instance, run_id, place, instance
        FROM finding WHERE {match.format("instance")}
        UNION ALL
        SELECT kind, correlation_id, run_id, least(first_created, first_active, first_closed), NULL
        FROM entity WHERE {match.format("correlation_id")}
        UNION ALL
        SELECT 'event', event_id, run_id, "position", NULL
        FROM log WHERE {match.format("event_id")}
        LIMIT $limit
    """


def _values(chosen: Filter) -> dict[str, Any]:
    return {
        "verdicts": list(chosen.verdicts),
        "statuses": list(chosen.statuses),
        "workflow": chosen.workflow,
        "run_ids": None if chosen.run_ids is None else list(chosen.run_ids),
    }

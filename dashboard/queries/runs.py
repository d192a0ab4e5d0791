"""The runs of an audit: the list, and where an id leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from .rows import rows
from .times import in_words

STATUSES = ("running", "completed", "failed", "cancelled")
SHORTEST = 4
"""Characters of an id that are looked up as its beginning."""

HITS = 50
"""So many of what an id leads to are listed."""


@dataclass(frozen=True, slots=True)
class Search:
    """An id; or, where nothing has this very id, how it `begins`."""

    text: str
    begins: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """Which runs are listed; empty: all."""

    verdicts: Sequence[str] = ()
    statuses: Sequence[str] = ()
    workflow: str | None = None
    search: Search | None = None
    """Only those that something of this id was found in."""


_CHOSEN = """
    FROM run JOIN verdict USING (run_id)
    WHERE (len($verdicts) = 0 OR list_contains($verdicts, log_verdict))
        AND (len($statuses) = 0 OR list_contains($statuses, status))
        AND ($workflow IS NULL OR workflow = $workflow)
"""


def count(con: duckdb.DuckDBPyConnection, chosen: Filter) -> int:
    """How many runs there are."""
    return int(rows(con, f"SELECT count(*) AS runs {_chosen(chosen)}", _values(chosen))[0]["runs"])


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
            {_chosen(chosen)}
            ORDER BY rank, findings DESC, run_id
            LIMIT $limit OFFSET $offset
        )

        SELECT
            page.run_id, workflow, status, log_verdict, runtime_verdict, events, findings,
            (
                SELECT min_by(severity, list_position(['error', 'warning', 'info'], severity))
                FROM finding WHERE finding.run_id = page.run_id
            ) AS worst,
            {in_words("first.created_at")} AS began,
            epoch(last_created_at) - epoch(first.created_at) AS seconds
        FROM page
        LEFT JOIN event_core AS first ON first.event_no = first_event_no
        ORDER BY rank, findings DESC, page.run_id
        """,
        _values(chosen) | {"limit": limit, "offset": offset},
    )


def workflows(con: duckdb.DuckDBPyConnection, limit: int) -> list[str]:
    """Their workflows, the first in the order of their names."""
    found = rows(
        con, "SELECT DISTINCT workflow FROM run WHERE workflow IS NOT NULL ORDER BY workflow LIMIT ?", [limit]
    )
    return [row["workflow"] for row in found]


def found(con: duckdb.DuckDBPyConnection, text: str) -> tuple[Search, list[dict[str, Any]], bool]:
    """What an id, or its beginning, leads to: how it was looked up, the first HITS hits, and if there are more.

    A hit says `what` it is, its `id`, its `run_id`, and where it is in the run. Runs come first, events last.
    """
    search = Search(text)
    hits = _hits(con, search)
    if not hits and len(text) >= SHORTEST:
        search = Search(text, begins=True)
        hits = _hits(con, search)
    return search, hits[:HITS], len(hits) > HITS


def _hits(con: duckdb.DuckDBPyConnection, search: Search) -> list[dict[str, Any]]:
    return rows(
        con,
        f"""
        SELECT what, id, run_id, "position", instance FROM ({_find(search)})
        ORDER BY rank, id, run_id, "position" LIMIT $limit
        """,
        {"text": search.text, "limit": HITS + 1},
    )


def _find(search: Search) -> str:
    match = "starts_with({}, $text)" if search.begins else "{} = $text"
    return f"""
        SELECT 1 AS rank, 'run' AS what, run_id AS id, run_id, NULL AS "position", NULL AS instance
        FROM run WHERE {match.format("run_id")}
        UNION ALL
        SELECT 2, 'finding', instance, run_id, place, instance
        FROM finding WHERE {match.format("instance")}
        UNION ALL
        SELECT 3, kind, correlation_id, run_id, least(first_created, first_active, first_closed), NULL
        FROM entity WHERE {match.format("correlation_id")}
        UNION ALL
        SELECT 4, 'event', event_id, run_id, "position", NULL
        FROM log WHERE {match.format("event_id")}
    """


def _chosen(chosen: Filter) -> str:
    if chosen.search is None:
        return _CHOSEN
    return f"{_CHOSEN} AND run_id IN (SELECT run_id FROM ({_find(chosen.search)}))"


def _values(chosen: Filter) -> dict[str, Any]:
    return {
        "verdicts": list(chosen.verdicts),
        "statuses": list(chosen.statuses),
        "workflow": chosen.workflow,
        **({"text": chosen.search.text} if chosen.search else {}),
    }

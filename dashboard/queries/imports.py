"""What was read for an audit, and what of it was not."""

from __future__ import annotations

from typing import Any

import duckdb

from ..library import Entry
from ..state import State


def entries(state: State, limit: int, offset: int) -> list[Entry]:
    """A page of all audits, finished or not, the newest first."""
    rows = state.rows(
        "SELECT * FROM audit ORDER BY created_at DESC, audit_id DESC LIMIT ? OFFSET ?", [limit, offset]
    )
    return [Entry.of(row) for row in rows]


def count(state: State) -> int:
    """How many audits there are."""
    return int(state.rows("SELECT count(*) AS n FROM audit")[0]["n"])


def under_way(state: State) -> list[Entry]:
    """The audits that are received, wait for their turn, or run; in their order."""
    rows = state.rows(
        """
        SELECT * FROM audit WHERE state IN ('receiving', 'queued', 'running')
        ORDER BY state = 'running' DESC, created_at, audit_id
        """
    )
    return [Entry.of(row) for row in rows]


def uploads(state: State, audit_id: str, limit: int) -> list[dict[str, Any]]:
    """The files that were uploaded for an audit."""
    return state.rows(
        "SELECT name, bytes, sha256 FROM upload WHERE audit_id = ? ORDER BY name LIMIT ?", [audit_id, limit]
    )


def inputs(con: duckdb.DuckDBPyConnection, limit: int) -> list[dict[str, Any]]:
    """What became of each file or folder; those with a problem first."""
    return _rows(
        con,
        """
        SELECT path, format, events, entities, refusals, rejects, merged, skipped, problem
        FROM input ORDER BY problem IS NULL, rejects = 0, input_id LIMIT ?
        """,
        limit,
    )


def counts(con: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """How many inputs there are, and how many logs in them."""
    inputs, exports = con.execute("SELECT (SELECT count(*) FROM input), (SELECT count(*) FROM export)").fetchall()[
        0
    ]
    return int(inputs), int(exports)


def exports(con: duckdb.DuckDBPyConnection, limit: int) -> list[dict[str, Any]]:
    """Each log in the inputs, and what it can show.

    `cut`: why a part of it may be missing; `encrypted`: events whose payload is; `expired`: runs whose payloads
    are deleted.
    """
    return _rows(
        con,
        """
        WITH sourced AS (
            SELECT
                export_id, count(*) AS files, count(cut) AS cut_files, min(cut) AS cut
            FROM source GROUP BY export_id
        ),
        encrypted AS (
            SELECT export_id, count(*) AS encrypted
            FROM event_more
            JOIN event_core USING (event_no)
            JOIN source USING (source_id)
            WHERE payload_encrypted
            GROUP BY export_id
        ),
        expired AS (
            SELECT export_id, count(*) AS expired
            FROM entity_row
            JOIN source USING (source_id)
            JOIN run USING (run_id)
            WHERE kind = 'run' AND expired_at <= now
            GROUP BY export_id
        ),
        rejected AS (
            SELECT export_id, count(*) AS rejects FROM reject JOIN source USING (source_id) GROUP BY export_id
        )
        SELECT
            path, export.name, export.format, files, cut, cut_files, coalesce(rejected.rejects, 0) AS rejects,
            coalesce(encrypted, 0) AS encrypted, coalesce(expired, 0) AS expired, records
        FROM export
        JOIN input USING (input_id)
        LEFT JOIN sourced USING (export_id)
        LEFT JOIN encrypted USING (export_id)
        LEFT JOIN expired USING (export_id)
        LEFT JOIN rejected USING (export_id)
        ORDER BY cut IS NULL, coalesce(rejected.rejects, 0) = 0, export_id LIMIT ?
        """,
        limit,
    )


def keeps_payloads(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether a payload is in it: then only some may see all of it, whoever made the audit."""
    found = con.execute("SELECT EXISTS (FROM event_more WHERE payload IS NOT NULL)").fetchall()
    return bool(found[0][0])


def capabilities(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """How many runs have which capability."""
    return _rows(con, "SELECT name, runs, all_runs FROM capability ORDER BY runs DESC, name")


def rejects(con: duckdb.DuckDBPyConnection, limit: int, offset: int) -> list[dict[str, Any]]:
    """A page of the rows that could not be read."""
    return _rows(
        con,
        """
        SELECT input.path, source.name AS file, line, reason
        FROM reject
        JOIN source USING (source_id)
        JOIN export USING (export_id)
        JOIN input USING (input_id)
        ORDER BY input_id, source_id, line, reason LIMIT ? OFFSET ?
        """,
        limit,
        offset,
    )


def count_rejects(con: duckdb.DuckDBPyConnection) -> int:
    """How many rows could not be read."""
    return int(con.execute("SELECT count(*) FROM reject").fetchall()[0][0])


def _rows(con: duckdb.DuckDBPyConnection, sql: str, *values: object) -> list[dict[str, Any]]:
    cursor = con.execute(sql, list(values))
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

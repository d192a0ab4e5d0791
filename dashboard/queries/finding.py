"""One finding: its proof, its place among those of its pattern, what it comes from and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from .rows import rows
from .times import in_words

_FINDING = """
    SELECT
        finding.*, run.workflow,
        rule.title, rule.origin, rule.about, rule.document,
        root.instance AS root, suppression.reason AS suppressed_because
    FROM finding
    JOIN rule USING (rule)
    LEFT JOIN run USING (run_id)
    LEFT JOIN finding AS root ON root.finding_no = finding.folded_under
    LEFT JOIN suppression ON suppression.suppression_no = finding.suppression_no
"""

_IN_ORDER = "run_id NULLS FIRST, place, finding_no"


def by_instance(con: duckdb.DuckDBPyConnection, instance: str) -> dict[str, Any] | None:
    """The finding of this fingerprint, with its rule."""
    return _first(con, f"{_FINDING} WHERE finding.instance = ? ORDER BY finding.finding_no LIMIT 1", [instance])


def example(con: duckdb.DuckDBPyConnection, pattern: str) -> dict[str, Any] | None:
    """The finding that stands for a pattern: one that stands, and whose witnesses are kept, if there is one."""
    return _first(
        con,
        f"""{_FINDING}
        WHERE finding.pattern = ?
        ORDER BY
            finding.folded_under IS NOT NULL, finding.kept DESC,
            array_position(['error', 'warning', 'info'], finding.severity), finding.finding_no
        LIMIT 1
        """,
        [pattern],
    )


def witnesses(con: duckdb.DuckDBPyConnection, finding_no: int) -> list[dict[str, Any]]:
    """The records that prove a finding, in the order of its sentence."""
    return rows(
        con,
        f"""
        SELECT
            role, record, run_id, event_id, event_type, correlation_id, "position",
            {in_words("created_at")} AS created_at, entity, step_name,
            fence_kind, fence_value, site, writer_id, source, line, input
        FROM witness_detail WHERE finding_no = ? ORDER BY place_in_proof
        """,
        [finding_no],
    )


def occurrences(
    con: duckdb.DuckDBPyConnection, pattern: str, *, limit: int, offset: int = 0
) -> list[dict[str, Any]]:
    """The findings of a pattern, in the order of runs and places."""
    return rows(
        con,
        f"""
        SELECT instance, run_id, place, severity, state, because
        FROM finding WHERE pattern = ? ORDER BY {_IN_ORDER} LIMIT ? OFFSET ?
        """,
        [pattern, limit, offset],
    )


def neighbours(con: duckdb.DuckDBPyConnection, pattern: str, finding_no: int) -> dict[str, Any]:
    """Which of its pattern a finding is (`nth` of `total`), and the instances `before` and `after` it."""
    return rows(
        con,
        f"""
        SELECT nth, total, before, after
        FROM (
            SELECT
                finding_no,
                row_number() OVER (ORDER BY {_IN_ORDER}) AS nth,
                count(*) OVER () AS total,
                lag(instance) OVER (ORDER BY {_IN_ORDER}) AS before,
                lead(instance) OVER (ORDER BY {_IN_ORDER}) AS after
            FROM finding WHERE pattern = ?
        )
        WHERE finding_no = ?
        """,
        [pattern, finding_no],
    )[0]


def consequences(con: duckdb.DuckDBPyConnection, finding_no: int, *, limit: int) -> list[dict[str, Any]]:
    """What is folded under a finding, the gravest first, each with the number of `all` of them."""
    return rows(
        con,
        """
        SELECT instance, rule, severity, because, count(*) OVER () AS "all"
        FROM finding WHERE folded_under = ?
        ORDER BY array_position(['error', 'warning', 'info'], severity), rule, finding_no LIMIT ?
        """,
        [finding_no, limit],
    )


def cause(con: duckdb.DuckDBPyConnection, cause_no: int | None) -> dict[str, Any] | None:
    """The bug that findings come from."""
    return _first(
        con,
        f"""
        SELECT * REPLACE ({in_words("first_at")} AS first_at, {in_words("last_at")} AS last_at)
        FROM cause WHERE cause_no = ?
        """,
        [cause_no],
    )


def inputs(con: duckdb.DuckDBPyConnection) -> list[str]:
    """What was audited, as it was named."""
    return [row["path"] for row in rows(con, "SELECT path FROM input ORDER BY input_id", [])]


def _first(con: duckdb.DuckDBPyConnection, sql: str, values: Sequence[Any]) -> dict[str, Any] | None:
    return next(iter(rows(con, sql, values)), None)

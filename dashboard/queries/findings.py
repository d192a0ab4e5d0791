"""Findings of an audit: by pattern, and one by one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from .rows import rows
from .times import in_words


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of patterns from outside of the audit.

    `decided` says what decisions make of a pattern; `earlier` are the patterns of the audit that this one is
    compared with, None if there is none.
    """

    decided: Mapping[str, str]
    earlier: Collection[str] | None


@dataclass(frozen=True, slots=True)
class Asked:
    """Which findings to show; what is empty asks for nothing."""

    rules: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    text: str = ""


_JUDGED = """
    WITH decided AS (SELECT unnest($patterns::VARCHAR[]) AS pattern, unnest($said::VARCHAR[]) AS said),
    earlier AS (SELECT DISTINCT unnest($earlier::VARCHAR[]) AS pattern),
    judged AS (
        SELECT
            finding.*, run.workflow,
            array_position(['error', 'warning', 'info'], severity) AS gravity,
            CASE
                WHEN finding.state IN ('folded', 'suppressed') THEN finding.state
                WHEN said IS NOT NULL THEN said
                WHEN finding.state = 'known' THEN 'known'
                WHEN $compared AND earlier.pattern IS NULL THEN 'new'
                ELSE 'open'
            END AS standing
        FROM finding
        LEFT JOIN run USING (run_id)
        LEFT JOIN decided ON decided.pattern = finding.pattern
        LEFT JOIN earlier ON earlier.pattern = finding.pattern
    ),
    asked AS MATERIALIZED (
        SELECT *
        FROM judged
        WHERE ($rules = [] OR list_contains($rules, rule))
            AND ($severities = [] OR list_contains($severities, severity))
            AND ($states = [] OR list_contains($states, standing))
            AND ($workflows = [] OR list_contains($workflows, workflow))
            AND (
                $text = ''
                OR contains(lower(because), $text)
                OR contains(lower(run_id), $text)
                OR contains(lower(workflow), $text)
                OR starts_with(instance, $text)
                OR starts_with(pattern, $text)
            )
    )
"""

_ORDER_OF_WORK = "['regressed', 'new', 'open', 'known', 'ignored', 'resolved', 'suppressed', 'folded']"


def standing_of_patterns(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Every pattern of the audit, and how many of its findings are neither folded nor suppressed."""
    return dict(
        con.execute(
            "SELECT pattern, count(*) FILTER (state IN ('new', 'known')) FROM finding GROUP BY pattern"
        ).fetchall()
    )


def totals(con: duckdb.DuckDBPyConnection, judged: Judged, asked: Asked) -> dict[str, int]:
    """How much there is: `findings` and `patterns` that are asked for, and `all_findings`."""
    sql = f"""{_JUDGED}
        SELECT
            count(*) AS findings,
            count(DISTINCT pattern) AS patterns,
            (SELECT count(*) FROM judged) AS all_findings
        FROM asked
    """
    return rows(con, sql, _values(judged, asked))[0]


def by_standing(con: duckdb.DuckDBPyConnection, judged: Judged) -> dict[str, int]:
    """How many findings stand how."""
    sql = f"{_JUDGED} SELECT standing, count(*) AS findings FROM asked GROUP BY standing"
    return {row["standing"]: row["findings"] for row in rows(con, sql, _values(judged, Asked()))}


def standing(con: duckdb.DuckDBPyConnection, judged: Judged, finding_no: int) -> str:
    """How one finding stands."""
    sql = f"{_JUDGED} SELECT standing FROM asked WHERE finding_no = $finding_no"
    return str(rows(con, sql, {**_values(judged, Asked()), "finding_no": finding_no})[0]["standing"])


def patterns(
    con: duckdb.DuckDBPyConnection, judged: Judged, asked: Asked, *, limit: int, offset: int = 0
) -> list[dict[str, Any]]:
    """What is asked for, one row a pattern, the gravest first; times are those of witnesses that are kept."""
    sql = f"""{_JUDGED},
        -- All patterns are ordered, but only those of this page described.
        chosen AS (
            SELECT
                pattern,
                any_value(rule) AS rule,
                min(gravity) AS gravity,
                min(array_position({_ORDER_OF_WORK}, standing)) AS work,
                min(cause_no) AS cause_no,
                count(*) AS findings
            FROM asked
            GROUP BY pattern
            ORDER BY gravity, work, cause_no, findings DESC, rule, pattern
            LIMIT $limit OFFSET $offset
        ),
        described AS (
            SELECT
                pattern,
                arg_min(severity, gravity) AS severity,
                first(because ORDER BY gravity, kept DESC, finding_no) AS because,
                list_sort(list(DISTINCT workflow) FILTER (workflow IS NOT NULL)) AS workflows,
                count(DISTINCT run_id) AS runs
            FROM asked
            WHERE pattern IN (SELECT pattern FROM chosen)
            GROUP BY pattern
        ),
        moment AS (
            SELECT finding_no, created_at AS seen_at
            FROM witness JOIN event_core ON record = 'event' AND event_no = no
            UNION ALL
            SELECT finding_no, refused_at
            FROM witness JOIN refusal ON record = 'refusal' AND refusal_no = no
        ),
        times AS (
            SELECT pattern, {in_words("min(seen_at)")} AS first_at, {in_words("max(seen_at)")} AS last_at
            FROM moment
            JOIN asked USING (finding_no)
            WHERE pattern IN (SELECT pattern FROM chosen)
            GROUP BY pattern
        )
        SELECT
            pattern, rule, severity, {_ORDER_OF_WORK}[work] AS standing, because,
            coalesce(workflows, []) AS workflows, findings, runs, first_at, last_at
        FROM chosen
        JOIN described USING (pattern)
        LEFT JOIN times USING (pattern)
        ORDER BY gravity, work, cause_no, findings DESC, rule, pattern
    """
    return rows(con, sql, {**_values(judged, asked), "limit": limit, "offset": offset})


def decidable(con: duckdb.DuckDBPyConnection, wanted: Collection[str]) -> list[dict[str, Any]]:
    """What a decision about these patterns says of them: rule, workflow, message, findings that stand."""
    return rows(
        con,
        """
        SELECT
            pattern, any_value(rule) AS rule, min(workflow) AS workflow,
            first(because ORDER BY kept DESC, finding_no) AS message,
            count(*) FILTER (state IN ('new', 'known')) AS findings
        FROM finding LEFT JOIN run USING (run_id)
        WHERE list_contains($wanted, pattern)
        GROUP BY pattern
        ORDER BY rule, pattern
        """,
        {"wanted": list(wanted)},
    )


def rules(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The rules that found something."""
    return [row["rule"] for row in rows(con, "SELECT DISTINCT rule FROM finding ORDER BY rule")]


def workflows(con: duckdb.DuckDBPyConnection, limit: int) -> list[str]:
    """The workflows of runs with findings, those with most of them."""
    sql = """
        SELECT workflow FROM finding JOIN run USING (run_id) WHERE workflow IS NOT NULL
        GROUP BY workflow ORDER BY count(*) DESC, workflow LIMIT $limit
    """
    return sorted(row["workflow"] for row in rows(con, sql, {"limit": limit}))


def looked(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """How many rules `held` on every run, and how many, for whatever reason, `missed` some run."""
    return rows(
        con,
        """
        SELECT
            count(*) FILTER (outcome = 'held' AND evaluated_runs > 0 AND skipped_runs = 0) AS held,
            count(*) FILTER (outcome IN ('not_evaluated', 'failed') OR skipped_runs > 0) AS missed
        FROM rule
        """,
    )[0]


def _values(judged: Judged, asked: Asked) -> dict[str, Any]:
    return {
        "patterns": list(judged.decided),
        "said": [str(said) for said in judged.decided.values()],
        "earlier": list(judged.earlier or ()),
        "compared": judged.earlier is not None,
        "rules": list(asked.rules),
        "severities": list(asked.severities),
        "states": list(asked.states),
        "workflows": list(asked.workflows),
        "text": asked.text.strip().lower(),
    }

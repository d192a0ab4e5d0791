"""What became of the rules in one audit."""

from __future__ import annotations

from typing import Any

import duckdb

from .rows import rows


def outcomes(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """Every rule that the audit was made with, by id."""
    found = rows(
        con,
        """
        SELECT rule, outcome, reason, evaluated_runs, skipped_runs, findings, seconds, version, origin
        FROM rule ORDER BY rule
        """,
    )
    return {row["rule"]: row for row in found}


def by_workflow(con: duckdb.DuckDBPyConnection, rule: str, limit: int) -> list[dict[str, Any]]:
    """Findings of one rule by workflow and severity, most first; folded ones are counted apart."""
    return rows(
        con,
        """
        SELECT
            workflow, severity, count(*) FILTER (state <> 'folded') AS findings,
            count(*) FILTER (state = 'folded') AS folded, count(DISTINCT run_id) AS runs
        FROM finding LEFT JOIN run USING (run_id)
        WHERE rule = $rule
        GROUP BY workflow, severity
        ORDER BY findings DESC, workflow, severity
        LIMIT $limit
        """,
        {"rule": rule, "limit": limit},
    )


def params(con: duckdb.DuckDBPyConnection, rule: str) -> list[dict[str, Any]]:
    """The parameters of a rule as the audit used them; `workflow` null: everywhere else."""
    return rows(
        con,
        "SELECT name, workflow, value FROM rule_param WHERE rule = $rule ORDER BY name, workflow NULLS FIRST",
        {"rule": rule},
    )

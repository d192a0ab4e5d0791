"""What is counted for Prometheus."""

from __future__ import annotations

from typing import Any

import duckdb

from ..state import State
from .rows import rows


def ended(state: State) -> list[dict[str, Any]]:
    """Every audit that has ended: how, when, and how much was read."""
    return state.rows(
        """
        SELECT
            audit_id, state, created_at, finished_at,
            coalesce(json_extract(summary, '$.counts.events'), 0) AS events,
            coalesce(json_extract(summary, '$.counts.rejects'), 0) AS rejects
        FROM audit
        WHERE state IN ('done', 'failed', 'cancelled')
        """
    )


def findings(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Findings that stand on their own, by rule and severity, and how many of them are new."""
    return rows(
        con,
        """
        SELECT rule, severity, count(*) AS findings, count(*) FILTER (state = 'new') AS new
        FROM finding WHERE state <> 'folded'
        GROUP BY rule, severity ORDER BY rule, severity
        """,
    )

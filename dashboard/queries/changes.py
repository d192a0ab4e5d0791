"""What two audits are compared by: the patterns of each, and where it looked for them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import duckdb

from .rows import rows


@dataclass(frozen=True, slots=True)
class Looked:
    """Where an audit looked."""

    rules: dict[str, bool]
    """Each rule that was evaluated, and whether on every run."""

    runs: tuple[tuple[str, frozenset[str]], ...]
    """Workflow and capabilities, of runs whose verdict is not `cannot_tell`."""

    def at(self, pattern: dict[str, Any], needs: Collection[str] | None) -> bool:
        """Whether it looked where a pattern of another audit was; its rule `needs` this (None: nobody knows)."""
        if (everywhere := self.rules.get(pattern["rule"])) is None:
            return False
        looked = {
            workflow
            for workflow, recorded in self.runs
            if everywhere or (needs is not None and recorded.issuperset(needs))
        }
        return looked.issuperset(pattern["workflows"]) if pattern["workflows"] else everywhere


def patterns(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """Every pattern: rule, severity, a sentence; how many `findings` of it stand, whatever was decided about them.

    `suppressed` and `folded` count those that do not stand. `workflows` are those of its runs, or of its witnesses
    if it is about a log as a whole; one that is not known is called ''.
    """
    found = rows(
        con,
        """
        WITH place AS (
            SELECT pattern, coalesce(workflow, '') AS workflow FROM finding JOIN run USING (run_id)
            UNION
            SELECT pattern, coalesce(workflow, '')
            FROM finding
            JOIN witness USING (finding_no)
            JOIN event_core ON record = 'event' AND event_no = no
            JOIN run ON run.run_id = event_core.run_id
            WHERE finding.run_id IS NULL
        ),
        placed AS (SELECT pattern, list(workflow ORDER BY workflow) AS workflows FROM place GROUP BY pattern),
        counted AS (
            SELECT
                pattern, any_value(rule) AS rule,
                arg_min(severity, array_position(['error', 'warning', 'info'], severity)) AS severity,
                first(because ORDER BY kept DESC, finding_no) AS because,
                count(*) FILTER (state IN ('new', 'known')) AS findings,
                count(*) FILTER (state = 'suppressed') AS suppressed,
                count(*) FILTER (state = 'folded') AS folded
            FROM finding
            WHERE pattern IS NOT NULL
            GROUP BY pattern
        )
        SELECT counted.*, coalesce(workflows, []) AS workflows FROM counted LEFT JOIN placed USING (pattern)
        """,
    )
    return {row["pattern"]: row for row in found}


def looked(con: duckdb.DuckDBPyConnection) -> Looked:
    """Where this audit looked."""
    rules = rows(con, "SELECT rule, skipped_runs = 0 AS everywhere FROM rule WHERE outcome IN ('held', 'found')")
    runs = rows(
        con,
        """
        SELECT DISTINCT coalesce(workflow, '') AS workflow, list_sort(capabilities) AS recorded
        FROM run JOIN verdict USING (run_id)
        WHERE log_verdict <> 'cannot_tell'
        """,
    )
    return Looked(
        {row["rule"]: row["everywhere"] for row in rules},
        tuple((row["workflow"], frozenset(row["recorded"])) for row in runs),
    )

"""What an audit file holds, for somebody who writes SQL; and examples to start from."""

from __future__ import annotations

import duckdb

EXAMPLES = {
    "The bugs, the gravest first": """\
SELECT cause_no, severity, rule, diagnosis, findings, runs, all_runs
FROM cause
ORDER BY cause_no""",
    "Findings by rule and workflow": """\
SELECT rule, workflow, severity, count(*) AS findings, count(DISTINCT finding.run_id) AS runs
FROM finding LEFT JOIN run USING (run_id)
WHERE state <> 'folded'
GROUP BY ALL
ORDER BY findings DESC""",
    "Verdicts by core version": """\
SELECT core_version, log_verdict, count(*) AS runs
FROM run JOIN verdict USING (run_id)
GROUP BY ALL
ORDER BY core_version, runs DESC""",
    "The log of the worst run": """\
WITH worst AS (
    SELECT run_id FROM finding
    WHERE run_id IS NOT NULL
    GROUP BY run_id
    ORDER BY count(*) FILTER (severity = 'error') DESC, count(*) DESC, run_id
    LIMIT 1
)
SELECT position, event_type, role, correlation_id, created_at
FROM log JOIN worst USING (run_id)
ORDER BY position""",
    "Events by type": """\
SELECT event_type, count(*) AS events, count(DISTINCT run_id) AS runs
FROM event_core
GROUP BY ALL
ORDER BY events DESC""",
    "Who writes without a fence": """\
SELECT writer_id, site, event_type, count(*) AS writes,
    count(*) FILTER (fence_kind IS NULL) AS without_fence
FROM write
WHERE role = 'decision'
GROUP BY ALL
ORDER BY without_fence DESC""",
    "Steps that were retried most": """\
SELECT run_id, correlation_id, retried, started
FROM entity
WHERE kind = 'step' AND retried > 0
ORDER BY retried DESC""",
}
"""SELECTs that answer on every audit, by what they answer."""


def tables(con: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[str, str]]]:
    """The tables and views of the file, each with its columns and their types."""
    found: dict[str, list[tuple[str, str]]] = {}
    for table, column, type_ in con.execute(
        """
        SELECT table_name, column_name, data_type FROM duckdb_columns()
        WHERE NOT internal AND database_name = current_database()
        ORDER BY table_name, column_index
        """
    ).fetchall():
        found.setdefault(table, []).append((column, type_))
    return found

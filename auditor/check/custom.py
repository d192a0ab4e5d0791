"""Custom rules: asked in the sandbox, and believed only as far as what they say can be checked."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from auditor.check.header import Rule
from auditor.check.query import findings_query
from auditor.check.sandbox import Answer, Limits, Query, evaluate

_RECORDS = """
    SELECT 'event' AS record, event_no AS no FROM event_core
    UNION ALL SELECT 'refusal', refusal_no FROM refusal
    UNION ALL SELECT 'entity', entity_no FROM entity_row
    UNION ALL SELECT 'export', source_id FROM source
"""


def ask(
    audit_file: Path, rules: Sequence[tuple[Rule, bool]], limits: Limits
) -> Generator[tuple[Rule, Answer], None, None]:
    """What each rule answers, in their order; beside a rule stands whether every run has what it needs.

    A reason why a rule failed names the line of its file, where there is one.
    """
    queries = [query_of(rule, all_runs, limits.findings + 1) for rule, all_runs in rules]
    for (rule, _), answer in zip(rules, evaluate(audit_file, queries, limits), strict=True):
        line = answer.line
        where = f"{rule.path}:{rule.select_line + line - 1}: " if line is not None else ""
        yield rule, replace(answer, reason=f"{where}{answer.reason}") if answer.reason is not None else answer


def query_of(rule: Rule, all_runs: bool, most: int) -> Query:
    """What is asked for a rule; most: how many findings are fetched."""
    sql, above = findings_query(rule, all_runs=all_runs)
    conditions = tuple(case.when for case in rule.severity if case.when is not None)
    return Query(rule.id, rule.select, conditions, f"{sql} LIMIT {most}", above)


def forged(con: duckdb.DuckDBPyConnection, table: str) -> str | None:
    """What the findings in a table name that is not in the audit; None if all of it is."""
    runs = con.execute(
        f"SELECT run_id FROM {table} WHERE run_id IS NOT NULL AND run_id NOT IN (SELECT run_id FROM run) LIMIT 1"
    ).fetchall()
    if runs:
        return f"it names the run {str(runs[0][0])[:100]!r}, which the log does not have"
    records = con.execute(
        f"""
        SELECT w.record, w.no
        FROM (SELECT DISTINCT unnest(witness) AS w FROM {table})
        ANTI JOIN ({_RECORDS}) AS known ON known.record = w.record AND known.no = w.no
        LIMIT 1
        """
    ).fetchall()
    if records:
        return f"a witness of it is {records[0][0]} number {records[0][1]}, which the log does not have"
    return None

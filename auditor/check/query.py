"""The query that makes findings of what a rule selects: severity and confidence beside each row."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.check.header import Rule, SeverityCase
from auditor.database import quoted
from auditor.model.judgement import Capability


def findings_query(rule: Rule, *, all_runs: bool) -> tuple[str, int]:
    """The query, and how many lines of it stand above the rule's own SELECT.

    `all_runs`: every run has what the rule needs, so none of its rows has to be left out.
    """
    cases = [case for case in rule.severity if case.when is not None]
    otherwise = quoted(rule.severity[-1].severity)
    severity = f"CASE {_arms(cases)} ELSE {otherwise} END" if cases else otherwise
    unknown = _unknown(cases)
    of_run = "" if all_runs and not cases else "LEFT JOIN run ON run.run_id = finding.run_id"
    capable = f"finding.run_id IS NULL OR list_has_all(run.capabilities, {_list(rule.needs)})"
    head = f"""
        SELECT
            finding.run_id,
            CASE WHEN {unknown} THEN {quoted(rule.mildest)} ELSE {severity} END AS severity,
            CASE WHEN {unknown} THEN 'suspect' ELSE {quoted(rule.confidence)} END AS confidence,
            finding.because,
            finding.witness
        FROM (
"""
    # What a rule says ends with a line of its own, so that a comment cannot hide what follows it.
    sql = f"""{head}{rule.select}
        ) AS finding
        {of_run}
        {"" if all_runs else f"WHERE {capable}"}
    """
    return sql, head.count("\n")


def _arms(cases: Sequence[SeverityCase]) -> str:
    return " ".join(f"WHEN (\n{case.when}\n) THEN {quoted(case.severity)}" for case in cases)


def _unknown(cases: Sequence[SeverityCase]) -> str:
    """Whether a `when` that decides is NULL: the version it asks for is unknown."""
    if not cases:
        return "FALSE"
    arms = " ".join(f"WHEN (\n{c.when}\n) IS NULL THEN TRUE WHEN (\n{c.when}\n) THEN FALSE" for c in cases)
    return f"CASE {arms} ELSE FALSE END"


def _list(names: Sequence[Capability]) -> str:
    return "[" + ", ".join(quoted(name.value) for name in names) + "]::VARCHAR[]"

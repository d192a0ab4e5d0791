"""What every list of findings starts from: which of them stand, in which order, and where each was read."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import Any

from auditor.model.judgement import FindingState, Severity
from auditor.result import Audit

_STATES = list(FindingState)


def standing(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The findings that are no consequence of another: the worst first, and among equals the new ones."""
    return sorted(
        (finding for finding in report["findings"] if finding["state"] != FindingState.FOLDED),
        key=lambda finding: (-Severity(finding["severity"]).rank, _STATES.index(finding["state"])),
    )


def unlisted(report: dict[str, Any]) -> int:
    """How many findings stand, but only as a number: of a rule at most 1,000 are listed."""
    states = report["counts"]["states"]
    listed = Counter(finding["state"] for finding in report["findings"])
    return sum(int(states[state]) - listed[state] for state in _STATES if state != FindingState.FOLDED)


def consequences(report: dict[str, Any]) -> dict[str, list[str]]:
    """The rules of the findings that are folded under another, by the instance of that one."""
    folded: dict[str, list[str]] = {}
    for finding in report["findings"]:
        if finding["folded_under"] is not None:
            folded.setdefault(finding["folded_under"], []).append(finding["rule"])
    return folded


def states_of_rules(audit: Audit) -> list[dict[str, Any]]:
    """The rules that found something, the worst first: `rule`, its worst `severity`, and how many in each state.

    Exact: counted in the audit file, where a report lists at most 1,000 findings of a rule.
    """
    states = ", ".join(f"count(*) FILTER (state = '{state}') AS {state}" for state in _STATES)
    cursor = audit.con.execute(
        f"""
        SELECT rule, (['error', 'warning', 'info'])[min(gravity)] AS severity, {states}
        FROM (SELECT *, array_position(['error', 'warning', 'info'], severity) AS gravity FROM finding)
        GROUP BY rule
        ORDER BY min(gravity), new DESC, rule
        """
    )
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def seat(finding: dict[str, Any]) -> dict[str, Any]:
    """The witness at the place of a finding: the last event of its proof, else its first record."""
    witnesses: list[dict[str, Any]] = finding["witness"]
    return max(witnesses, key=lambda witness: witness["position"] or 0)


def place(witness: dict[str, Any]) -> str:
    """Where a record was read: its path from the input as the user wrote it, and its line."""
    source, root = witness["source"], witness["input"]
    path = root if source in (root, PurePath(root).name) else f"{root.rstrip('/')}/{source}"
    return at(path, witness["line"])


def at(path: str, line: int | None) -> str:
    """A file, and the line in it if it holds several records."""
    return path if line is None else f"{path}:{line}"

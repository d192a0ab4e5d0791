"""What was decided, in text: what the baseline knows, what is suppressed, and what configuration changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from auditor.model.judgement import SuppressionState
from auditor.report.standing import states_of_rules
from auditor.report.words import WIDTH, many, wrapped
from auditor.result import Audit

SHOWN = 20
"""Rules, suppressions and resolved entries that are named; the others are counted."""


def decided(audit: Audit) -> Iterator[str]:
    """A section that says all of it; no line if nothing was decided."""
    lines = [line for said in _said(audit) for line in wrapped(said, "  ", "    ")]
    if lines:
        yield "-" * WIDTH
        yield "DECIDED"
        yield from lines


def _said(audit: Audit) -> Iterator[str]:
    report = audit.report
    if report["audit"]["config"] is not None:
        yield f"configuration: {report['audit']['config']}"
    if report["audit"]["overrides"]:
        yield f"set there: {'; '.join(report['audit']['overrides'])}"
    yield from _capped(
        [f"! the settings for {pattern} match no workflow" for pattern in report["audit"]["unmatched_workflows"]]
    )
    yield from _capped([_counts(row) for row in states_of_rules(audit) if row["known"] or row["suppressed"]])
    yield from _capped([_suppression(s) for s in report["suppressions"]])
    if report["baseline"] is not None:
        yield from _baseline(report["baseline"])


def _counts(row: dict[str, Any]) -> str:
    numbers = [f"{row[state]:,} {state}" for state in ("new", "known", "suppressed") if row[state]]
    return f"{row['rule']} ({row['severity']}): {', '.join(numbers)}"


def _suppression(suppression: dict[str, Any]) -> str:
    matchers = [
        f"{name} {suppression[name]}"
        for name in ("run", "workflow", "event", "instance", "pattern")
        if suppression[name] is not None
    ]
    what = f"{suppression['rule']} for {', '.join(matchers)}"
    if suppression["state"] == SuppressionState.EXPIRED:
        return f"! suppression expired after {suppression['expires']}: {what}"
    if suppression["state"] == SuppressionState.UNUSED:
        return f"! suppression of nothing: {what}; take it out"
    by = f" ({suppression['by']})" if suppression["by"] else ""
    until = f", until {suppression['expires']}" if suppression["expires"] else ""
    return f"{many(suppression['findings'], 'finding')} suppressed: {what}{until}: {suppression['reason']}{by}"


def _baseline(baseline: dict[str, Any]) -> Iterator[str]:
    yield f"baseline {baseline['path']}: {baseline['new']:,} new, {baseline['known']:,} known, by {baseline['by']}"
    yield from _capped([f"resolved: {entry['rule']}: {entry['message']}" for entry in baseline["resolved"]])
    yield from _capped([f"! there is no rule {entry['rule']}: {entry['message']}" for entry in baseline["gone"]])
    if baseline["resolved"] or baseline["gone"]:
        yield "`auditor baseline prune` takes out what is resolved, and what is of no rule"


def _capped(lines: list[str]) -> Iterator[str]:
    yield from lines[:SHOWN]
    if len(lines) > SHOWN:
        yield f"... and {len(lines) - SHOWN} more"

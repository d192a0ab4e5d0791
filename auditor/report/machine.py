"""What every report for programs is written with: clean text, the runs' workflows and the rules' own words."""

from __future__ import annotations

from typing import Any, NamedTuple

from auditor.report.words import plain, short
from auditor.result import Audit


class RuleFacts(NamedTuple):
    """What the file of a rule says of it: `severity` is the worst that it can give, `document` its explanation."""

    group: str
    severity: str
    confidence: str
    document: str


def rule_facts(audit: Audit) -> dict[str, RuleFacts]:
    """The rules of an audit by id."""
    rows = audit.con.execute(
        "SELECT rule, rule_group, rule_severity, rule_confidence, document FROM rule ORDER BY rule"
    )
    return {rule: RuleFacts(*facts) for rule, *facts in rows.fetchall()}


def clean(text: object, limit: int = 1000) -> str:
    """A string from a log without control characters, cut where it is longer than anybody reads."""
    start = str(text)[: limit + 1]
    shown = start if start.isprintable() else plain(start)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}\u2026"


class Runs:
    """Says which run a finding is about."""

    def __init__(self, report: dict[str, Any]) -> None:
        self._workflows: dict[str | None, str | None] = {run["run_id"]: run["workflow"] for run in report["runs"]}

    def workflow(self, run_id: str | None) -> str | None:
        """The name of its workflow, clean; None if the log does not name it."""
        workflow = self._workflows.get(run_id)
        return clean(workflow, 200) if workflow is not None else None

    def name(self, run_id: str | None) -> str:
        """`run wrun_1 of order`; of a finding about no single run: `the log as a whole`."""
        if run_id is None:
            return "the log as a whole"
        workflow = short(self.workflow(run_id))
        return f"run {clean(run_id, 200)}" + (f" of {workflow}" if workflow else "")


def witness_line(witness: dict[str, Any]) -> str:
    """One record of a proof: `outcome: step_completed of step#0 at #5`."""
    what = witness["event_type"] or witness["record"]
    at = f" at #{witness['position']}" if witness["position"] is not None else ""
    return clean(f"{witness['role']}: {what} of {witness['entity']}{at}", 300)

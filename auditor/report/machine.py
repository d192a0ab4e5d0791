"""What every report for programs is written with: clean text, JSON, the runs' workflows, the rules' own words."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from auditor.report.words import COMMAND, plain, short
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
    """A string from a log without control characters and commands, cut where it is longer than anybody reads."""
    shown = plain(str(text)[: limit + 1])
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}\u2026"


_UNUSUAL = re.compile(r"[^\n\x20-\x7e]")


def as_json(value: object, indent: int | None = None, *, ascii_only: bool = False) -> str:
    """JSON in which nothing is a command to a terminal or a runner. What would be is escaped: no text changes."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    return COMMAND.sub(r"#\\u0023", _UNUSUAL.sub(_escaped, text))


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]


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

"""`junit`: a test report with a suite a group of rules and a case a rule; and what was read and could be judged.

Schema: the one that Jenkins' xUnit plugin checks reports with (`junit-10.xsd`). A case fails if its rule has
findings that count for the exit code. What could not be judged is an error: such a report is never all green.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

from auditor.model.judgement import ExitCode, FindingState, Outcome, Severity, Verdict
from auditor.report.machine import Runs, clean, rule_facts, witness_line
from auditor.report.notes import configured
from auditor.report.places import Places
from auditor.report.standing import standing, states_of_rules
from auditor.report.words import many, quiet
from auditor.result import Audit

SHOWN = 20
"""Findings of a rule, and runs, that are told; the others are counted."""

SHOWN_WITNESSES = 10
"""Records of one proof that are told."""


@dataclass(frozen=True, slots=True)
class _Case:
    """A test case. `ended` is None if it passed, else `failure`, `error` or `skipped`, a message and lines."""

    name: str
    ended: tuple[str, str, Sequence[str]] | None = None
    printed: list[str] = field(default_factory=list)


def render(audit: Audit) -> str:
    """The report as JUnit XML."""
    report = audit.report
    suites = {"auditor.inputs": _inputs(report), "auditor.runs": [_judged(report)], **_groups(audit)}
    root = ET.Element(
        "testsuites", {"name": "auditor"} | _totals([case for cases in suites.values() for case in cases])
    )
    for name, cases in suites.items():
        skipped = str(sum(case.ended is not None and case.ended[0] == "skipped" for case in cases))
        suite = ET.SubElement(root, "testsuite", {"name": name} | _totals(cases) | {"skipped": skipped})
        for case in cases:
            _write(suite, name, case)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _totals(cases: Sequence[_Case]) -> dict[str, str]:
    ended = [case.ended[0] for case in cases if case.ended is not None]
    return {
        "tests": str(len(cases)),
        "failures": str(ended.count("failure")),
        "errors": str(ended.count("error")),
    }


def _write(suite: ET.Element, name: str, case: _Case) -> None:
    element = ET.SubElement(suite, "testcase", {"classname": name, "name": case.name})
    if case.ended is not None:
        kind, message, lines = case.ended
        _write_lines(ET.SubElement(element, kind, {"type": kind, "message": message}), lines)
    if case.printed:
        _write_lines(ET.SubElement(element, "system-out"), case.printed)


def _write_lines(element: ET.Element, lines: Sequence[str]) -> None:
    element.text = "\n".join(quiet(line) for line in lines) or None


def _inputs(report: dict[str, Any]) -> list[_Case]:
    return [_input(row, tolerated=report["exit_code"] == ExitCode.CLEAN) for row in report["inputs"]]


def _input(row: dict[str, Any], *, tolerated: bool) -> _Case:
    """An input; unreadable rows are no error where the exit code says that so many may be."""
    unreadable = [f"{many(row['rejects'], 'row')} could not be read"] if row["rejects"] else []
    read = f"{many(row['events'], 'event')}, {many(row['refusals'], 'refusal')} read"
    ended = None
    if row["problem"]:
        ended = ("error", clean(row["problem"]), unreadable)
    elif unreadable and not tolerated:
        ended = ("error", unreadable[0], [])
    return _Case(clean(row["path"]), ended, [read, *unreadable])


def _judged(report: dict[str, Any]) -> _Case:
    doubtful = [run for run in report["runs"] if run["log_verdict"] == Verdict.CANNOT_TELL]
    lines = [clean(f"{run['run_id']}: {run['reason']}") for run in doubtful[:SHOWN]]
    lines += [f"... and {len(doubtful) - SHOWN:,} more"] if len(doubtful) > SHOWN else []
    message = ""
    if not report["runs"]:
        message = "no run was read"
    elif doubtful:
        message = f"{many(len(doubtful), 'run')} could not be judged"
    elif report["exit_code"] in (ExitCode.ERROR, ExitCode.CANNOT_TELL):
        message = clean(report["exit_because"])
    verdict = f"{report['verdict'].replace('_', ' ')}; exit code {report['exit_code']}: {report['exit_because']}"
    told = [f"{note.kind}: {note.sentence}" for note in configured(report)]
    return _Case(
        "every run could be judged",
        ("error", message, lines) if message else None,
        [clean(verdict), *told],
    )


def _groups(audit: Audit) -> dict[str, list[_Case]]:
    report = audit.report
    facts = rule_facts(audit)
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for finding in standing(report):
        found[finding["rule"]].append(finding)
    states = {row["rule"]: row for row in states_of_rules(audit)}
    tell = _Teller(report)
    groups: dict[str, list[_Case]] = defaultdict(list)
    for rule in report["rules"]:
        case = _rule(rule, found[rule["id"]], states.get(rule["id"], {}), tell)
        groups[f"auditor.{facts[rule['id']].group}"].append(case)
    return dict(sorted(groups.items()))


def _rule(
    rule: dict[str, Any], findings: Sequence[dict[str, Any]], states: dict[str, Any], tell: _Teller
) -> _Case:
    reason = clean(rule["reason"] or "")
    if rule["outcome"] == Outcome.FAILED:
        return _Case(rule["id"], ("error", reason, []))
    if rule["outcome"] == Outcome.NOT_EVALUATED:
        return _Case(rule["id"], ("skipped", reason, []))
    counting = [finding for finding in findings if tell.counts(finding)]
    others = [finding for finding in findings if not tell.counts(finding)]
    printed = [", ".join(f"{states[state]:,} {state}" for state in FindingState)] if states else []
    if rule["skipped_runs"]:
        runs = many(rule["skipped_runs"] + rule["evaluated_runs"], "run")
        printed.append(f"not evaluated on {rule['skipped_runs']:,} of {runs}: {reason}")
    printed += tell.findings(others)
    if not counting:
        return _Case(rule["id"], None, printed)
    return _Case(rule["id"], ("failure", clean(rule["title"]), tell.findings(counting)), printed)


class _Teller:
    """Tells findings of one report in lines."""

    def __init__(self, report: dict[str, Any]) -> None:
        self._places = Places(report)
        self._runs = Runs(report)
        self._suppressions = report["suppressions"]
        fail_on = report["audit"]["fail_on"]
        self._least = None if fail_on == "never" else Severity(fail_on).rank

    def counts(self, finding: dict[str, Any]) -> bool:
        """Whether it counts for the exit code."""
        high = self._least is not None and Severity(finding["severity"]).rank >= self._least
        return high and finding["state"] == FindingState.NEW

    def findings(self, findings: Sequence[dict[str, Any]]) -> list[str]:
        """Lines of the first of them, and how many more there are in the report."""
        lines = [line for finding in findings[:SHOWN] for line in self._finding(finding)]
        return lines + ([f"... and {len(findings) - SHOWN:,} more"] if len(findings) > SHOWN else [])

    def _finding(self, finding: dict[str, Any]) -> Iterator[str]:
        yield f"{finding['severity']} [{finding['state']}] {clean(finding['because'])}"
        yield f"  {self._runs.name(finding['run_id'])}; {finding['fingerprint']['instance']}"
        if finding["suppressed_by"] is not None:
            yield f"  suppressed: {clean(self._suppressions[finding['suppressed_by']]['reason'])}"
        for witness in finding["witness"][:SHOWN_WITNESSES]:
            place = self._places.of_witness(witness)
            yield f"  {witness_line(witness)} ({clean(place.path)}:{place.line})"
        if len(finding["witness"]) > SHOWN_WITNESSES:
            yield f"  ... and {len(finding['witness']) - SHOWN_WITNESSES:,} more records"

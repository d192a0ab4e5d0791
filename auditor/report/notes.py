"""What a report must say beside its findings: what could not be judged, and what was decided and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.model.judgement import ExitCode, Outcome, Severity, SuppressionState, Verdict
from auditor.report.machine import clean
from auditor.report.standing import unlisted
from auditor.report.words import grouped, many

SHOWN = 20
"""Notes of one kind, and names in one note; the others are counted."""

KINDS = {
    "input-problem": "An input, or the rest of it, could not be read.",
    "run-not-judged": "It cannot be told whether the history of a run can be trusted.",
    "rule-failed": "A rule failed.",
    "not-judged": "The audit came to no judgement.",
    "unreadable-rows": "Rows could not be read.",
    "suppression-unused": "A suppression matches no finding.",
    "suppression-expired": "The last day of a suppression is over.",
    "workflow-unmatched": "Settings for workflows match no workflow.",
    "baseline-rule-gone": "The baseline knows findings of a rule that there is not.",
    "rule-not-evaluated": "A rule was not evaluated, on some runs or on any.",
    "configuration": "The audit follows a configuration file.",
    "rule-not-selected": "A rule was left out by the user.",
    "rule-changed": "The configuration changes what a rule does.",
    "finding-resolved": "The baseline knows more findings than there are.",
    "findings-left-out": "Findings are only counted.",
}
"""The kinds of notes, and what each says."""

CONFIGURED = ("configuration", "rule-not-selected", "rule-changed", "workflow-unmatched")
"""The kinds that every report has, however short it is: what is judged less strictly than it would be."""


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence; `rules` are the rules that it is about. Severity error: something could not be judged."""

    kind: str
    severity: Severity
    text: str
    rules: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The text behind the rules that it is about."""
        return f"{', '.join(self.rules)}: {self.text}" if self.rules else self.text


def configured(report: dict[str, Any]) -> list[Note]:
    """What the user has changed of the rules, and the file that says so; in every report."""
    return [note for note in notes(report) if note.kind in CONFIGURED]


def notes(report: dict[str, Any]) -> list[Note]:
    """Every note of a report, the gravest first; its texts are clean."""
    found = [*_not_judged(report), *_rows(report), *_settings(report), *_rules(report), *_baseline(report)]
    if report["exit_code"] == ExitCode.CANNOT_TELL and not any(note.severity == Severity.ERROR for note in found):
        found.insert(0, Note("not-judged", Severity.ERROR, clean(report["exit_because"])))
    return found


def _not_judged(report: dict[str, Any]) -> Iterator[Note]:
    problems = [f"{row['path']}: {row['problem']}" for row in report["inputs"] if row["problem"]]
    yield from _capped("input-problem", Severity.ERROR, problems)
    if not report["runs"]:
        yield Note("run-not-judged", Severity.ERROR, "no run was read")
    doubtful = [run for run in report["runs"] if run["log_verdict"] == Verdict.CANNOT_TELL]
    reasons = [
        f"{many(len(runs), 'run')} could not be judged: {reason}: {_list([run['run_id'] for run in runs])}"
        for (reason,), runs in grouped(doubtful, "reason")
    ]
    yield from _capped("run-not-judged", Severity.ERROR, reasons)
    for rule in report["rules"]:
        if rule["outcome"] == Outcome.FAILED:
            yield Note("rule-failed", Severity.ERROR, clean(f"failed: {rule['reason']}"), (rule["id"],))


def _rows(report: dict[str, Any]) -> Iterator[Note]:
    reasons = [
        f"{many(len(rejects), 'row')} could not be read: {reason}; the first in {_place(rejects[0])}"
        for (reason,), rejects in grouped(report["rejects"], "reason")
    ]
    yield from _capped("unreadable-rows", Severity.WARNING, reasons)


def _place(reject: dict[str, Any]) -> str:
    return f"{reject['source']}:{reject['line']}" if reject["line"] is not None else str(reject["source"])


def _settings(report: dict[str, Any]) -> Iterator[Note]:
    for state, what in (
        (SuppressionState.EXPIRED, "is over since {expires}; it suppresses nothing any more"),
        (SuppressionState.UNUSED, "matches no finding; remove it"),
    ):
        texts = [
            f"the suppression of {row['rule']} ({row['reason']}) {what.format(expires=row['expires'])}"
            for row in report["suppressions"]
            if row["state"] == state
        ]
        yield from _capped(f"suppression-{state}", Severity.WARNING, texts)
    unmatched = [
        f"the settings for {pattern} match no workflow of these logs"
        for pattern in report["audit"]["unmatched_workflows"]
    ]
    yield from _capped("workflow-unmatched", Severity.WARNING, unmatched)


def _rules(report: dict[str, Any]) -> Iterator[Note]:
    silent = [rule for rule in report["rules"] if rule["outcome"] == Outcome.NOT_EVALUATED]
    for (reason,), rules in grouped(silent, "reason"):
        yield Note("rule-not-evaluated", Severity.INFO, clean(f"not evaluated: {reason}"), _ids(rules))
    judged = [rule for rule in report["rules"] if rule["outcome"] in (Outcome.HELD, Outcome.FOUND)]
    partly = [rule for rule in judged if rule["skipped_runs"]]
    for (reason, skipped, evaluated), rules in grouped(partly, "reason", "skipped_runs", "evaluated_runs"):
        text = f"not evaluated on {skipped:,} of {many(skipped + evaluated, 'run')}: {reason}"
        yield Note("rule-not-evaluated", Severity.INFO, clean(text), _ids(rules))
    if report["audit"]["config"] is not None:
        yield Note("configuration", Severity.INFO, clean(f"the audit follows {report['audit']['config']}"))
    if report["audit"]["not_selected"]:
        left_out = tuple(report["audit"]["not_selected"])
        yield Note("rule-not-selected", Severity.INFO, "left out by the selection of rules", left_out)
    yield from _capped("rule-changed", Severity.INFO, report["audit"]["overrides"])


def _ids(rules: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(rule["id"] for rule in rules)


def _baseline(report: dict[str, Any]) -> Iterator[Note]:
    resolved = report["baseline"]["resolved"] if report["baseline"] else []
    texts = [
        f"{row['rule']}: {many(row['missing'], 'finding')} of the baseline not there any more: {row['message']} "
        f"({report['baseline']['by']} {row['fingerprint']})"
        for row in resolved
    ]
    yield from _capped("finding-resolved", Severity.INFO, texts)
    gone = [
        f"{row['rule']}: the baseline knows it, and there is no such rule: {row['message']}"
        for row in (report["baseline"]["gone"] if report["baseline"] else [])
    ]
    yield from _capped("baseline-rule-gone", Severity.WARNING, gone)
    if more := unlisted(report):
        text = f"{many(more, 'finding')} more only counted: of a rule at most 1,000 are listed"
        yield Note("findings-left-out", Severity.INFO, text)


def _capped(kind: str, severity: Severity, texts: Sequence[str]) -> Iterator[Note]:
    for text in texts[:SHOWN]:
        yield Note(kind, severity, clean(text))
    if len(texts) > SHOWN:
        yield Note(kind, severity, f"and {len(texts) - SHOWN:,} more of this kind")


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(clean(name, 100) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN:,} more"

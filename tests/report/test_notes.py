from __future__ import annotations

from typing import Any

import pytest

from auditor.model.judgement import Severity
from auditor.report.notes import KINDS, SHOWN, configured, notes


def a_report(**parts: Any) -> dict[str, Any]:
    return {
        "exit_code": 0,
        "exit_because": "every run was judged",
        "audit": {"config": None, "not_selected": [], "overrides": [], "unmatched_workflows": []},
        "inputs": [{"path": "log.ndjson", "problem": None}],
        "counts": {"states": {"new": 0, "known": 0, "suppressed": 0, "folded": 0}},
        "rules": [a_rule("held-rule")],
        "runs": [a_run("wrun_1", "sound")],
        "findings": [],
        "suppressions": [],
        "baseline": None,
        "rejects": [],
    } | parts


def a_rule(name: str, outcome: str = "held", reason: str | None = None, skipped: int = 0) -> dict[str, Any]:
    return {"id": name, "outcome": outcome, "reason": reason, "skipped_runs": skipped, "evaluated_runs": 2}


def a_run(run_id: str, verdict: str, reason: str = "the history is incomplete") -> dict[str, Any]:
    return {"run_id": run_id, "log_verdict": verdict, "reason": reason}


def of_kind(report: dict[str, Any], kind: str) -> list[str]:
    assert kind in KINDS
    return [note.text for note in notes(report) if note.kind == kind]


def test_where_all_was_judged_there_is_nothing_to_say() -> None:
    assert notes(a_report()) == []


def test_runs_that_cannot_be_told_are_named_with_their_reason() -> None:
    runs = [a_run(f"wrun_{number}", "cannot_tell") for number in range(SHOWN + 2)]
    (text,) = of_kind(a_report(runs=runs), "run-not-judged")
    assert text.startswith(f"{SHOWN + 2} runs could not be judged: the history is incomplete: wrun_0, wrun_1,")
    assert text.endswith(f"wrun_{SHOWN - 1} and 2 more")


def test_no_run_at_all_is_an_error() -> None:
    (note,) = notes(a_report(runs=[]))
    assert (note.severity, note.text) == (Severity.ERROR, "no run was read")


def test_a_failed_rule_is_an_error_and_one_that_was_not_evaluated_is_none() -> None:
    rules = [a_rule("broken", "failed", "out of memory"), a_rule("a", "not_evaluated", "no fences")]
    rules += [a_rule("b", "not_evaluated", "no fences"), a_rule("c", "found", "no slots", skipped=1)]
    said = [(note.severity, note.text, note.rules) for note in notes(a_report(rules=rules))]
    assert said == [
        (Severity.ERROR, "failed: out of memory", ("broken",)),
        (Severity.INFO, "not evaluated: no fences", ("a", "b")),
        (Severity.INFO, "not evaluated on 1 of 3 runs: no slots", ("c",)),
    ]


def test_an_exit_code_that_nothing_else_explains_is_explained() -> None:
    because = "--require fences: not every run has it"
    assert of_kind(a_report(exit_code=3, exit_because=because), "not-judged") == [because]
    assert of_kind(a_report(exit_code=3, exit_because=because, runs=[]), "not-judged") == []


def test_unreadable_rows_are_grouped_by_their_reason() -> None:
    rejects = [{"source": "log.ndjson", "line": line, "reason": "not JSON"} for line in (4, 9)]
    (text,) = of_kind(a_report(rejects=rejects), "unreadable-rows")
    assert text == "2 rows could not be read: not JSON; the first in log.ndjson:4"


def test_of_one_kind_a_few_are_said_and_the_others_counted() -> None:
    inputs = [{"path": f"{number}.ndjson", "problem": "is empty"} for number in range(SHOWN + 5)]
    said = of_kind(a_report(inputs=inputs), "input-problem")
    assert len(said) == SHOWN + 1
    assert said[-1] == "and 5 more of this kind"


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("expired", "the suppression of a (it is old) is over since 2026-01-31; it suppresses nothing any more"),
        ("unused", "the suppression of a (it is old) matches no finding; remove it"),
    ],
)
def test_a_suppression_in_vain_is_a_warning(state: str, text: str) -> None:
    row = {"rule": "a", "reason": "it is old", "expires": "2026-01-31", "state": state}
    (note,) = notes(a_report(suppressions=[row]))
    assert (note.kind, note.severity, note.text) == (f"suppression-{state}", Severity.WARNING, text)


def test_what_the_user_changed_is_said() -> None:
    told = {
        "config": "auditor.toml",
        "not_selected": ["a", "b"],
        "overrides": ["c: severity error"],
        "unmatched_workflows": ["ordr*"],
    }
    report = a_report(audit=told)
    assert [(note.kind, note.sentence) for note in notes(report)] == [
        ("workflow-unmatched", "the settings for ordr* match no workflow of these logs"),
        ("configuration", "the audit follows auditor.toml"),
        ("rule-not-selected", "a, b: left out by the selection of rules"),
        ("rule-changed", "c: severity error"),
    ]
    assert configured(report) == notes(report)


def test_what_a_baseline_knows_of_rules_that_there_are_not_is_a_warning() -> None:
    entry = {"rule": "old-name", "fingerprint": "f", "missing": 3, "message": "three times"}
    baseline = {"path": "b", "by": "pattern", "new": 0, "known": 0, "resolved": [], "gone": [entry]}
    (note,) = notes(a_report(baseline=baseline))
    assert (note.kind, note.severity) == ("baseline-rule-gone", Severity.WARNING)
    assert note.text == "old-name: the baseline knows it, and there is no such rule: three times"


def test_findings_that_are_only_counted_are_counted() -> None:
    counts = {"states": {"new": 1200, "known": 0, "suppressed": 0, "folded": 5}}
    (text,) = of_kind(a_report(counts=counts), "findings-left-out")
    assert text.startswith("1,200 findings more only counted")


def test_the_gravest_come_first_and_all_are_clean() -> None:
    report = a_report(
        inputs=[{"path": "a\n::error::b", "problem": "\x1b[31m" + "x" * 5000}],
        rejects=[{"source": "s", "line": None, "reason": "not\nJSON"}],
        audit={"config": None, "not_selected": ["a"], "overrides": [], "unmatched_workflows": []},
    )
    said = notes(report)
    assert [note.severity for note in said] == [Severity.ERROR, Severity.WARNING, Severity.INFO]
    assert all(note.text.isprintable() and len(note.text) <= 1000 for note in said)

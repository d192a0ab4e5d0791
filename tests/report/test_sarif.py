from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from audited import (
    RESTARTED,
    check_golden,
    instances,
    is_inert,
    nasty_texts,
    of_sample,
    of_state,
    poisoned,
    restarted,
)
from hypothesis import given, settings
from logs import write

from auditor import Audit, audit
from auditor.report import sarif

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "sarif-2.1.0.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft4Validator(SCHEMA)


def run_of(rendered: str) -> dict[str, Any]:
    document = json.loads(rendered)
    VALIDATOR.validate(document)
    (run,) = document["runs"]
    return dict(run)


def notes_of(run: dict[str, Any], kind: str) -> list[str]:
    rows = run["invocations"][0]["toolExecutionNotifications"]
    return [row["message"]["text"] for row in rows if row["descriptor"]["id"] == kind]


@pytest.mark.parametrize("name", ["stale-snapshot-write", "dropped-fence"])
def test_the_sarif_report_of_a_sample_log(name: str) -> None:
    """Without what changes with every rule: explanations, versions, and the name of the audit."""
    document = json.loads(of_sample(name, sarif.render))
    run = document["runs"][0]
    found = {result["ruleId"] for result in run["results"]}
    driver = run["tool"]["driver"]
    driver["rules"] = [row | {"help": "..."} for row in driver["rules"] if row["id"] in found]
    for row in driver["rules"]:
        del row["properties"]["version"]
    del run["automationDetails"]
    check_golden(f"{name}.sarif", json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def test_every_report_is_of_the_schema_of_oasis(of_every_state: Audit, in_doubt: Audit) -> None:
    assert run_of(sarif.render(of_every_state))["results"]
    assert run_of(sarif.render(in_doubt))["results"]


def test_every_finding_is_a_result_or_follows_from_one(of_every_state: Audit) -> None:
    run = run_of(sarif.render(of_every_state))
    results = [result["partialFingerprints"]["auditorInstance/v1"] for result in run["results"]]
    folded = [name for result in run["results"] for name in result["properties"]["folded"]]
    assert set(results) == of_state(of_every_state.report, "new", "known", "suppressed")
    assert sorted(results + folded) == sorted(instances(of_every_state.report))
    assert folded, "and what follows is no alert of its own"


def test_what_was_decided_stands_on_the_result(of_every_state: Audit) -> None:
    results = run_of(sarif.render(of_every_state))["results"]
    of_rule = {row["properties"]["state"]: row for row in results if row["ruleId"] == RESTARTED}
    assert of_rule["new"]["baselineState"] == "new"
    assert of_rule["known"]["baselineState"] == "unchanged"
    assert [state for state, row in of_rule.items() if row["suppressions"]] == ["suppressed"]
    (suppression,) = of_rule["suppressed"]["suppressions"]
    assert suppression == {"kind": "external", "status": "accepted", "justification": "we pay twice; by ops"}


def test_without_a_baseline_or_a_suppression_no_result_speaks_of_them(in_doubt: Audit) -> None:
    results = run_of(sarif.render(in_doubt))["results"]
    assert not any(key in row for row in results for key in ("baselineState", "suppressions"))


def test_what_is_repaired_or_decided_in_vain_is_a_notification(of_every_state: Audit) -> None:
    run = run_of(sarif.render(of_every_state))
    (resolved,) = notes_of(run, "finding-resolved")
    assert "it was so" in resolved
    (unused,) = notes_of(run, "suppression-unused")
    assert "of another time" in unused
    assert all(row.get("baselineState") != "absent" for row in run["results"])


def test_a_result_says_what_how_sure_and_where(of_every_state: Audit) -> None:
    run = run_of(sarif.render(of_every_state))
    result = next(row for row in run["results"] if row["properties"]["state"] == "new")
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert rule["id"] == result["ruleId"] == RESTARTED
    assert rule["properties"]["precision"] == "very-high"
    assert rule["properties"]["problem.severity"] == rule["defaultConfiguration"]["level"] == "error"
    assert rule["help"]["markdown"].startswith("## What it means")
    assert result["level"] == "error"
    assert "(run wrun_new of new)" in result["message"]["text"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "log.ndjson", "uriBaseId": "%SRCROOT%"}
    names = {row["kind"]: row["fullyQualifiedName"] for row in result["locations"][0]["logicalLocations"]}
    assert names["run"] == "workflow//./flows//new/wrun_new"
    assert names["event"].startswith("workflow//./flows//new/wrun_new/evnt_")
    fingerprints = result["partialFingerprints"]
    assert fingerprints["primaryLocationLineHash"] == fingerprints["auditorInstance/v1"] + ":1"


def test_the_proof_is_a_flow_through_the_run(of_every_state: Audit) -> None:
    results = run_of(sarif.render(of_every_state))["results"]
    result = next(row for row in results if row["ruleId"] == RESTARTED)
    (thread,) = result["codeFlows"][0]["threadFlows"]
    said = [step["location"]["message"]["text"] for step in thread["locations"]]
    assert said == ["outcome: step_completed of step#0 at #5", "started again: step_started of step#0 at #6"]
    lines = [step["location"]["physicalLocation"]["region"]["startLine"] for step in thread["locations"]]
    assert lines[1] == lines[0] + 1
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == lines[1]
    assert {step["importance"] for step in thread["locations"]} == {"essential"}


def test_what_could_not_be_judged_is_no_success(of_every_state: Audit, in_doubt: Audit) -> None:
    (judged,) = run_of(sarif.render(of_every_state))["invocations"]
    assert judged["executionSuccessful"] is True
    assert judged["exitCode"] == 1
    run = run_of(sarif.render(in_doubt))
    assert run["invocations"][0]["executionSuccessful"] is False
    assert notes_of(run, "input-problem") == ["empty.ndjson: is empty"]
    assert any("not JSON" in text for text in notes_of(run, "unreadable-rows"))


def test_a_rule_that_was_not_evaluated_is_there_with_its_reason(in_doubt: Audit) -> None:
    run = run_of(sarif.render(in_doubt))
    assert "dropped-fence: not evaluated: the log does not record fences" in notes_of(run, "rule-not-evaluated")
    assert "dropped-fence" in {rule["id"] for rule in run["tool"]["driver"]["rules"]}


def many_findings(report: dict[str, Any], number: int, patterns: int) -> dict[str, Any]:
    """The report with so many findings; their sentences and proofs are long."""
    first = next(row for row in report["findings"] if row["state"] == "new")
    findings = [
        first
        | {"because": "x" * 900, "witness": first["witness"] * 8}
        | {"fingerprint": {"instance": f"{no:032x}", "pattern": f"{no % patterns:032x}"}}
        for no in range(number)
    ]
    return report | {"findings": findings}


def test_above_the_limit_one_result_stands_for_a_pattern(in_doubt: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    report = many_findings(in_doubt.report, sarif.MAX_RESULTS + 1, patterns=3)
    monkeypatch.setattr(in_doubt, "report", report)
    run = run_of(sarif.render(in_doubt))
    assert sorted(row["occurrenceCount"] for row in run["results"]) == [1667, 1667, 1667]
    named = [name for row in run["results"] for name in row["properties"]["instances"]]
    assert set(named) == instances(report)
    assert any("one result for all of a pattern" in text for text in notes_of(run, "findings-left-out"))


def test_the_report_stays_small_and_says_what_it_left_out(
    in_doubt: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = many_findings(in_doubt.report, sarif.MAX_RESULTS + 500, patterns=10**6)
    monkeypatch.setattr(in_doubt, "report", report)
    rendered = sarif.render(in_doubt)
    assert len(rendered.encode()) <= sarif.MAX_BYTES
    run = json.loads(rendered)["runs"][0]
    assert len(run["results"]) == sarif.MAX_RESULTS
    assert "codeFlows" in run["results"][0]
    assert "codeFlows" not in run["results"][-1]
    assert any("500 results left out" in text for text in notes_of(run, "findings-left-out"))


def test_what_follows_from_a_finding_that_is_only_counted_is_named_too(
    of_every_state: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = of_every_state.report
    folded = [row for row in report["findings"] if row["state"] == "folded"]
    monkeypatch.setattr(of_every_state, "report", report | {"findings": folded})
    run = run_of(sarif.render(of_every_state))
    assert run["results"] == []
    assert set(run["properties"]["folded"]) == instances({"findings": folded})


def test_results_that_do_not_fit_lose_their_witnesses_and_then_their_place() -> None:
    results = [{"message": "m", "codeFlows": "f" * 100} for _ in range(3)]
    assert sarif.fitting(results, 1000) == (results, 0)
    kept, cut = sarif.fitting(results, 300)
    assert [len(result) for result in kept] == [2, 2, 1]
    assert cut == 1
    assert sarif.fitting(results, 20) == ([{"message": "m"}], 1)


def test_nothing_of_the_machine_is_in_the_report(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    path = write(tmp_path / "log.ndjson", restarted("s").events)
    with chdir(tmp_path / "here"), audit(path) as result:
        rendered = sarif.render(result)
    assert '"uri":"log.ndjson"' in rendered
    assert str(tmp_path) not in rendered


@settings(max_examples=25, deadline=None)
@given(texts=nasty_texts)
def test_whatever_a_log_says_it_stays_a_sarif_report(in_doubt: Audit, texts: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_doubt, "report", poisoned(in_doubt.report, texts))
        rendered = sarif.render(in_doubt)
        found = instances(in_doubt.report)
    document = json.loads(rendered)
    run = document["runs"][0]
    assert is_inert(rendered)
    del run["tool"]["driver"]["rules"][1:]  # they are of no log, and what takes the time
    VALIDATOR.validate(document)
    assert is_inert("".join(strings(run)))
    assert "](" not in "".join(row["message"]["text"] for row in run["results"])
    named = [row["partialFingerprints"]["auditorInstance/v1"] for row in run["results"]]
    named += [name for row in run["results"] for name in row["properties"]["folded"]]
    assert set(named) == found


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from audited import (
    RESTARTED,
    check_golden,
    is_inert,
    nasty_texts,
    of_sample,
    poisoned,
    restarted,
)
from hypothesis import given, settings
from logs import Log, entity, time, write
from lxml import etree

from auditor import Audit, audit
from auditor.report import junit

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parent / "schemas" / "junit-10.xsd"))


def suites_of(rendered: str) -> dict[str, Any]:
    root = etree.fromstring(rendered.encode())
    SCHEMA.assertValid(root)
    return {suite.attrib["name"]: suite for suite in root}


def case(suites: dict[str, Any], suite: str, name: str) -> Any:
    (found,) = [row for row in suites[suite] if row.attrib["name"] == name]
    return found


def ended(row: Any) -> list[str]:
    return [child.tag for child in row if child.tag != "system-out"]


def test_the_junit_report_of_a_sample_log() -> None:
    check_golden("stale-snapshot-write.junit.xml", of_sample("stale-snapshot-write", junit.render))


def test_a_rule_with_findings_that_count_fails_with_their_sentences(of_every_state: Audit) -> None:
    suites = suites_of(junit.render(of_every_state))
    failed = case(suites, "auditor.step", RESTARTED)
    assert failed.attrib["classname"] == "auditor.step"
    assert ended(failed) == ["failure"]
    told = failed.findtext("failure") or ""
    assert "run wrun_new of new" in told
    assert "outcome: step_completed of step#0 at #5 (log.ndjson:" in told
    assert "wrun_known" not in told
    assert "wrun_suppressed" not in told


def test_what_does_not_count_is_printed_by_a_case_that_passes_or_not(of_every_state: Audit) -> None:
    suites = suites_of(junit.render(of_every_state))
    printed = case(suites, "auditor.step", RESTARTED).findtext("system-out") or ""
    assert printed.startswith("1 new, 1 known, 1 suppressed, 0 folded\n")
    assert "error [known]" in printed
    assert "suppressed: we pay twice" in printed
    consequence = case(suites, "auditor.replay", "runtime-corruption-verdict")
    assert ended(consequence) == []


def test_what_is_below_fail_on_passes(tmp_path: Path) -> None:
    path = write(tmp_path / "log.ndjson", restarted("s").events)
    with audit(path, fail_on=None) as result:
        suites = suites_of(junit.render(result))
    row = case(suites, "auditor.step", RESTARTED)
    assert ended(row) == []
    assert "error [new]" in (row.findtext("system-out") or "")
    assert {suite.attrib["failures"] for suite in suites.values()} == {"0"}


def test_a_rule_that_was_not_evaluated_is_skipped_with_its_reason(of_every_state: Audit) -> None:
    suites = suites_of(junit.render(of_every_state))
    skipped = case(suites, "auditor.fence", "dropped-fence").find("skipped")
    assert skipped is not None
    assert skipped.attrib["message"] == "the log does not record fences"
    assert int(suites["auditor.fence"].attrib["skipped"]) > 1


def test_every_selected_rule_is_one_case(of_every_state: Audit) -> None:
    suites = suites_of(junit.render(of_every_state))
    rules = [row.attrib["name"] for suite in suites.values() for row in suite]
    assert sorted(rules) == sorted(
        [rule["id"] for rule in of_every_state.report["rules"]] + ["log.ndjson", "every run could be judged"]
    )


def test_an_input_that_could_not_be_read_is_an_error(in_doubt: Audit) -> None:
    suites = suites_of(junit.render(in_doubt))
    assert ended(case(suites, "auditor.inputs", "empty.ndjson")) == ["error"]
    row = case(suites, "auditor.inputs", "log.ndjson").find("error")
    assert row is not None
    assert row.attrib["message"] == "1 row could not be read"


def test_unreadable_rows_that_are_allowed_are_no_error(tmp_path: Path) -> None:
    path = write(tmp_path / "log.ndjson", Log().events)
    path.write_text(path.read_text() + "{oops\n")
    with audit(path, max_rejects=1, fail_on=None) as result:
        verdict, code = result.verdict, result.exit_code
        suites = suites_of(junit.render(result))
    assert (code == 0) == (suites["auditor.inputs"].attrib["errors"] == "0")
    assert (verdict != "cannot_tell") == (suites["auditor.runs"].attrib["errors"] == "0")


def test_nothing_that_was_read_is_not_green(tmp_path: Path) -> None:
    (tmp_path / "empty.ndjson").write_text("")
    with audit(tmp_path / "empty.ndjson") as result:
        suites = suites_of(junit.render(result))
    error = case(suites, "auditor.runs", "every run could be judged").find("error")
    assert error is not None
    assert error.attrib["message"] == "no run was read"


def test_a_requirement_that_is_not_met_is_not_green(tmp_path: Path) -> None:
    with audit(write(tmp_path / "log.ndjson", Log().events), require=["fences"]) as result:
        suites = suites_of(junit.render(result))
    error = case(suites, "auditor.runs", "every run could be judged").find("error")
    assert error is not None
    assert "--require fences" in error.attrib["message"]


def test_the_numbers_of_the_suites_are_right(in_doubt: Audit) -> None:
    rendered = junit.render(in_doubt)
    root = etree.fromstring(rendered.encode())
    for kind, tag in (("failures", "failure"), ("errors", "error")):
        assert int(root.attrib[kind]) == len(root.findall(f".//testcase/{tag}"))
        assert int(root.attrib[kind]) == sum(int(suite.attrib[kind]) for suite in root)
    assert int(root.attrib["tests"]) == len(root.findall(".//testcase"))


def test_of_many_findings_a_few_are_told_and_the_others_counted(tmp_path: Path) -> None:
    logs = [Log(f"wrun_{number}", workflow="w") for number in range(junit.SHOWN + 3)]
    for log in logs:
        log.add("wait_created", entity("wait", 0), data={"resumeAt": time(3)}).add("run_completed")
    with audit(write(tmp_path / "log.ndjson", *(log.events for log in logs))) as result:
        suites = suites_of(junit.render(result))
    printed = case(suites, "auditor.wait", "open-wait-at-terminal").findtext("system-out") or ""
    assert printed.count("info [new]") == junit.SHOWN
    assert "... and 3 more" in printed


@settings(max_examples=25, deadline=None)
@given(texts=nasty_texts)
def test_whatever_a_log_says_it_stays_a_junit_report(in_doubt: Audit, texts: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_doubt, "report", poisoned(in_doubt.report, texts))
        rendered = junit.render(in_doubt)
    suites = suites_of(rendered)
    root = etree.fromstring(rendered.encode())
    assert is_inert("".join(root.itertext()))
    assert is_inert("".join(value for row in root.iter() for value in row.attrib.values()))
    told = " ".join(case(suites, "auditor.step", RESTARTED).itertext())
    named = {f["fingerprint"]["instance"] for f in in_doubt.report["findings"] if f["rule"] == RESTARTED}
    assert all(name in told for name in named)

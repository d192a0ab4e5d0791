"""The catalogue, and what it takes to write rules of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from own_rules import finds, rule_file

from auditor.check.catalogue import load
from auditor.check.header import HEADINGS

SAMPLE_LOGS = Path(__file__).parents[2] / "sample_logs"


@pytest.mark.parametrize("command", [["rules"], ["rules", "list"]], ids=" ".join)
def test_rules_lists_every_rule(auditor, command) -> None:
    listed = auditor(*command).stdout
    assert all(f"  {rule} " in listed for rule in load())
    described = json.loads(auditor(*command, "--format", "json").stdout)
    assert {rule["id"]: rule["origin"] for rule in described} == dict.fromkeys(load())


def test_rules_lists_those_of_a_folder_as_well(auditor) -> None:
    rule_file(Path("mine"), "my-rule", finds())
    assert "own\n  my-rule " in auditor("rules", "--rules", "mine").stdout
    described = json.loads(auditor("rules", "list", "--rules", "mine", "--format", "json").stdout)
    assert {rule["id"] for rule in described if rule["origin"] == "mine"} == {"my-rule"}


def test_a_hostile_title_does_not_reach_the_terminal(auditor) -> None:
    path = rule_file(Path("mine"), "my-rule", finds())
    text = path.read_text().replace("title: The rule my-rule", 'title: "\\e[31mmy-rule"')
    path.write_text(text.replace("Text.", "\x1b[2JText."))
    for command in (["rules", "--rules", "mine"], ["explain", "my-rule", "--rules", "mine"]):
        done = auditor(*command)
        assert done.returncode == 0
        assert "my-rule" in done.stdout
        assert "\x1b" not in done.stdout


def test_explain_knows_the_rules_of_a_folder(auditor) -> None:
    rule_file(Path("mine"), "my-rule", finds())
    done = auditor("explain", "my-rule", "--rules", "mine")
    assert done.returncode == 0
    assert all(f"## {heading}" in done.stdout for heading in HEADINGS)
    assert auditor("explain", "my-rule").returncode == 2


def test_coverage_says_which_log_exercised_which_rule(auditor) -> None:
    rule_file(Path("mine"), "my-rule", finds())
    logs = [SAMPLE_LOGS / "orphaned-wait.ndjson", SAMPLE_LOGS / "healthy-order.ndjson"]
    done = auditor("rules", "coverage", *logs, "--rules", "mine")
    cells = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line and line[0].isalpha()}
    assert cells["orphaned-wait"] == ["1", "held"]
    assert cells["slot-hole"] == ["-", "-"]
    assert cells["my-rule"] == ["8", "18"]
    assert f"{len(load()) + 1} rules: " in done.stdout


def test_coverage_wants_logs(auditor) -> None:
    done = auditor("rules", "coverage")
    assert done.returncode == 2
    assert "Missing argument 'PATH...'" in done.stderr


def test_a_new_rule_works_as_it_is(auditor) -> None:
    done = auditor("rules", "new", "slow-payment", "--group", "money")
    assert done.returncode == 0
    written = [line.strip() for line in done.stdout.splitlines() if line.startswith("  audit-rules/")]
    assert len(written) == 4
    assert all(Path(path).is_file() for path in written)
    assert "auditor rules test audit-rules" in done.stdout
    done = auditor("rules", "test")
    assert (done.returncode, done.stdout.count("  ok  ")) == (0, 3)
    assert "1 rule, 3 samples: 0 samples missed, 0 rules failed" in done.stdout


def test_a_new_rule_never_overwrites(auditor) -> None:
    assert auditor("rules", "new", "mine").returncode == 0
    for args in (["mine"], ["mine", "--group", "other"], ["hung-step"]):
        done = auditor("rules", "new", *args)
        assert done.returncode == 2
        assert "there is a rule of this name already" in done.stderr


@pytest.mark.parametrize("args", [["Mine"], ["a/b"], ["../a"], ["a", "--group", "../b"], ["a", "--group", "B"]])
def test_the_name_and_group_of_a_new_rule_are_kebab_case(auditor, args) -> None:
    done = auditor("rules", "new", *args)
    assert done.returncode == 2
    assert "is not kebab-case" in done.stderr
    assert list(Path().iterdir()) == []


@pytest.fixture
def samples(auditor) -> Path:
    """The samples of a new rule, in the folder that commands look in."""
    auditor("rules", "new", "mine")
    return Path("audit-rules/custom/mine.samples")


def test_a_sample_that_misses_is_shown_with_the_sentence_of_the_finding(auditor, samples) -> None:
    (samples / "fires-third-retry.ndjson").rename(samples / "holds-third-retry.ndjson")
    done = auditor("rules", "test")
    assert done.returncode == 1
    assert "missed  holds-third-retry.ndjson" in done.stdout
    assert "expected: held; outcome: found, warning" in done.stdout
    assert "was retried 3 times." in done.stdout
    assert "has no sample fires-*" in done.stdout


def test_a_sample_of_another_severity_or_of_no_kind_misses(auditor, samples) -> None:
    (samples / "fires-third-retry.ndjson").rename(samples / "fires-info-third-retry.ndjson")
    (samples / "example.ndjson").write_text("")
    (samples / "holds-nonsense.ndjson").write_text("{")
    done = auditor("rules", "test", "--format", "json")
    assert done.returncode == 1
    (rule,) = json.loads(done.stdout)["rules"]
    outcomes = {sample["sample"]: (sample["kept"], sample["outcome"]) for sample in rule["samples"]}
    assert outcomes == {
        "cannot-tell-the-start-is-missing.ndjson": (True, "not_evaluated"),
        "example.ndjson": (False, None),
        "fires-info-third-retry.ndjson": (False, "found, warning"),
        "holds-nonsense.ndjson": (False, "unreadable"),
        "holds-second-retry.ndjson": (True, "held"),
    }


@pytest.mark.parametrize("header", ["needs: [fences]", "only_with: [hook_disposed]"])
def test_broken_sql_that_no_sample_reaches_is_found(auditor, header) -> None:
    path = rule_file(Path("mine"), "my-rule", "SELECT run_id, nonsense\nFROM logg", header)
    done = auditor("rules", "test", "mine")
    assert done.returncode == 2
    assert f"failed  {path}:24: Catalog Error: Table with name logg does not exist" in done.stdout


def test_a_rule_without_samples_fails_and_says_so(auditor) -> None:
    path = rule_file(Path("mine"), "my-rule", finds())
    done = auditor("rules", "test", "mine")
    assert done.returncode == 1
    assert f"{path.with_suffix('.samples')} has no sample fires-* and no holds-*" in " ".join(done.stdout.split())


@pytest.mark.parametrize(("text", "message"), [("SELECT 1", "must be a /* header"), ("", "must be a /* header")])
def test_a_malformed_rule_is_misuse(auditor, text, message) -> None:
    rule_file(Path("mine"), "my-rule", finds()).write_text(text)
    for command in (["rules", "test", "mine"], ["rules", "--rules", "mine"], ["explain", "x", "--rules", "mine"]):
        done = auditor(*command)
        assert done.returncode == 2
        assert f"mine/own/my-rule.sql:1: {message}" in done.stderr


def test_a_folder_that_is_not_there_is_misuse(auditor) -> None:
    for command in (["rules", "test"], ["rules", "--rules", "nowhere"], ["explain", "x", "--rules", "nowhere"]):
        done = auditor(*command)
        assert done.returncode == 2
        assert "there is no such folder of rules" in done.stderr


def test_rules_of_the_configuration_that_holds_here_are_known(auditor, tmp_path) -> None:
    auditor("rules", "new", "own-rule")
    (tmp_path / "auditor.toml").write_text('rules = ["audit-rules"]\n')
    assert auditor("explain", "own-rule").stdout.startswith("own-rule: ")
    assert "  own-rule " in auditor("rules").stdout

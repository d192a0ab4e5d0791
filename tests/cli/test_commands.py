from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from readme import usage

from auditor.check.catalogue import load
from auditor.check.header import HEADINGS
from auditor.schemas import NAMES


def test_rules_lists_every_rule(auditor) -> None:
    listed = auditor("rules").stdout
    assert all(f"  {rule} " in listed for rule in load())
    described = json.loads(auditor("rules", "--format", "json").stdout)
    assert {rule["id"] for rule in described} == set(load())


def test_explain_prints_the_whole_explanation(auditor) -> None:
    done = auditor("explain", "stale-snapshot-write")
    assert done.returncode == 0
    assert re.findall("^## (.+)$", done.stdout, re.MULTILINE) == list(HEADINGS)
    assert "needs       fences" in done.stdout


def test_explain_of_an_unknown_rule_names_the_near_ones(auditor) -> None:
    done = auditor("explain", "stale-write")
    assert done.returncode == 2
    assert "did you mean stale-retry, stale-snapshot-write" in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_schema_prints_the_contract(auditor, name) -> None:
    printed = auditor("schema", name).stdout
    assert printed.startswith("-- The ") if NAMES[name].endswith(".sql") else json.loads(printed)["title"]


def test_coverage_says_which_log_exercised_which_rule(auditor) -> None:
    samples = Path(__file__).parents[2] / "sample_logs"
    done = auditor("rules", "--coverage", samples / "orphaned-wait.ndjson", samples / "healthy-order.ndjson")
    cells = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line and line[0].isalpha()}
    assert cells["orphaned-wait"] == ["1", "held"]
    assert cells["slot-hole"] == ["-", "-"]
    assert f"{len(load())} rules: " in done.stdout


def test_coverage_wants_logs_and_logs_want_coverage(auditor) -> None:
    for args in (["rules", "--coverage"], ["rules", "sample_logs"]):
        done = auditor(*args)
        assert done.returncode == 2
        assert "go together" in done.stderr


def test_the_help_in_the_readme_is_the_help(auditor) -> None:
    assert auditor("check", "--help").stdout.strip() == usage("auditor check")


def test_no_command_shows_a_traceback_on_nonsense(auditor) -> None:
    for args in (["nonsense"], ["check", "--nonsense"], ["schema", "nonsense"]):
        done = auditor(*args)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr

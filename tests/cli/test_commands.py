from __future__ import annotations

import json
import re

import pytest

from auditor.check.header import HEADINGS
from auditor.schemas import NAMES


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


def test_no_command_shows_a_traceback_on_nonsense(auditor) -> None:
    for args in (["nonsense"], ["check", "--nonsense"], ["schema", "nonsense"]):
        done = auditor(*args)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from logs import Log, write

from auditor.check.header import HEADINGS
from auditor.schemas import NAMES


def test_explain_prints_the_whole_explanation(auditor) -> None:
    done = auditor("explain", "stale-snapshot-write")
    assert done.returncode == 0
    assert re.findall("^## (.+)$", done.stdout, re.MULTILINE) == list(HEADINGS)
    assert "needs       fences" in done.stdout


def test_explain_of_a_group_lists_its_rules(auditor) -> None:
    done = auditor("explain", "fence")
    assert done.returncode == 0
    assert done.stdout.startswith("fence: a group of ")
    assert "stale-snapshot-write " in done.stdout
    assert "orphaned-wait" not in done.stdout


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


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "{}"],
        ["check", "log.ndjson", "--config", "{}"],
        ["check", "log.ndjson", "--no-config", "--baseline", "{}"],
        ["check", "log.ndjson", "--no-config", "--rules", "{}"],
        ["check", "log.ndjson", "--report", "json={}/report.json"],
        ["check", "log.ndjson", "--format", "{}"],
        ["check", "log.ndjson", "--{}"],
        ["check", "log.ndjson", "--memory-limit", "{}"],
        ["check", "sqlite:///{}"],
        ["world", "runs", "{}"],
        ["{}"],
    ],
)
@pytest.mark.parametrize(
    "outside", ["x\n::error::owned", "x\r::error::owned", "x\x85::error::owned", "##[error]owned"]
)
def test_what_an_error_quotes_is_no_line_and_no_command_of_its_own(
    auditor, tmp_path: Path, arguments: list[str], outside: str
) -> None:
    write(tmp_path / "log.ndjson", Log().add("run_completed").events)
    done = auditor(*(argument.format(outside) for argument in arguments))
    assert done.returncode in (2, 3)
    said = done.stdout + done.stderr
    assert not [line for line in said.splitlines() if line.lstrip().startswith("::") or "##[" in line]


def test_an_internal_error_says_so_in_one_line(auditor, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a log says\n::error::owned")

    monkeypatch.setattr("auditor.cli.auditing.audit", broken)
    said = auditor("check", "log.ndjson").stderr.splitlines()
    assert said[0].startswith("auditor: internal error: RuntimeError: a log says")
    assert [line.split(":")[0] for line in said] == [
        "auditor",
        "This is a bug. Set AUDITOR_DEBUG=1 to see where, and report it with the command you ran.",
    ]

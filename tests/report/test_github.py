from __future__ import annotations

from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

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
from logs import Log, write

from auditor import Audit, audit
from auditor.report import github


class Command(NamedTuple):
    name: str
    properties: dict[str, str]
    message: str


def as_a_runner_reads(line: str) -> Command | None:
    """How actions/runner reads a line of a job (`ActionCommand.TryParseV2`, else `TryParse`); None: it is text."""
    if not line.lstrip().startswith("::"):
        assert "##[" not in line, "that would be a command of the first kind"
        return None
    head, _, data = line.lstrip()[2:].partition("::")
    name, _, properties = head.partition(" ")
    pairs = [pair.split("=", 1) for pair in properties.split(",")]
    return Command(name, {key: unescaped(value) for key, value in pairs}, unescaped(data))


def unescaped(text: str) -> str:
    for token, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(token, character)
    return text


def commands(rendered: str) -> list[Command]:
    return [command for line in rendered.splitlines() if (command := as_a_runner_reads(line)) is not None]


@pytest.mark.parametrize("name", ["stale-snapshot-write", "dropped-fence"])
def test_the_annotations_of_a_sample_log(name: str) -> None:
    check_golden(f"{name}.github.txt", of_sample(name, github.render))


def test_a_new_finding_is_an_annotation_at_its_line(of_every_state: Audit) -> None:
    (command,) = [row for row in commands(github.render(of_every_state)) if row.properties["title"] == RESTARTED]
    assert command.name == "error"
    assert command.properties == {"title": RESTARTED, "file": "log.ndjson", "line": "20"}
    assert "run wrun_new of new" in command.message
    assert f"auditor explain {RESTARTED}" in command.message


def test_what_is_known_or_suppressed_is_only_counted(of_every_state: Audit) -> None:
    rendered = github.render(of_every_state)
    assert "wrun_known" not in rendered
    assert "auditor: findings: 1 new, 1 known, 1 suppressed, 3 folded\n" in rendered


def test_the_last_line_is_the_verdict(of_every_state: Audit) -> None:
    last = github.render(of_every_state).splitlines()[-1]
    assert last == "auditor: corrupt; exit code 1: 1 new finding at or above error"


def test_a_sound_log_has_no_annotation(tmp_path: Path) -> None:
    with audit(write(tmp_path / "log.ndjson", Log().add("run_completed").events)) as result:
        rendered = github.render(result)
    assert commands(rendered) == []
    assert "auditor: sound; exit code 0" in rendered


def test_what_could_not_be_judged_is_an_error_and_unreadable_rows_are_a_warning(in_doubt: Audit) -> None:
    rows = {(row.name, row.properties["title"]): row.message for row in commands(github.render(in_doubt))}
    assert rows["error", "input-problem"] == "empty.ndjson: is empty"
    assert "not JSON" in rows["warning", "unreadable-rows"]


def test_a_decision_that_decides_nothing_is_a_warning(of_every_state: Audit) -> None:
    rows = [(row.name, row.properties["title"]) for row in commands(github.render(of_every_state))]
    assert ("warning", "suppression-unused") in rows


def test_of_many_findings_nine_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    logs = [restarted(f"s{number}").events for number in range(12)]
    (tmp_path / "empty.ndjson").write_text("")
    with chdir(tmp_path), audit(write(Path("log.ndjson"), *logs), "empty.ndjson") as result:
        rows = commands(github.render(result))
    errors = [row for row in rows if row.name == "error"]
    assert len(errors) == github.SHOWN
    assert errors[0].properties["title"] == "input-problem", "which may not be pushed out"
    assert rows[-1].name == "notice"
    assert rows[-1].message == "and 4 errors more; the other reports have them"


def test_a_file_outside_of_the_repository_is_not_named(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    path = write(tmp_path / "log.ndjson", restarted("s").events)
    with chdir(tmp_path / "here"), audit(path) as result:
        rows = commands(github.render(result))
    assert all("file" not in row.properties for row in rows)


def test_a_file_name_cannot_end_a_property(tmp_path: Path) -> None:
    name = "a,line=1::b%0A.ndjson"
    with chdir(tmp_path), audit(write(Path(name), restarted("s").events)) as result:
        (row,) = [row for row in commands(github.render(result)) if row.name == "error"]
    assert row.properties["file"] == name
    assert row.properties["line"] == "6"


def test_the_summary_fits_into_a_step(in_doubt: Audit) -> None:
    summary = github.summary(in_doubt)
    assert RESTARTED in summary
    assert len(summary.encode()) <= github.SUMMARY_BYTES


@settings(max_examples=50, deadline=None)
@given(texts=nasty_texts)
def test_nothing_in_a_log_is_a_command(in_doubt: Audit, texts: list[str]) -> None:
    expected = [shape(row) for row in commands(github.render(in_doubt))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_doubt, "report", poisoned(in_doubt.report, texts))
        rendered = github.render(in_doubt)
    assert is_inert(rendered)
    assert [line for line in rendered.splitlines() if not line.startswith(("::", "auditor: "))] == []
    assert {shape(row) for row in commands(rendered)} <= set(expected)


def shape(command: Command) -> tuple[Any, ...]:
    return command.name, command.properties["title"]

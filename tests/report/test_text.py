from __future__ import annotations

import os
from contextlib import chdir
from functools import cache
from pathlib import Path

import click
import pytest
from logs import Log, entity, time, write

from auditor import audit
from auditor.report import text

GOLDEN = Path(__file__).parent / "golden"
SAMPLES = Path(__file__).parents[2] / "sample_logs"


def rendered(path: Path, **options: bool) -> str:
    with audit(path) as result:
        return text.render(result, **options)


@cache
def of_sample(name: str) -> str:
    """The report on a sample log, whose name is all that is shown of its path."""
    with chdir(SAMPLES):
        return rendered(Path(name))


@pytest.mark.parametrize("name", ["healthy-order", "stale-snapshot-write", "orphaned-wait", "dropped-fence"])
def test_the_report_of_a_sample_log(name: str) -> None:
    """Golden files. To accept a change: `AUDITOR_ACCEPT=1 make check`, then read the difference."""
    produced = of_sample(f"{name}.ndjson")
    golden = GOLDEN / f"{name}.txt"
    if "AUDITOR_ACCEPT" in os.environ:
        golden.write_text(produced, "utf-8")
    assert produced == golden.read_text("utf-8")


@pytest.mark.parametrize("name", sorted({path.name for path in SAMPLES.iterdir()} - {"README.md"}))
def test_nothing_is_wider_than_80_columns(name: str) -> None:
    wide = [line for line in of_sample(name).splitlines() if len(line) > text.WIDTH]
    assert not wide


def test_the_log_is_shown_around_each_witness(tmp_path: Path) -> None:
    log = Log().life("step", 0, "created", "started", "completed", "started", "completed", stepName="s")
    shown = rendered(write(tmp_path / "log.ndjson", log.events))
    assert "  > #5    12:00:05.000 step_completed step#0   outcome (s)\n" in shown
    assert "  > #6    12:00:06.000 step_started   step#0   started again (s)\n" in shown
    assert "    #4    12:00:04.000 step_started   step#0    (s)\n" in shown
    assert "    #3 " not in shown


def test_what_a_log_says_cannot_reach_the_terminal_as_a_command(tmp_path: Path) -> None:
    log = Log("wrun_\x1b[31mred\x07", workflow="w\x1b]0;title\x07\nnew line")
    log.add("wait_created", entity("wait", 0), data={"resumeAt": time(3)}).add("\x1b[2Jclear", at=900)
    shown = rendered(write(tmp_path / "log.ndjson", log.events))
    assert "orphaned-wait" in shown
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_colour_adds_nothing_but_colour(tmp_path: Path) -> None:
    path = write(tmp_path / "log.ndjson", Log().events)
    assert click.unstyle(rendered(path, colour=True)) == rendered(path)


def restarted(number: int, step: str) -> Log:
    stages = ("created", "started", "completed", "started", "completed")
    return Log(f"wrun_01KAP2D000{number:016d}").life("step", 0, *stages, stepName=step)


def test_what_several_runs_share_is_said_first(tmp_path: Path) -> None:
    logs = [restarted(number, "s").events for number in range(3)]
    shown = rendered(write(tmp_path / "log.ndjson", *logs, Log().events))
    section = shown[shown.index("CAUSES that several runs share") : shown.index("ERROR")]
    words = " ".join(section.split())
    assert "error Steps (s) are started again after their step_completed." in words
    assert "3 findings in 3 of 4 runs since 2026-11-22 12:00:06, explaining 3 more; step-restarted" in words


def test_what_happened_in_one_run_is_no_shared_cause(tmp_path: Path) -> None:
    shown = rendered(write(tmp_path / "log.ndjson", restarted(1, "s").events, Log().events))
    assert "CAUSES" not in shown


def test_a_cause_is_shown_by_a_few_findings_of_different_patterns(tmp_path: Path) -> None:
    logs = [restarted(number, step).events for number, step in enumerate("aaabbbcccddd")]
    shown = rendered(write(tmp_path / "log.ndjson", *logs))
    assert [name in shown for name in ("(a)", "(b)", "(c)", "(d)")] == [True] * 4
    assert shown.count("started again (") == text.SHOWN_CAUSE
    assert "... and 8 more of the same cause" in shown


def test_what_was_not_evaluated_is_said_with_its_reason(tmp_path: Path) -> None:
    shown = rendered(write(tmp_path / "log.ndjson", Log().events))
    section = " ".join(shown[shown.index("NOT EVALUATED") :].split())
    fences = section[: section.index(": the log does not record fences")]
    assert "dropped-fence" in fences
    assert "stale-snapshot-write" in fences


def test_rejects_are_shown_with_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path / "log.ndjson", Log().events)
    path.write_text(path.read_text() + "{oops\n")
    shown = rendered(path)
    assert "! log.ndjson:3: not JSON" in shown
    assert "1 unreadable row" in shown


def test_an_input_that_could_not_be_read_is_said_first(tmp_path: Path) -> None:
    path = tmp_path / "empty.ndjson"
    path.write_text("")
    shown = rendered(path)
    assert f"! {path} is empty" in " ".join(shown.split()), "and a path is never broken, so that it can be copied"
    assert shown.index(str(path)) < shown.index("INPUTS")
    assert "NOT EVALUATED" not in shown
    assert "None" not in shown
    assert shown.endswith("exit code 3: 1 input could not be read\n")

"""The exit code is the worst over all inputs (2, 1, 3, 0), whatever the format and the order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logs import Log, manifest, write

from auditor import ExitCode
from auditor.report.formats import FORMATS

WORST_FIRST = [ExitCode.ERROR, ExitCode.FOUND, ExitCode.CANNOT_TELL, ExitCode.CLEAN]


def name(number: int) -> str:
    return f"wrun_01KAP2D000{number:016d}"


def healthy(path: Path) -> None:
    write(path, Log(name(1)).add("run_completed").events)


def corrupt(path: Path) -> None:
    log = Log(name(2)).life("step", 0, "created", "started", "completed", "started", stepName="s")
    write(path, log.events)


def unprotected(path: Path) -> None:
    write(path, manifest("fence"), Log(name(3)).add("run_completed", fence=None).events)


def headless(path: Path) -> None:
    write(path, Log(name(4)).add("run_completed").events[2:])


def damaged(path: Path) -> None:
    write(path, Log(name(5)).add("run_completed").events)
    path.write_text(path.read_text() + '{"runId": \n')


def no_log(path: Path) -> None:
    path.write_text("hello\n")


def nothing(path: Path) -> None:
    path.write_text("")


def damaged_and_corrupt(path: Path) -> None:
    log = Log(name(6)).life("step", 0, "created", "started", "completed", "started", stepName="s")
    write(path, log.events)
    path.write_text(path.read_text() + "{oops\n")


LOGS = {
    maker.__name__: maker
    for maker in (healthy, corrupt, unprotected, headless, damaged, no_log, nothing, damaged_and_corrupt)
}
UNREADABLE = {"headless", "damaged", "no_log", "nothing"}
MISSING = "missing"
"""An input that is not there at all."""


def code_of(log: str, fail_on: str) -> ExitCode:
    """What one log alone is worth."""
    if log == MISSING:
        return ExitCode.ERROR
    if log in ("corrupt", "damaged_and_corrupt") and fail_on != "never":
        return ExitCode.FOUND
    if log == "unprotected" and fail_on == "warning":
        return ExitCode.FOUND
    return ExitCode.CANNOT_TELL if log in UNREADABLE | {"damaged_and_corrupt"} else ExitCode.CLEAN


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    logs=st.lists(st.sampled_from([*LOGS, MISSING]), min_size=1, max_size=4, unique=True),
    fail_on=st.sampled_from(["error", "warning", "never"]),
    format_=st.sampled_from(FORMATS),
)
def test_it_is_the_worst_over_all_inputs(auditor, tmp_path: Path, logs, fail_on, format_) -> None:
    for log, make in LOGS.items():
        make(tmp_path / f"{log}.ndjson")
    worst = min((code_of(log, fail_on) for log in logs), key=WORST_FIRST.index)
    done = auditor("check", *(f"{log}.ndjson" for log in logs), "--fail-on", fail_on, "--format", format_)
    assert done.returncode == worst, done.stdout + done.stderr
    assert (done.stdout == "") == (worst == ExitCode.ERROR), "misuse writes no report"


@pytest.mark.parametrize("log", sorted(UNREADABLE))
def test_what_cannot_be_read_is_never_green_in_any_report(auditor, tmp_path: Path, log: str) -> None:
    """Not even for somebody who reads the report and not the exit code."""
    LOGS[log](tmp_path / "log.ndjson")
    names = [name for name in FORMATS if name != "text"]
    reports = [arg for name in names for arg in ("--report", f"{name}={name}.out")]
    done = auditor("check", "log.ndjson", *reports)
    out = {name: (tmp_path / f"{name}.out").read_text("utf-8") for name in names} | {"text": done.stdout}
    assert done.returncode == ExitCode.CANNOT_TELL
    for shown in ("text", "concise", "github", "markdown", "html"):
        assert "exit code 3" in out[shown].lower(), shown
    assert json.loads(out["json"])["exit_code"] == json.loads(out["jsonl"].splitlines()[0])["exit_code"] == 3
    assert json.loads(out["sarif"])["runs"][0]["invocations"][0]["executionSuccessful"] is False
    assert "<error" in out["junit"]
    assert "::error" in out["github"]
    assert json.loads(out["gitlab"]) != []

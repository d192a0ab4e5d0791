"""One shape, two meanings: an error where that core's replay dies of it, info where it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from logs import Log, entity, time, write

from auditor import Verdict, audit


def two_resume_times(**version: Any) -> Log:
    """Mechanism B of the corpora."""
    log = Log(**version)
    for due in (5, 6):
        log.add("wait_created", entity("wait", 0), data={"resumeAt": time(due)})
    return log


def restart(**version: Any) -> Log:
    """Mechanism C."""
    return Log(**version).life("step", 0, "created", "started", "completed", "started", stepName="s")


def creation_after_outcome(**version: Any) -> Log:
    """Mechanism D."""
    return Log(**version).life("step", 0, "created", "started", "completed", "created", stepName="s")


def judged(tmp_path: Path, log: Log, rule: str) -> tuple[list[tuple[str, str]], Verdict]:
    with audit(write(tmp_path / "log.ndjson", log.events)) as result:
        found = [(f["severity"], f["confidence"]) for f in result.findings if f["rule"] == rule]
        return found, result.verdict


@pytest.mark.parametrize(
    ("core", "spec", "severity"),
    [
        ("4.2.4", 3, "info"),
        ("4.6.0", 3, "error"),
        ("4.8.9", 3, "error"),
        ("5.0.0-beta.5", 3, "error"),
        ("5.0.0-beta.55", 7, "error"),
    ],
)
def test_two_resume_times_kill_a_core_that_compares_them(tmp_path, core, spec, severity) -> None:
    found, verdict = judged(tmp_path, two_resume_times(core=core, spec=spec), "duplicate-wait-created")
    assert found == [(severity, "proof")]
    assert verdict == ("corrupt" if severity == "error" else "sound")


@pytest.mark.parametrize("core", ["4.2.4", "4.8.9"])
def test_the_same_resume_time_twice_is_harmless_everywhere(tmp_path, core) -> None:
    log = Log(core=core)
    for _ in range(2):
        log.add("wait_created", entity("wait", 0), data={"resumeAt": time(60)})
    found, verdict = judged(tmp_path, log, "duplicate-wait-created")
    assert found == [("info", "proof")]
    assert verdict == "sound"


@pytest.mark.parametrize(
    ("core", "spec", "severity"),
    [("4.2.4", 3, "error"), ("4.8.9", 3, "error"), ("5.0.0-beta.35", 5, "error"), ("5.0.0-beta.55", 7, "info")],
)
def test_a_restart_kills_cores_below_spec_7(tmp_path, core, spec, severity) -> None:
    found, _ = judged(tmp_path, restart(core=core, spec=spec), "step-restarted-after-outcome")
    assert found == [(severity, "proof")]


@pytest.mark.parametrize(
    ("core", "spec", "severity"), [("4.2.4", 3, "error"), ("4.8.9", 3, "error"), ("5.0.0-beta.55", 7, "info")]
)
def test_a_creation_after_the_outcome_kills_spec_3(tmp_path, core, spec, severity) -> None:
    found, _ = judged(tmp_path, creation_after_outcome(core=core, spec=spec), "late-creation")
    assert found == [(severity, "strong")]


def test_a_run_that_completed_all_the_same_was_not_killed(tmp_path) -> None:
    log = creation_after_outcome(core="4.2.4").add("run_completed")
    found, verdict = judged(tmp_path, log, "late-creation")
    assert found == [("warning", "strong")]
    assert verdict == "sound"


class TestUnknownCore:
    """Where no version is recorded, the events themselves may tell; where they do not, we say `suspect`."""

    def test_a_completion_with_a_resume_time_was_written_by_4_6_or_later(self, tmp_path) -> None:
        log = two_resume_times(core=None)
        log.add("wait_completed", entity("wait", 0), data={"resumeAt": time(5)})
        found, verdict = judged(tmp_path, log, "duplicate-wait-created")
        assert found == [("error", "proof")]
        assert verdict == "corrupt"

    def test_a_completion_without_one_was_written_before(self, tmp_path) -> None:
        log = two_resume_times(core=None).life("wait", 0, "completed")
        found, _ = judged(tmp_path, log, "duplicate-wait-created")
        assert found == [("info", "proof")]

    def test_else_it_is_the_milder_severity_and_only_suspected(self, tmp_path) -> None:
        found, _ = judged(tmp_path, two_resume_times(core=None), "duplicate-wait-created")
        assert found == [("info", "suspect")]

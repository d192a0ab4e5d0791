"""One shape, two meanings: an error where that core's replay dies of it, info where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from logs import Log, entity, time, write

from auditor import audit


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


def one_resume_time_twice(**version: Any) -> Log:
    log = Log(**version)
    for _ in range(2):
        log.add("wait_created", entity("wait", 0), data={"resumeAt": time(60)})
    return log


@dataclass(frozen=True)
class Case:
    """A log, what a rule says of it, and the verdict on its run where that is told too."""

    name: str
    log: Log
    rule: str
    severity: str
    confidence: str
    verdict: str | None = None


B, C, D = "duplicate-wait-created", "step-restarted-after-outcome", "late-creation"

CASES = [
    # Two resume times kill a core that compares them.
    *(
        Case(f"two times on {core}", two_resume_times(core=core, spec=spec), B, severity, "proof", verdict)
        for core, spec, severity, verdict in [
            ("4.2.4", 3, "info", "sound"),
            ("4.6.0", 3, "error", "corrupt"),
            ("4.8.9", 3, "error", "corrupt"),
            ("5.0.0-beta.5", 3, "error", "corrupt"),
            ("5.0.0-beta.55", 7, "error", "corrupt"),
        ]
    ),
    # The same resume time twice is harmless everywhere.
    *(
        Case(f"one time twice on {core}", one_resume_time_twice(core=core), B, "info", "proof", "sound")
        for core in ("4.2.4", "4.8.9")
    ),
    # A restart kills cores below spec 7.
    *(
        Case(f"restart on {core}", restart(core=core, spec=spec), C, severity, "proof")
        for core, spec, severity in [
            ("4.2.4", 3, "error"),
            ("4.8.9", 3, "error"),
            ("5.0.0-beta.35", 5, "error"),
            ("5.0.0-beta.55", 7, "info"),
        ]
    ),
    # A creation after the outcome kills spec 3, but not a run that completed all the same.
    *(
        Case(f"late on {core}", creation_after_outcome(core=core, spec=spec), D, severity, "strong")
        for core, spec, severity in [
            ("4.2.4", 3, "error"),
            ("4.8.9", 3, "error"),
            ("5.0.0-beta.55", 7, "info"),
        ]
    ),
    Case(
        "late, and completed all the same",
        creation_after_outcome(core="4.2.4").add("run_completed"),
        *(D, "warning", "strong", "sound"),
    ),
    # Where no version is recorded, the events themselves may tell: a completion with a resume time was written by
    # 4.6 or later, one without it before. Where they do not, it is the milder severity, and only suspected.
    Case(
        "no core, a completion with a time",
        two_resume_times(core=None).add("wait_completed", entity("wait", 0), data={"resumeAt": time(5)}),
        *(B, "error", "proof", "corrupt"),
    ),
    Case(
        "no core, a completion without a time",
        two_resume_times(core=None).life("wait", 0, "completed"),
        *(B, "info", "proof"),
    ),
    Case("no core", two_resume_times(core=None), B, "info", "suspect"),
]

Judged = tuple[list[tuple[str, str]], str]
"""The findings of the rule of a case in its run, and the verdict on the run."""


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judged]:
    """What is said of each case. One audit judges them all, each as a run and an input of its own."""
    folder = tmp_path_factory.mktemp("cases")
    runs = {case.name: f"wrun_{number:026d}" for number, case in enumerate(CASES)}
    paths = [
        write(folder / f"{runs[case.name]}.ndjson", [e | {"runId": runs[case.name]} for e in case.log.events])
        for case in CASES
    ]
    with audit(*paths) as result:
        verdicts = {run["run_id"]: run["log_verdict"] for run in result.runs}
        return {
            case.name: (
                [
                    (finding["severity"], finding["confidence"])
                    for finding in result.findings
                    if (finding["rule"], finding["run_id"]) == (case.rule, runs[case.name])
                ],
                verdicts[runs[case.name]],
            )
            for case in CASES
        }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_shape_is_as_severe_as_it_is_for_the_core_that_replays_it(case: Case, judged: dict[str, Judged]) -> None:
    found, verdict = judged[case.name]
    assert found == [(case.severity, case.confidence)]
    assert case.verdict in (None, verdict)

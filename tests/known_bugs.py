"""Logs with one bug that many runs can show, for tests of what was decided about findings."""

from __future__ import annotations

from logs import Log

RULE = "step-restarted-after-outcome"
RESTART = ("created", "started", "completed", "started")


def run_name(number: int) -> str:
    """Run ids that increase with the number, as those of real runs do with time."""
    return f"wrun_01KAP2D000{number:016d}"


def restarted(number: int, *steps: str, workflow: str = "workflow//./flows//order", core: str = "4.8.9") -> Log:
    """A run in which every step is started again after its outcome: one finding a step, one pattern a name."""
    log = Log(run_name(number), workflow=workflow, core=core)
    for ordinal, step in enumerate(steps or ("charge",)):
        log.life("step", ordinal, *RESTART, stepName=step)
    return log

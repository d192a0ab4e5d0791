"""What is wrong on purpose: one anomaly a run, each with exactly the findings that it must give.

The table `ANOMALIES` is the oracle of the benchmark. A rule that is added to the auditor and rightly fires on one
of these shapes belongs into its row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from . import flows
from .runs import Run, Step, Wait

_VERDICT = ("runtime-corruption-verdict", "error")


class Anomaly(NamedTuple):
    """A shape, and the findings (rule, severity) that a run with it has."""

    write: Callable[[Run], None]
    findings: tuple[tuple[str, str], ...]


def write(run: Run, anomaly: Anomaly) -> None:
    """A healthy beginning, then the anomaly and how the run ends after it."""
    flows.work(run, 8 + int(run.random() * 40))
    run.catch_up()
    anomaly.write(run)


def _ordinal_collision(run: Run) -> None:
    """A tick that saw the hook and one that saw the elapsed wait give one draw to a step and to a wait."""
    hook, wait = run.hook(), run.wait(500)
    run.hook_created(hook)
    run.wait_created(wait)
    run.hook_received(hook)
    run.wait_completed(wait)
    body = run.draw()
    drain, pause = Step(f"step_{body}", run.steps[0]), Wait(f"wait_{body}", run.now + 4000)
    run.step_created(drain)
    run.step_started(drain)
    unexpected = run.wait_created(pause)
    run.step_completed(drain)
    run.failed_as_corrupt(unexpected, pause.id)


def _wait_created_twice(run: Run) -> None:
    """Two ticks reach one `sleep`, and each computes `resumeAt` from its own clock."""
    wait = run.wait(2000)
    run.wait_created(wait)
    run.wait_created(wait._replace(due=wait.due + 147))
    diverged = run.wait_completed(wait)
    run.failed_as_corrupt(diverged, wait.id)


def _wait_created_twice_for_one_time(run: Run) -> None:
    wait = run.wait(2000)
    run.wait_created(wait)
    run.wait_created(wait)
    run.wait_completed(wait)
    run.completed()


def _step_created_twice(run: Run) -> None:
    step = run.step()
    run.step_created(step)
    run.step_created(step)
    run.step_started(step)
    run.step_completed(step)
    run.completed()


def _step_restarted(run: Run) -> None:
    step = run.step()
    run.step_created(step)
    run.step_started(step)
    run.step_completed(step)
    again = run.step_started(step)
    flows.one_step(run)
    run.failed_as_corrupt(again, step.id)


def _wait_orphaned(run: Run) -> None:
    """The timer of a wait was lost; the run stays open for ever."""
    run.wait_created(run.wait(5000))


def _step_created_late(run: Run) -> None:
    step = run.step()
    run.step_created(step)
    run.step_started(step)
    run.step_completed(step)
    flows.one_step(run)
    late = run.step_created(step)
    run.failed_as_corrupt(late, step.id)


def _wait_created_late_and_survived(run: Run) -> None:
    wait = run.wait(700)
    run.wait_created(wait)
    run.wait_completed(wait)
    flows.one_step(run)
    run.wait_created(wait)
    run.completed()


def _two_ends(run: Run) -> None:
    run.cancelled()
    run.completed()


def _decision_after_the_end(run: Run) -> None:
    run.completed()
    flows.one_step(run)


def _step_never_created(run: Run) -> None:
    step = run.step()
    started = run.step_started(step)
    run.step_completed(step)
    run.failed_as_corrupt(started, step.id)


def _wait_never_created(run: Run) -> None:
    run.wait_completed(run.wait(300))
    run.left_open()


def _hook_against_itself(run: Run) -> None:
    hook = run.hook()
    run.hook_created(hook)
    run.hook_conflict(hook)
    run.failed(f'Hook token "{hook.token}" is already in use by another workflow (run "{run.id}")')


def _verdict_on_a_sound_log(run: Run) -> None:
    event_id = run.lines[-1][0]
    run.failed_as_corrupt(event_id, run.step().id)


ANOMALIES = {
    "ordinal-collision": Anomaly(_ordinal_collision, (("ordinal-collision", "error"), _VERDICT)),
    "wait-created-twice": Anomaly(_wait_created_twice, (("duplicate-wait-created", "error"), _VERDICT)),
    "wait-created-twice-for-one-time": Anomaly(
        _wait_created_twice_for_one_time, (("duplicate-wait-created", "info"),)
    ),
    "step-created-twice": Anomaly(_step_created_twice, (("duplicate-step-created", "info"),)),
    "step-restarted": Anomaly(_step_restarted, (("step-restarted-after-outcome", "error"), _VERDICT)),
    "wait-orphaned": Anomaly(_wait_orphaned, (("orphaned-wait", "error"),)),
    "step-created-late": Anomaly(_step_created_late, (("late-creation", "error"), _VERDICT)),
    "wait-created-late-and-survived": Anomaly(_wait_created_late_and_survived, (("late-creation", "warning"),)),
    "two-ends": Anomaly(_two_ends, (("conflicting-terminals", "error"),)),
    "decision-after-the-end": Anomaly(_decision_after_the_end, (("event-after-terminal", "error"),)),
    "step-never-created": Anomaly(_step_never_created, (("orphan-step-event", "error"), _VERDICT)),
    "wait-never-created": Anomaly(_wait_never_created, (("orphan-wait-completed", "error"),)),
    "hook-against-itself": Anomaly(_hook_against_itself, (("self-hook-conflict", "error"),)),
    "verdict-on-a-sound-log": Anomaly(
        _verdict_on_a_sound_log, (_VERDICT, ("runtime-verdict-unexplained", "error"))
    ),
}

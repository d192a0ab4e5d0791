"""What `auditor simulate` prints: what was played, the matrix of faults and rules, and a small failure."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.simulate.faults import FAULTS
from auditor.simulate.faults.base import Fault
from auditor.simulate.logs import RunTruth
from auditor.simulate.matrix import Matrix, Row, effects_of
from auditor.simulate.play import Played
from auditor.simulate.scenarios import SCENARIOS
from auditor.simulate.shrink import Setting, Shrunk, said
from auditor.simulate.trace import strays, trace

_SHOWN = 3
"""Missed runs and false alarms that are shown of a fault."""

HEADING = f"{'fault':<34}{'injected':>9}{'effective':>10}{'found':>7}{'missed':>7}{'false':>6}  rules that fired"


def listing() -> Iterator[str]:
    """Every scenario and every fault."""
    yield "scenarios"
    for scenario in SCENARIOS.values():
        yield f"  {scenario.name:<36}{scenario.meaning}"
    yield ""
    yield "faults"
    for name, fault in FAULTS.items():
        yield f"  {name:<36}{', '.join(fault.rules)}"
    yield ""
    yield "auditor simulate --explain FAULT says what a fault imitates."


def explained(fault: type[Fault]) -> Iterator[str]:
    """One fault: what it imitates, where it is tried, and which rules have to name it."""
    yield fault.id()
    yield ""
    for line in (fault.__doc__ or "").strip().splitlines():
        yield "  " + line.strip() if line.strip() else ""
    yield ""
    yield f"  scenarios: {', '.join(fault.scenarios)}"
    yield f"  rules:     {', '.join(fault.rules)}"


def row(made: Row) -> Iterator[str]:
    """One line of the matrix, and what is wrong with it."""
    fired = ", ".join(f"{rule} {number}" for rule, number in sorted(made.fired.items()))
    yield (
        f"{made.fault.id():<34}{made.injected:>9}{made.effective:>10}{made.found:>7}{len(made.missed):>7}"
        f"{len(made.false_alarms):>6}  {fired}"
    )
    for line in list(effects_of(made.missed))[:_SHOWN]:
        yield f"    missed: {line}"
    for line in made.false_alarms[:_SHOWN]:
        yield f"    false alarm: {line}"
    for line in made.split[:_SHOWN]:
        yield f"    more than one root: {line}"
    if made.is_idle:
        yield "    idle: it took effect in fewer than a tenth of its seeds"


def totals(made: Matrix) -> Iterator[str]:
    """What the matrix comes to; the last line has the sums."""
    if made.idle_rules:
        yield f"no fault fires {', '.join(made.idle_rules)}"
    rows = made.rows
    yield (
        f"{len(rows)} faults, {sum(r.injected for r in rows)} injected, "
        f"{sum(r.effective for r in rows)} effective, "
        f"{sum(r.found for r in rows)} found, {sum(len(r.missed) for r in rows)} missed, "
        f"{sum(len(r.false_alarms) for r in rows)} false alarms, {sum(r.is_idle for r in rows)} idle faults, "
        f"{len(made.idle_rules)} idle rules"
    )


def played(truth: list[RunTruth]) -> Iterator[str]:
    """What became of simulated runs."""
    wrong = [run for run in truth if run.is_effective]
    yield f"{len(truth)} runs, " + (f"{len(wrong)} not as they should be" if wrong else "all as they should be")
    for line in list(effects_of(wrong))[: 3 * _SHOWN]:
        yield f"  {line}"


def shrunk(found: Shrunk) -> Iterator[str]:
    """A small failure: its log by position, and the script that makes it."""
    setting, simulation = found.setting, found.played
    size = setting.scenario.size if setting.size is None else setting.size
    yield f"{setting.scenario.name}, seed {setting.seed}, size {size}; {found.tried} simulations tried"
    yield from scripted(simulation)
    yield ""
    yield f"script: {said(found.script)}"
    yield f"again:  {' '.join(_command(setting))} --script '{said(found.script)}'"


def _command(setting: Setting) -> Iterator[str]:
    """The command that plays a setting."""
    yield f"auditor simulate --scenario {setting.scenario.name} --seed {setting.seed} --seeds 1"
    if setting.fault is not Fault:
        yield f"--fault {setting.fault.id()}"
    if setting.policy is not None:
        yield f"--fence {setting.policy.value}"
    if setting.size is not None:
        yield f"--size {setting.size}"


def scripted(simulation: Played) -> Iterator[str]:
    """The logs of one simulation, by position, up to where they go wrong."""
    for run_id in simulation.runs:
        yield ""
        yield f"run {run_id}"
        yield from trace(simulation, run_id)
    for effect in strays(simulation):
        yield f"       {effect.correlation_id or effect.record}: {effect.what}"

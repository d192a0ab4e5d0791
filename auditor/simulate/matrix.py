"""The matrix: every fault against every rule, one log and one audit a fault.

A run in which the shadow saw an effect has to be named by a rule of its fault, with the effect in a witness. In a
run without one, no finding may be above info; in a run with one, none that is neither of those rules nor folded
under one of them.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor.check.catalogue import load
from auditor.cold import evidence
from auditor.pipeline import Options, run_audit
from auditor.result import Audit
from auditor.simulate.faults import FAULTS
from auditor.simulate.faults.base import Fault
from auditor.simulate.logs import Log, RunTruth
from auditor.simulate.play import play
from auditor.simulate.scenarios import SCENARIOS
from auditor.simulate.shadow import Effect

SEEDS = 20
"""Seeds of each fault, unless somebody asks for more."""

A_LOG = 100
"""Seeds in one log: an audit keeps the witnesses of a thousand findings a rule, and all of them are looked at."""

LEAST_EFFECTIVE = 10
"""A fault has to take effect in one of so many of its seeds."""


@dataclass(slots=True)
class Row:
    """One fault of the matrix. Counts are of runs, but for `fired`: of findings that show an effect, by rule."""

    fault: type[Fault]
    injected: int = 0
    effective: int = 0
    found: int = 0
    missed: list[RunTruth] = field(default_factory=list)
    false_alarms: list[str] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    split: list[str] = field(default_factory=list)
    """Runs in which it took effect with more findings above info that fold under no other than one cause has."""

    def add(self, other: Row) -> None:
        """Take in what another log of the same fault shows."""
        self.injected += other.injected
        self.effective += other.effective
        self.found += other.found
        self.missed += other.missed
        self.false_alarms += other.false_alarms
        self.split += other.split
        self.fired += other.fired

    @property
    def is_idle(self) -> bool:
        """Whether it took effect too rarely to prove anything."""
        return self.effective * LEAST_EFFECTIVE < self.injected

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong with this row."""
        return not (self.missed or self.false_alarms or self.split or self.is_idle)


@dataclass(frozen=True, slots=True)
class Matrix:
    """All faults. `idle_rules` are those that no fault fired."""

    rows: tuple[Row, ...]
    idle_rules: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """Whether each effective injection was found, once, and nothing else; and no fault and no rule is idle."""
        return all(row.is_sound for row in self.rows) and not self.idle_rules


def matrix(
    faults: Iterable[type[Fault]] | None = None,
    seeds: int = SEEDS,
    first: int = 0,
    progress: Callable[[Row], None] | None = None,
) -> Matrix:
    """Inject faults, all by default, each with so many seeds from `first` on, and audit what comes of it."""
    chosen = tuple(FAULTS.values() if faults is None else faults)
    rows = []
    for fault in chosen:
        row = row_of(fault, range(first, first + seeds))
        rows.append(row)
        if progress is not None:
            progress(row)
    fired = {rule for row in rows for rule in row.fired}
    idle = tuple(rule for rule in load() if rule not in fired) if faults is None else ()
    return Matrix(tuple(rows), idle)


def row_of(fault: type[Fault], seeds: Sequence[int]) -> Row:
    """Inject one fault and audit its log; of more than A_LOG seeds, one log after the other."""
    row = Row(fault)
    for first in range(0, len(seeds), A_LOG):
        log = log_of(fault, seeds[first : first + A_LOG])
        with tempfile.TemporaryDirectory(prefix="auditor-") as folder:
            paths = log.write(Path(folder) / "log")
            with audited(fault, paths, Path(folder) / "audit.duckdb") as audit:
                row.add(judged(fault, log.truth, audit))
    return row


def log_of(fault: type[Fault], seeds: Sequence[int]) -> Log:
    """The log of one fault: a simulation a seed, its scenarios in turn, and its controls."""
    log = Log(fault)
    names = fault.scenarios
    for seed in seeds:
        log.add(play(SCENARIOS[names[seed % len(names)]], seed, fault))
    control = type("Control", (Fault,), {"core_version": fault.core_version, "dialect": fault.dialect})
    for seed in range(seeds[-1] + 1, seeds[-1] + 1 + fault.controls * len(seeds)):
        log.add(play(SCENARIOS[names[seed % len(names)]], seed, control), is_control=True)
    return log


def audited(fault: type[Fault], paths: Sequence[Path], target: Path) -> Audit:
    """The audit of the log of a fault; with a replay of the code where the fault asks for one."""
    workflows = {scenario.workflow.name: scenario.workflow for scenario in SCENARIOS.values()}
    run_audit(
        [str(path) for path in paths],
        target,
        options=Options(keep_payloads=fault.replays),
        evidence=evidence(list(workflows.values())) if fault.replays else None,
    )
    return Audit(target)


def judged(fault: type[Fault], truth: Iterable[RunTruth], audit: Audit) -> Row:
    """Compare what an audit says with what the shadow knows."""
    row = Row(fault)
    by_run: dict[str | None, list[Mapping[str, Any]]] = defaultdict(list)
    for finding in audit.findings:
        by_run[finding["run_id"]].append(finding)
    for run in truth:
        findings = by_run[run.run_id]
        row.injected += run.fault is not None
        showing = [finding for finding in findings if _shows_any(finding, run.effects)]
        row.fired.update(finding["rule"] for finding in showing)
        grave = [finding for finding in findings if _is_root(finding)]
        if not run.is_effective:
            row.false_alarms += [_told(run, finding) for finding in grave]
            continue
        row.effective += 1
        if len(grave) > fault.roots:
            row.split.append(f"{run.scenario} seed {run.seed}: {', '.join(finding['rule'] for finding in grave)}")
        if any(finding["rule"] in fault.rules for finding in showing):
            row.found += 1
        else:
            row.missed.append(run)
        row.false_alarms += [_told(run, finding) for finding in grave if finding["rule"] not in fault.rules]
    return row


def _is_root(finding: Mapping[str, Any]) -> bool:
    return finding["severity"] != "info" and finding["folded_under"] is None


def _shows_any(finding: Mapping[str, Any], effects: Iterable[Effect]) -> bool:
    return any(_shows(seen, effect) for effect in effects for seen in finding["witness"])


def _shows(seen: Mapping[str, Any], effect: Effect) -> bool:
    """Whether a record of a witness is the place of an effect, or about its entity."""
    if effect.event_id is not None and seen["event_id"] == effect.event_id:
        return True
    if effect.correlation_id is not None and seen["correlation_id"] == effect.correlation_id:
        return True
    if effect.record == "refusal":
        return bool(seen["record"] == "refusal" and seen["event_type"] == effect.event_type)
    return effect.record == "export"


def _told(run: RunTruth, finding: Mapping[str, Any]) -> str:
    return f"{run.scenario} seed {run.seed}: {finding['rule']}: {finding['because']}"


def effects_of(truth: Iterable[RunTruth]) -> Iterator[str]:
    """The effects, a line each: what to read when a fault is not found."""
    for run in truth:
        for effect in run.effects:
            at = f"#{effect.position} " if effect.position is not None else ""
            yield f"{run.scenario} seed {run.seed}: {at}{effect.event_type or effect.record}: {effect.what}"

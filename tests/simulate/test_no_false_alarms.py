"""Nothing is wrong, and nothing above info is found: every scenario, in every dialect, under contention."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from auditor import audit
from auditor.simulate.dialects import DIALECTS
from auditor.simulate.faults.base import Fault
from auditor.simulate.logs import Log
from auditor.simulate.play import Played, play
from auditor.simulate.scenarios import SCENARIOS

RUNS = 10_000
A_LOG = 1_000


def played(fault: type[Fault], seeds: Iterable[int]) -> list[Played]:
    return [play(scenario, seed, fault) for seed in seeds for scenario in SCENARIOS.values()]


@pytest.fixture(scope="module")
def healthy() -> list[Played]:
    """Simulations without a fault, of every scenario."""
    return played(Fault, range(2))


def alarms(fault: type[Fault], simulations: Iterable[Played], folder: Path) -> list[str]:
    """What is found above info in simulations without a fault."""
    log = Log(fault)
    for one in simulations:
        log.add(one)
    assert [run for run in log.truth if run.is_effective] == []
    with audit(*log.write(folder)) as result:
        assert len(result.runs) == len(log.truth)
        return [
            f"{finding['run_id']}: {finding['rule']}: {finding['because']}"
            for finding in result.findings
            if finding["severity"] != "info"
        ]


def sound(**how: object) -> type[Fault]:
    return type("Sound", (Fault,), how)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_of_a_sound_log_is_sound(dialect: str, healthy: list[Played], tmp_path: Path) -> None:
    assert alarms(sound(dialect=dialect), healthy, tmp_path / "log") == []


@pytest.mark.parametrize("core", ["4.2.4", "4.8.9", "5.0.0-beta.55"])
def test_a_sound_log_is_sound_by_the_replay_of_every_core(core: str, tmp_path: Path) -> None:
    fault = sound(core_version=core, dialect="stock")
    assert alarms(fault, played(fault, range(1)), tmp_path / "log") == []


def test_a_run_under_contention_is_sound(tmp_path: Path) -> None:
    """More workers than work: most decisions are refused once or more, and none that is committed is wrong."""
    log = Log(Fault)
    for seed in range(20):
        log.add(play(SCENARIOS["fan-out"], seed, workers=6))
    with audit(*log.write(tmp_path / "log")) as result:
        refused = result.con.execute("SELECT count(*) FROM refusal").fetchall()[0][0]
        assert refused > len(result.runs)
        assert [finding for finding in result.findings if finding["severity"] != "info"] == []


@pytest.mark.proof
@pytest.mark.parametrize("first", range(0, RUNS, A_LOG))
def test_ten_thousand_runs_without_a_fault_give_no_finding_above_info(first: int, tmp_path: Path) -> None:
    seeds = range(first, first + A_LOG // len(SCENARIOS) + 1)
    assert alarms(Fault, played(Fault, seeds), tmp_path / "log") == []

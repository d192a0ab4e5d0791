"""The simulator as oracle: a fault that takes effect is named by its rules, with the proof, and nothing else is.

Here the logs of faults that are exported and judged alike are audited together, each as an export of its own: that
costs a tenth. `auditor simulate --matrix` audits each by itself, and so does `make proof`, with a thousand seeds.
"""

from __future__ import annotations

from collections import defaultdict

import pytest

from auditor.check.catalogue import load
from auditor.simulate.faults import FAULTS
from auditor.simulate.faults.base import Fault
from auditor.simulate.matrix import SEEDS, Row, audited, effects_of, judged, log_of, row_of
from auditor.simulate.scenarios import SCENARIOS

PROOF_SEEDS = 1_000


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    """The matrix."""
    groups: dict[tuple[object, ...], list[type[Fault]]] = defaultdict(list)
    for name, fault in FAULTS.items():
        # A rule that compares runs would be told by the faults of others.
        alone = name if fault.controls else ""
        groups[fault.dialect, fault.core_version, fault.replays, fault.policy, alone].append(fault)
    made = {}
    for faults in groups.values():
        folder = tmp_path_factory.mktemp("logs")
        logs = {fault: log_of(fault, range(SEEDS)) for fault in faults}
        paths = [path for fault, log in logs.items() for path in log.write(folder / fault.id())]
        with audited(faults[0], paths, folder / "audit.duckdb") as audit:
            made |= {fault.id(): judged(fault, log.truth, audit) for fault, log in logs.items()}
    return made


def must_be_sound(made: Row) -> None:
    assert list(effects_of(made.missed)) == []
    assert made.false_alarms == []
    assert made.split == []
    assert not made.is_idle, f"it took effect in {made.effective} of {made.injected}"
    assert made.found == made.effective


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_takes_effect_is_found_and_nothing_else_is(name: str, rows: dict[str, Row]) -> None:
    must_be_sound(rows[name])


def test_no_rule_is_idle(rows: dict[str, Row]) -> None:
    fired = {rule for row in rows.values() for rule in row.fired}
    assert set(load()) - fired == set()


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_says_what_it_imitates_and_where_it_is_tried(name: str) -> None:
    fault = FAULTS[name]
    assert fault.__doc__
    assert set(fault.rules) <= set(load())
    assert set(fault.scenarios) <= set(SCENARIOS)


@pytest.mark.proof
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_with_a_thousand_seeds(name: str) -> None:
    must_be_sound(row_of(FAULTS[name], range(10_000, 10_000 + PROOF_SEEDS)))

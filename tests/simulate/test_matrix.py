"""The simulator as oracle: a fault that takes effect is named by its rules, with the proof, and nothing else is.

The same in `make proof` with a thousand seeds a fault.
"""

from __future__ import annotations

import pytest

from auditor.check.catalogue import load
from auditor.simulate.faults import FAULTS
from auditor.simulate.matrix import SEEDS, Row, effects_of, row_of
from auditor.simulate.scenarios import SCENARIOS

PROOF_SEEDS = 1_000


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    """The matrix: one log and one audit a fault."""
    return {name: row_of(fault, range(SEEDS)) for name, fault in FAULTS.items()}


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

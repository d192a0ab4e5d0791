"""What fences are for: with all of them no interleaving corrupts a log, with fewer some do."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
from simulations import SMALL, played, refusals, share, unread

from auditor.runtime import FencePolicy
from auditor.runtime.tick import CORRUPTED, MAX_DIVERGENCES
from auditor.simulate.play import Played, play
from auditor.simulate.scenarios import SCENARIOS

RUNS = 100_000
"""Of the proof. They are of its seeds from 1,000,000 on: no other test has played them."""

PART = 500


def corrupted(name: str, policy: FencePolicy, seeds: range) -> list[Played]:
    """The simulations whose log the shadow does not take for that of a correct system."""
    many = (play(SCENARIOS[name], seed, policy=policy) for seed in seeds)
    return [one for one in many if one.effects]


@pytest.mark.parametrize("name", SCENARIOS)
def test_with_every_fence_no_run_diverges(name: str) -> None:
    for seed in range(500, 503):
        simulation = played(name, seed)
        assert (simulation.divergences, simulation.effects) == (0, []), seed
        assert not any(missed for _, missed in unread(simulation))
        for run_id in simulation.runs:
            assert simulation.log(run_id)[-1].event_type.startswith(("run_", "step_"))


@pytest.mark.parametrize(("name", "seeds"), [("door", 40), ("race", 20), ("many-runs", 15)])
@pytest.mark.parametrize("policy", [FencePolicy.OFF, FencePolicy.WAIT_COMPLETED_ONLY])
def test_with_fewer_fences_some_do(name: str, seeds: int, policy: FencePolicy) -> None:
    wrong = corrupted(name, policy, range(seeds))
    assert any(one.divergences for one in wrong)
    # Nobody is wrong about a log of which it has read everything.
    assert all(any(missed for _, missed in unread(one)) for one in wrong)


def test_of_every_run_that_its_workers_give_up_the_shadow_knows_why() -> None:
    given_up = 0
    for seed in range(60):
        simulation = play(SCENARIOS["door"], seed, policy=FencePolicy.OFF)
        (run_id,) = simulation.runs
        if CORRUPTED in str(simulation.log(run_id)[-1].data):
            given_up += 1
            assert any(effect.what.startswith("a replay has") for effect in simulation.effects)
            assert simulation.divergences > MAX_DIVERGENCES
    assert given_up > 2


def test_a_fence_on_wait_completed_alone_leaves_fewer_corrupted_than_none() -> None:
    some = len(corrupted("door", FencePolicy.WAIT_COMPLETED_ONLY, range(60)))
    assert 0 < some < len(corrupted("door", FencePolicy.OFF, range(60)))


def test_a_fence_that_is_never_put_to_the_test_proves_nothing() -> None:
    met = {name: sum(bool(refusals(played(name, seed))) for seed in range(8)) for name in SMALL}
    assert all(count > 0 for name, count in met.items() if name not in ("retries", "joined")), met


@pytest.mark.proof
def test_a_hundred_thousand_runs_with_every_fence_and_none_diverges(capsys: pytest.CaptureFixture[str]) -> None:
    runs = moves = conflicts = 0
    starts = range(1_000_000, 1_000_000 + RUNS, PART)
    # Spawned: what a test has started in this process is not there twice.
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for made in pool.map(share, starts, [start + PART for start in starts]):
            runs, moves, conflicts = runs + made[0], moves + made[1], conflicts + made[2]
            assert made[3] == []
    with capsys.disabled():
        print(f"\n{runs:,} runs, {moves:,} moves, {conflicts:,} fence conflicts: no divergence, no effect")
    assert runs == RUNS
    assert conflicts > RUNS / 2

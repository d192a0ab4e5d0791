"""The log of a simulation for people: what each writer knew when it wrote."""

from __future__ import annotations

from simulations import played, refusals, unread

from auditor.runtime import FencePolicy
from auditor.simulate.faults import FAULTS
from auditor.simulate.play import play
from auditor.simulate.scenarios import SCENARIOS
from auditor.simulate.trace import trace


def test_a_writer_that_was_refused_knows_what_the_refusal_brought() -> None:
    conflicts = 0
    for seed in range(10):
        simulation = played("race", seed)
        conflicts += len(refusals(simulation))
        (run_id,) = simulation.runs
        assert not any(missed for _, missed in unread(simulation))
        assert not any(", not #" in line for line in trace(simulation, run_id))
    assert conflicts > 10


def test_what_is_sent_again_was_decided_on_what_was_known_the_first_time() -> None:
    fault = FAULTS["retry-resends-stale-decision"]
    sent_again = 0
    for seed in range(10):
        simulation = play(SCENARIOS["race"], seed, fault)
        missed = {event.event_id: number for event, number in unread(simulation)}
        for effect in simulation.effects:
            if effect.what.startswith("a decision that was refused is sent again"):
                sent_again += 1
                assert missed[str(effect.event_id)] > 0
    assert sent_again > 0


def test_the_trace_ends_where_it_goes_wrong_and_names_what_was_not_read() -> None:
    wrong = [one for one in (played("door", seed, FencePolicy.OFF) for seed in range(40)) if one.effects]
    for simulation in wrong:
        (run_id,) = simulation.runs
        lines = list(trace(simulation, run_id))
        first = min(effect.position for effect in simulation.effects if effect.position is not None)
        assert lines[-1].lstrip().startswith("^ a replay has ")
        assert lines[-2].lstrip().startswith(f"#{first} ")
        assert any("hook_received" in line.partition(", not #")[2] for line in lines)
    assert wrong

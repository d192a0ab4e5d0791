"""From a seed that goes wrong to a few events that go wrong the same way, and the script that makes them."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulations import digest

from auditor.errors import UsageError
from auditor.runtime import FencePolicy
from auditor.simulate.scenarios import SCENARIOS
from auditor.simulate.schedule import Move
from auditor.simulate.shrink import LONGEST_SCRIPT, Setting, Shrunk, first_effect, parsed, said, shrink
from auditor.simulate.trace import trace

SEEDS = range(300)


@cache
def found(name: str) -> Shrunk:
    """The first seed of a scenario that goes wrong without fences, made small."""
    for seed in SEEDS:
        shrunk = shrink(Setting(SCENARIOS[name], seed, policy=FencePolicy.OFF))
        if shrunk is not None:
            return shrunk
    raise AssertionError(f"nothing goes wrong in {len(SEEDS)} seeds")


# What is found --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["door", "race"])
def test_the_bug_that_fences_cure_is_shown_in_a_dozen_events(name: str) -> None:
    shrunk = found(name)
    (run_id,) = shrunk.played.runs
    lines = list(trace(shrunk.played, run_id))
    events = [line for line in lines if line.lstrip().startswith("#")]
    assert 0 < len(events) <= 12
    assert lines[-1].lstrip().startswith("^ a replay")
    assert first_effect(shrunk.played) == len(events)


@pytest.mark.parametrize("name", ["door", "race"])
def test_its_script_plays_the_same_failure_again(name: str) -> None:
    shrunk = found(name)
    again = shrunk.setting.play(parsed(said(shrunk.script)))
    assert again.effects == shrunk.played.effects
    assert digest(again) == digest(shrunk.played)


def test_it_is_no_larger_than_what_it_was_made_from() -> None:
    shrunk = found("race")
    whole = Setting(SCENARIOS["race"], shrunk.setting.seed, policy=FencePolicy.OFF).play()
    assert shrunk.setting.size == 1
    assert len(shrunk.script) < len(whole.moves) / 2
    assert shrunk.tried <= 600 + 1


def test_it_goes_wrong_no_later_in_the_log() -> None:
    for seed in range(12):
        setting = Setting(SCENARIOS["race"], seed, policy=FencePolicy.OFF)
        shrunk = shrink(setting, longest=120)
        if shrunk is not None:
            assert first_effect(shrunk.played) <= first_effect(shrunk.setting.play())


def test_no_move_of_its_script_can_be_spared() -> None:
    shrunk = found("door")
    for place in range(len(shrunk.script)):
        fewer = shrunk.setting.play(shrunk.script[:place] + shrunk.script[place + 1 :])
        is_as_wrong = bool(fewer.effects) and first_effect(fewer) <= first_effect(shrunk.played)
        assert not (is_as_wrong and fewer.effects[0].event_type == shrunk.played.effects[0].event_type), place


def test_the_same_script_under_fences_goes_well() -> None:
    for name in ("door", "race"):
        shrunk = found(name)
        setting = Setting(shrunk.setting.scenario, shrunk.setting.seed, size=shrunk.setting.size)
        assert setting.play(shrunk.script).effects == []


def test_what_does_not_go_wrong_is_not_made_small() -> None:
    for seed in range(20):
        assert shrink(Setting(SCENARIOS["door"], seed, policy=FencePolicy.FULL)) is None


# Scripts as text ------------------------------------------------------------------------------------------------

MOVES = st.lists(
    st.builds(
        Move,
        st.sampled_from(["worker-0", "worker-1", "signals-0", "start-0", "cancel-12"]),
        st.integers(0, 40) | st.just(0),
    ),
    max_size=40,
)


@given(MOVES)
def test_a_script_that_was_said_is_understood(moves: list[Move]) -> None:
    assert parsed(said(moves)) == moves


@given(st.text(alphabet="ab-0+* 19", max_size=30))
def test_whatever_somebody_types_is_a_script_or_misuse(text: str) -> None:
    try:
        moves = parsed(text)
    except UsageError:
        return
    assert parsed(said(moves)) == moves


def test_a_script_says_as_little_as_it_can() -> None:
    moves = [Move("worker-0", 3), Move("worker-0", 0), Move("signals-0", 0), Move("worker-0", 0)]
    assert said(moves) == "worker-0+3*2 signals-0 worker-0"


@pytest.mark.parametrize(
    "text",
    ["*3", "+3", "worker-0*", "worker-0+", "worker-0*0", "worker-0*three", "worker-0+3+4", "worker-0*2+3", "w*²"],
)
def test_what_is_no_script_is_misuse(text: str) -> None:
    with pytest.raises(UsageError, match="is no part of a script"):
        parsed(text)


@pytest.mark.parametrize("text", [f"w*{LONGEST_SCRIPT + 1}", "w*9999 v*9999", "w*999999999"])
def test_a_script_without_end_is_misuse(text: str) -> None:
    with pytest.raises(UsageError, match=f"{LONGEST_SCRIPT} moves at most"):
        parsed(text)


def test_a_long_script_is_one() -> None:
    assert len(parsed(f"w*{LONGEST_SCRIPT}")) == LONGEST_SCRIPT

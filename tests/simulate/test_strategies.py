"""Strategies: by chance, by priorities, by holding one writer, and by a script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from simulations import digest, played, refusals, unread

from auditor.model.rows import Event, Run
from auditor.runtime import FencePolicy
from auditor.runtime.tick import Store
from auditor.simulate.clients import Client
from auditor.simulate.draws import Draws
from auditor.simulate.faults.base import Fault
from auditor.simulate.play import MakeStrategy, Played, play
from auditor.simulate.scenarios import SCENARIOS, Outside, Signal
from auditor.simulate.schedule import Actor, Move, Schedule, Strategy, Turn
from auditor.simulate.strategies import Hold, Priorities, Script, Uniform
from auditor.world import Appended, Fence, NewEvent, World
from auditor.world.decision import Accepted

SEEDS = range(25)


async def turns(number: int) -> None:
    for _ in range(number):
        await Turn()


def order(strategy: Strategy, **lives: int) -> list[str]:
    """Who goes on, of those who have so many turns to take."""
    schedule = Schedule(strategy, 0)
    for name, number in lives.items():
        schedule.add(name, turns(number))
    schedule.play()
    return [move.actor for move in schedule.moves]


def longest_wait(moves: Sequence[str], actor: str) -> int:
    """For how many moves in a row others went on."""
    longest = wait = 0
    for name in moves:
        wait = 0 if name == actor else wait + 1
        longest = max(longest, wait)
    return longest


# Chance ---------------------------------------------------------------------------------------------------------


def test_uniform_lets_everybody_go_on_equally_often() -> None:
    moves = order(Uniform(Draws("a test")), one=3_000, two=3_000, three=3_000)
    counts = Counter(moves[:6_000])
    assert all(1_850 < count < 2_150 for count in counts.values())
    assert max(longest_wait(moves[:6_000], name) for name in counts) < 40


def test_uniform_lets_a_few_ms_pass_now_and_then() -> None:
    strategy = Uniform(Draws("a test"))
    passed = Counter(strategy.passes() for _ in range(3_200))
    assert set(passed) == {0, 1, 2, 3}
    assert 2_450 < passed[0] < 2_750


# Priorities -----------------------------------------------------------------------------------------------------


def test_priorities_hold_somebody_for_as_long_as_the_others_have_something_to_do() -> None:
    for seed in SEEDS:
        moves = order(Priorities(Draws(seed)), one=60, two=60, three=60)
        assert max(longest_wait(moves, name) for name in ("one", "two", "three")) >= 60


def test_priorities_change_at_a_few_moments_only() -> None:
    for seed in SEEDS:
        moves = order(Priorities(Draws(seed)), one=60, two=60, three=60)
        changes = sum(before != after for before, after in pairwise(moves))
        # The changes of the seed, and one whenever somebody has come to an end.
        assert changes <= Priorities.CHANGES + 2


def far_behind(strategy: MakeStrategy) -> int:
    """In how many simulations a decision is written by somebody who has missed five events of others or more."""
    found = 0
    for seed in range(60):
        simulation = play(
            SCENARIOS["fan-out"], seed, policy=FencePolicy.OFF, size=3, strategy=strategy, shadowed=False
        )
        found += any(missed >= 5 for _, missed in unread(simulation))
    return found


def test_a_writer_that_priorities_hold_falls_further_behind_than_chance_lets_it() -> None:
    assert far_behind(Priorities) > far_behind(Uniform)


# Hold -----------------------------------------------------------------------------------------------------------


class AtTheDoor(Fault):
    """No fault: somebody who knocks at the very moment at which a worker is about to say that nobody came."""

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self.leaving = False
        self.log: list[Event] = []

    def client(self, world: World) -> Store:
        return Leaving(world, self)

    def stored(self, accepted: Accepted, before: Run | None) -> Accepted:
        self.log += accepted.events
        return super().stored(accepted, before)

    async def resume(self, world: World, token: str, payload: Any, resume_id: str) -> Appended:
        while not self.leaving:
            await Turn()
        return await super().resume(world, token, payload, resume_id)

    def somebody_knocked(self) -> bool:
        return any(event.event_type == "hook_received" for event in self.log)


class Leaving(Client):
    """Tells who stands at the door that the one behind it is about to leave."""

    def __init__(self, world: World, door: AtTheDoor) -> None:
        super().__init__(world)
        self.door = door

    async def append(self, run_id: str, events: Sequence[NewEvent], fence: Fence | None, **more: Any) -> Appended:
        self.door.leaving |= events[0].event_type == "wait_completed"
        return await super().append(run_id, events, fence, **more)


ONE_KNOCK = replace(
    SCENARIOS["door"],
    outside=lambda _draws, token, _size: Outside((Signal(1, token, "knock"),)),
    latency_ms=0,
    workers=1,
)
APPENDS = {FencePolicy.FULL: 3, FencePolicy.OFF: 4}
"""Which append of the worker says that nobody came: without fences each creation is an append of its own."""


def held(seed: int, policy: FencePolicy) -> Played:
    """Hold the worker in front of that append, let the one who knocks pass."""
    door = AtTheDoor(Draws(seed))

    def strategy(draws: Draws) -> Strategy:
        return Hold(draws, actor="worker-0", what="append", times=APPENDS[policy], until=door.somebody_knocked)

    return play(ONE_KNOCK, seed, lambda _draws: door, policy=policy, strategy=strategy)


def places(simulation: Played) -> list[str]:
    (run_id,) = simulation.runs
    return [event.event_type for event in simulation.log(run_id)]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_writer_held_before_its_append_corrupts_the_log_for_certain_without_a_fence(seed: int) -> None:
    simulation = held(seed, FencePolicy.OFF)
    log = places(simulation)
    assert log.index("hook_received") == log.index("wait_completed") - 1
    assert simulation.divergences > 0
    first = next(effect for effect in simulation.effects if effect.event_id is not None)
    # The branch of the one who thinks that nobody came: a second sleep.
    assert first.event_type == "wait_created"
    assert not refusals(simulation)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_writer_meets_a_conflict_and_decides_again_with_one(seed: int) -> None:
    simulation = held(seed, FencePolicy.FULL)
    assert [refusal.event_type for refusal in refusals(simulation)] == ["wait_completed"]
    assert simulation.divergences == 0
    assert simulation.effects == []
    assert places(simulation)[-1] == "run_completed"


def test_who_is_held_goes_on_when_nobody_else_can() -> None:
    strategy = Hold(Draws("a test"), actor="held", when="", what="", until=lambda: False)
    moves = order(strategy, held=5, other=30)
    assert moves[:31] == ["other"] * 31
    assert moves[31:] == ["held"] * 6


def test_who_is_held_may_go_on_as_soon_as_it_is_true() -> None:
    others: list[int] = []

    async def counts() -> None:
        for number in range(40):
            others.append(number)
            await Turn()

    strategy = Hold(Draws("a test"), actor="held", when="", what="", until=lambda: len(others) >= 10)
    schedule = Schedule(strategy, 0)
    schedule.add("held", turns(5))
    schedule.add("other", counts())
    schedule.play()
    first = [move.actor for move in schedule.moves].index("held")
    assert 10 <= first < 20


def test_nobody_is_held_who_does_not_come_to_the_point() -> None:
    elsewhere = Hold(Draws("a test"), actor="held", what="append", until=lambda: False)
    assert order(elsewhere, held=20, other=20) == order(Uniform(Draws("a test")), held=20, other=20)


# Scripts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["door", "race", "timers", "fan-out", "token-handover", "cancelled"])
@pytest.mark.parametrize("policy", [FencePolicy.FULL, FencePolicy.OFF])
@pytest.mark.parametrize("seed", [4, 5])
def test_the_moves_of_a_simulation_played_again_give_the_very_same_bytes(
    name: str, policy: FencePolicy, seed: int
) -> None:
    first = played(name, seed, policy)
    again = play(first.scenario, seed, policy=policy, strategy=lambda _: Script(first.moves))
    assert digest(again) == digest(first)


def test_moves_that_cannot_be_made_are_left_out_with_the_time_before_them() -> None:
    first = played("door", 4)
    padded = [move for made in first.moves for move in (Move("nobody", 9), made)]
    again = play(first.scenario, 4, strategy=lambda _: Script(padded))
    assert digest(again) == digest(first)


def test_behind_its_moves_a_script_lets_the_last_one_go_on_for_as_long_as_it_can() -> None:
    moves = [Move("two", 0), Move("one", 0), Move("two", 0)]
    assert order(Script(moves), one=3, two=4) == ["two", "one", *["two"] * 4, *["one"] * 3]


def test_a_script_says_how_many_ms_pass() -> None:
    script = Script([Move("one", 5), Move("nobody", 9), Move("one", 0)])
    actor = Actor("one", turns(0))
    passed = []
    for _ in range(3):
        assert script.choose([actor]) is actor
        passed.append(script.passes())
    actor.life.close()
    assert passed == [5, 0, 0]

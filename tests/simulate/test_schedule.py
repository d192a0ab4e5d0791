"""The schedule: one seed is one sequence of bytes, and time is what the schedule says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import simulations
from simulations import played

from auditor.runtime import FencePolicy
from auditor.simulate.draws import Draws
from auditor.simulate.faults import FAULTS
from auditor.simulate.faults.base import Fault
from auditor.simulate.play import APART_MS, START_MS, play
from auditor.simulate.scenarios import SCENARIOS
from auditor.simulate.schedule import MAX_MOVES, EndlessSimulation, Move, PowerCut, Schedule, Turn
from auditor.simulate.shadow import Shadow
from auditor.simulate.strategies import Script, Uniform
from auditor.simulate.world import SimulatedWorld
from auditor.world import Delivery, Message, MessageKind

GOLDEN = Path(__file__).parent / "golden" / "digests.json"
START = 1_000

Life = Coroutine[Any, Any, None]


# One seed, the same bytes ---------------------------------------------------------------------------------------


@cache
def elsewhere(hash_seed: str) -> dict[str, dict[str, str]]:
    """The digests as a process of its own comes to them."""
    done = subprocess.run(
        [sys.executable, simulations.__file__],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    made: dict[str, dict[str, str]] = json.loads(done.stdout)
    return made


@pytest.mark.parametrize("policy", ["full", "off"])
def test_a_seed_gives_the_bytes_that_it_has_always_given(policy: str) -> None:
    """Golden digests. After a change that is meant to change bytes: `AUDITOR_ACCEPT=1 make check`."""
    produced = elsewhere("0")[policy]
    golden = json.loads(GOLDEN.read_text("utf-8")) if GOLDEN.exists() else {}
    if "AUDITOR_ACCEPT" in os.environ:
        golden[policy] = produced
        GOLDEN.write_text(json.dumps(golden, indent=1) + "\n", "utf-8")
    assert produced == golden[policy]


def test_a_seed_gives_the_same_bytes_whatever_the_order_of_a_set() -> None:
    here, there = elsewhere("0"), elsewhere("4242")
    assert here == there
    assert here["full"].keys() == SCENARIOS.keys()
    assert here["faults"].keys() == FAULTS.keys()


def test_a_simulation_is_the_same_the_second_time_in_one_process() -> None:
    assert simulations.digest(played("many-runs", 3)) == simulations.digest(played("many-runs", 3))


def test_a_digest_tells_two_seeds_and_two_policies_apart() -> None:
    digests = {simulations.digest(played("door", seed, policy)) for seed in range(2) for policy in FencePolicy}
    assert len(digests) == 6


def test_other_seeds_give_other_interleavings() -> None:
    many = [play(SCENARIOS["door"], seed, shadowed=False) for seed in range(60)]
    logs = {
        tuple((event.event_type, event.writer_id) for event in one.log(run_id))
        for one in many
        for run_id in one.runs
    }
    assert len({tuple(one.moves) for one in many}) == 60
    assert len(logs) > 40


# Time -----------------------------------------------------------------------------------------------------------


def scheduled(moves: list[Move] | None = None, **lives: Life) -> Schedule:
    """A schedule on which nothing takes time but what these moves and these lives ask for."""
    schedule = Schedule(Script(moves or []), START)
    for name, life in lives.items():
        schedule.add(name, life)
    return schedule


def test_what_takes_no_time_takes_no_time_however_often_it_is_done() -> None:
    async def busy() -> None:
        for _ in range(500):
            await Turn()

    schedule = scheduled(one=busy(), other=busy())
    schedule.play()
    assert (schedule.ms, len(schedule.moves)) == (START, 1_002)


def test_time_passes_when_a_move_says_so() -> None:
    async def twice() -> None:
        await Turn()

    schedule = scheduled([Move("one", 7), Move("one", 0)], one=twice())
    schedule.play()
    assert schedule.ms == START + 7
    assert schedule.moves == [Move("one", 7), Move("one", 0)]


def test_when_everybody_sleeps_it_is_at_once_the_time_of_the_first_who_wakes() -> None:
    seen = []

    async def sleeper(name: str, ms: int) -> None:
        await Turn(ms)
        seen.append((name, schedule.now() - START))
        await Turn(ms)
        seen.append((name, schedule.now() - START))

    schedule = scheduled(long=sleeper("long", 1_000_000), short=sleeper("short", 30))
    schedule.play()
    assert seen == [("short", 30), ("short", 60), ("long", 1_000_000), ("long", 2_000_000)]


def test_nobody_is_woken_before_its_time_while_others_go_on() -> None:
    woke = []

    async def sleeper() -> None:
        await Turn(5)
        woke.append(schedule.now())

    async def busy() -> None:
        while schedule.now() < START + 20:
            await Turn()

    schedule = Schedule(Uniform(Draws("a test")), START)
    schedule.add("sleeper", sleeper())
    schedule.add("busy", busy())
    schedule.play()
    assert woke
    assert woke[0] >= START + 5


@pytest.mark.parametrize("name", SCENARIOS)
def test_all_that_bears_a_time_bears_one_of_the_schedule(name: str) -> None:
    simulation = played(name, 7)
    times = [event.created_at for run_id in simulation.runs for event in simulation.log(run_id)]
    assert min(times) >= START_MS + 7 * APART_MS
    assert max(times) <= simulation.ended_ms


# Rest -----------------------------------------------------------------------------------------------------------


def with_queue(live: Callable[[SimulatedWorld, Schedule], dict[str, Life]]) -> Schedule:
    """A schedule with a world of its own; `live` says who lives there."""
    schedule = Schedule(Script([]), START)
    world = SimulatedWorld(schedule, Draws("a world"), Fault(Draws("a fault")), Shadow())
    for name, life in live(world, schedule).items():
        schedule.add(name, life)
    return schedule


def test_who_idles_wakes_when_a_message_is_due_and_not_before() -> None:
    received: list[tuple[int, str]] = []

    async def sends(world: SimulatedWorld) -> None:
        await world.queue.send(Message(MessageKind.RUN, "wrun_1", "later", START + 50))
        await world.queue.send(Message(MessageKind.RUN, "wrun_1", "soon", START + 20))

    async def receives(world: SimulatedWorld, schedule: Schedule) -> None:
        while True:
            deliveries: list[Delivery] = await world.queue.receive(lease_ms=10_000)
            for delivery in deliveries:
                received.append((schedule.now() - START, delivery.key))
                await world.queue.ack(delivery)
            if not deliveries:
                await Turn(idle=True)

    schedule = with_queue(lambda world, schedule: {"sends": sends(world), "receives": receives(world, schedule)})
    schedule.play()
    assert received == [(20, "soon"), (50, "later")]


def test_a_message_whose_lease_has_run_out_wakes_who_idles() -> None:
    leased = []

    async def takes(world: SimulatedWorld) -> None:
        await world.queue.send(Message(MessageKind.RUN, "wrun_1", "a message", START))
        await world.queue.receive(lease_ms=700)

    async def takes_over(world: SimulatedWorld, schedule: Schedule) -> None:
        while not (deliveries := await world.queue.receive(lease_ms=700)):
            await Turn(idle=True)
        leased.append(schedule.now() - START)
        await world.queue.ack(deliveries[0])

    with_queue(lambda world, schedule: {"dies": takes(world), "lives": takes_over(world, schedule)}).play()
    assert leased == [700]


def test_a_simulation_rests_when_all_idle_and_nothing_is_due() -> None:
    ended = []

    async def idles() -> None:
        try:
            await Turn(idle=True)
        finally:
            ended.append("closed")

    schedule = scheduled(one=idles(), other=idles())
    schedule.play()
    assert len(schedule.moves) == 2
    assert ended == ["closed", "closed"]


def test_a_simulation_that_never_rests_is_endless() -> None:
    ended = []

    async def restless() -> None:
        try:
            while True:
                await Turn()
        finally:
            ended.append("closed")

    schedule = scheduled(restless=restless())
    with pytest.raises(EndlessSimulation, match=str(MAX_MOVES)):
        schedule.play()
    assert len(schedule.moves) == MAX_MOVES
    assert ended == ["closed"]


def test_a_power_cut_stops_everybody_where_they_stand() -> None:
    done = []

    async def works() -> None:
        for number in range(100):
            done.append(number)
            await Turn()

    async def cuts() -> None:
        await Turn()
        raise PowerCut

    turns = [Move("works", 0), Move("cuts", 0)] * 100
    schedule = scheduled(turns, works=works(), cuts=cuts())
    schedule.play()
    assert done == [0, 1]


def test_what_an_actor_raises_is_not_lost() -> None:
    async def fails() -> None:
        await Turn()
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        scheduled(fails=fails()).play()

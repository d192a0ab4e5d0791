"""One simulation: a scenario, a seed, a fault and a schedule, played to its rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from auditor.model.events import EventType
from auditor.model.ids import ulid
from auditor.model.rows import Event
from auditor.runtime.metrics import Metrics
from auditor.runtime.policy import FencePolicy, Fencing
from auditor.runtime.tick import Ticker
from auditor.simulate.crew import Caller, Worker
from auditor.simulate.draws import Draws
from auditor.simulate.faults.base import Fault
from auditor.simulate.scenarios import Scenario
from auditor.simulate.schedule import Move, Schedule, Strategy
from auditor.simulate.shadow import Effect, Shadow
from auditor.simulate.strategies import Priorities, Uniform
from auditor.simulate.world import SimulatedWorld
from auditor.world import NewEvent, Writer, tail
from auditor.world.protocol import StoredMessage

START_MS = 1_790_000_000_000
"""When the simulation of seed 0 begins, in ms since 1970."""

APART_MS = 20
"""Between the beginnings of two seeds: so little that no run of a log is overdue when the last one ends."""

MakeFault = Callable[[Draws], Fault]
MakeStrategy = Callable[[Draws], Strategy]


@dataclass(slots=True)
class Played:
    """What came of one simulation. `acknowledged` are the signals that the store has said it holds; `divergences`
    is the most that a run had in a row."""

    scenario: Scenario
    seed: int
    fault: Fault
    world: SimulatedWorld
    runs: tuple[str, ...]
    moves: list[Move]
    effects: list[Effect]
    acknowledged: list[Event]
    divergences: int
    ended_ms: int

    def log(self, run_id: str) -> list[Event]:
        """The events of a run, in the order in which they were committed."""
        return list(self.world.log(run_id))


def by_seed(draws: Draws) -> Strategy:
    """The strategy that a seed chooses: as often uniform as by priorities."""
    return Uniform(draws) if draws.one_in(2) else Priorities(draws)


def play(
    scenario: Scenario,
    seed: int,
    make_fault: MakeFault = Fault,
    *,
    policy: FencePolicy | None = None,
    size: int | None = None,
    workers: int | None = None,
    strategy: MakeStrategy = by_seed,
    shadowed: bool = True,
) -> Played:
    """Play one simulation. The same arguments give the same bytes, everywhere.

    `policy` is what the runtime fences in place of what the fault says. `size` and `workers` are those of the
    scenario by default. Without `shadowed` nobody looks for what a correct system would have done. Raises
    EndlessSimulation.
    """
    size = scenario.size if size is None else size
    fault = make_fault(Draws(seed, "fault"))
    shadow = Shadow()
    schedule = Schedule(strategy(Draws(seed, "schedule")), START_MS + seed * APART_MS)
    world = SimulatedWorld(schedule, Draws(seed, scenario.name, "world"), fault, shadow, scenario.latency_ms)
    runs = tuple(
        f"wrun_{ulid(schedule.ms << 80 | Draws(seed, scenario.name, fault.id(), number).bits(79))}"
        for number in range(scenario.runs)
    )
    crew = [
        _worker(f"worker-{number}", schedule, world, scenario, fault, policy or fault.fencing(), seed)
        for number in range(scenario.workers if workers is None else workers)
    ]
    callers = [Caller(world, fault, run_id) for run_id in runs]
    for number, (run_id, caller) in enumerate(zip(runs, callers, strict=True)):
        token = f"token/{scenario.name}/{fault.id()}/{seed}" if scenario.shares_token else f"token/{run_id}"
        schedule.add(f"start-{number}", _start(world, scenario, run_id, [token, size], fault.core_version))
        outside = scenario.outside(Draws(seed, "outside", number), token, size)
        for part, life in caller.parts(outside).items():
            schedule.add(f"{part}-{number}", life)
    for number, worker in enumerate(crew):
        schedule.add(f"worker-{number}", worker.live())
    schedule.play()
    if shadowed:
        _look(shadow, world, scenario, runs, callers, policy or fault.policy, schedule.ms)
    return Played(
        scenario,
        seed,
        fault,
        world,
        runs,
        schedule.moves,
        shadow.effects,
        [event for caller in callers for event in caller.acknowledged],
        max((worker.divergences for worker in crew), default=0),
        schedule.ms,
    )


def _worker(
    name: str,
    schedule: Schedule,
    world: SimulatedWorld,
    scenario: Scenario,
    fault: Fault,
    fencing: Fencing,
    seed: int,
) -> Worker:
    draws = Draws(seed, name)
    client = fault.client(world)
    ticker = Ticker(
        client,
        schedule.pause,
        name,
        fencing,
        metrics=_metrics(),
        new_id=lambda: f"{draws.bits(48):012x}",
    )
    executor = fault.executor(world, schedule.pause, name, _metrics())
    return Worker(world, client, scenario.workflow, fault, ticker, executor, draws)


@cache
def _metrics() -> Metrics:
    # Nobody scrapes a simulation, and counters of its own would take longer than a small run.
    return Metrics()


async def _start(
    world: SimulatedWorld, scenario: Scenario, run_id: str, taken: list[object], core_version: str | None
) -> None:
    data: dict[str, object] = {"workflowName": scenario.workflow.name, "input": {"args": taken, "kwargs": {}}}
    if core_version is not None:
        data["executionContext"] = {"workflowCoreVersion": core_version}
    created = NewEvent(EventType.RUN_CREATED, data=data)
    await world.append(run_id, [created], tail(None), writer=Writer("somebody", site="start"))


def _look(
    shadow: Shadow,
    world: SimulatedWorld,
    scenario: Scenario,
    runs: Sequence[str],
    callers: Sequence[Caller],
    policy: FencePolicy,
    now: int,
) -> None:
    """Let the shadow look at what is left when everybody rests."""
    left: dict[str, list[StoredMessage]] = {run_id: [] for run_id in runs}
    for message in world.queue.stored():
        left[message.run_id].append(message)
    acknowledged = [event for caller in callers for event in caller.acknowledged]
    for run_id in runs:
        log = world.log(run_id)
        shadow.read_log(log, scenario.workflow, policy)
        shadow.look_for_stranded(log, scenario.workflow, now, [message.key for message in left[run_id]])
        shadow.look_for_signals(run_id, log, [event for event in acknowledged if event.run_id == run_id])
    for caller in callers:
        for run_id, hook in caller.given_up:
            shadow.effects.append(Effect(run_id, "a signal was refused and given up", correlation_id=hook))

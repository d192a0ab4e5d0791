"""What these tests ask of simulations, and the digests by which two of them are found to be the same bytes.

As a program it prints the digests of this Python and this hash seed.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from auditor.model.rows import Event, Refusal
from auditor.runtime import FencePolicy
from auditor.simulate import records
from auditor.simulate.faults import FAULTS
from auditor.simulate.faults.base import Fault
from auditor.simulate.logs import Log
from auditor.simulate.play import Played, play
from auditor.simulate.scenarios import SCENARIOS

SHORT = 8
"""The size at which `long` is long enough for most tests."""

SMALL = ("door", "noted-door", "timers", "parallel", "joined", "race", "nested-races", "retries")
"""Scenarios that are played by the ten thousand."""


def played(name: str, seed: int, policy: FencePolicy = FencePolicy.FULL) -> Played:
    """A simulation of a scenario at its own size, or at one that a test can wait for."""
    return play(SCENARIOS[name], seed, policy=policy, size=SHORT if name == "long" else None)


def said(simulation: Played) -> Iterator[str]:
    """All that came of a simulation, a line each: the exported records, the moves, and what the shadow saw."""
    for run_id in simulation.runs:
        yield from (json.dumps(record) for record in records.records_of(simulation.world, run_id))
    yield from (f"{move.actor}+{move.ms}" for move in simulation.moves)
    yield from (json.dumps(asdict(effect)) for effect in simulation.effects)
    yield f"{simulation.ended_ms} {simulation.divergences}"


def digest(*simulations: Played) -> str:
    """A few characters that differ as soon as one byte does."""
    return sha256("\n".join(line for one in simulations for line in said(one)).encode()).hexdigest()[:16]


def written(fault: type[Fault], seed: int) -> str:
    """The digest of the files that are written for a simulation with a fault."""
    log = Log(fault)
    log.add(play(SCENARIOS[fault.scenarios[0]], seed, fault))
    with tempfile.TemporaryDirectory() as folder:
        log.write(Path(folder))
        whole = b"".join(path.read_bytes() for path in sorted(Path(folder).iterdir()))
    return sha256(whole).hexdigest()[:16]


def refusals(simulation: Played, code: str = "FENCE_CONFLICT") -> list[Refusal]:
    """The refusals of a simulation that have this code."""
    rows = (Refusal(*row[1:]) for run_id in simulation.runs for row in simulation.world.rows("refusal", run_id))
    return [row for row in rows if row.code == code]


def unread(simulation: Played) -> Iterator[tuple[Event, int]]:
    """Each event of a tick, and how many events of others stand before it that its writer had not read."""
    for run_id in simulation.runs:
        log = simulation.log(run_id)
        for event in log:
            if event.tick_id is not None:
                between = log[simulation.world.knew[event.event_id] : event.position - 1]
                yield event, sum(one.tick_id != event.tick_id for one in between)


def share(first: int, last: int) -> tuple[int, int, int, list[str]]:
    """Seeds of the small scenarios in turn: how many runs, moves and conflicts, and a line for what went wrong."""
    logging.disable(logging.CRITICAL)
    runs = moves = conflicts = 0
    wrong = []
    for seed in range(first, last):
        simulation = play(SCENARIOS[SMALL[seed % len(SMALL)]], seed, size=None if seed % 2 else 1)
        runs += len(simulation.runs)
        moves += len(simulation.moves)
        conflicts += len(refusals(simulation))
        if simulation.effects or simulation.divergences:
            wrong.append(f"{simulation.scenario.name} seed {seed}: {simulation.effects}")
    return runs, moves, conflicts, wrong


def digests() -> dict[str, dict[str, str]]:
    """The digests of every scenario under two policies, and of what is written for every fault."""
    made = {
        policy.value: {name: digest(*(played(name, seed, policy) for seed in range(seeds))) for name in SCENARIOS}
        for policy, seeds in ((FencePolicy.FULL, 2), (FencePolicy.OFF, 1))
    }
    return {**made, "faults": {name: written(fault, 1) for name, fault in FAULTS.items()}}


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    json.dump(digests(), sys.stdout)

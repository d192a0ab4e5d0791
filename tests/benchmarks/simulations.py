"""Measure the simulator: `python -m tests.benchmarks.simulations`, a part of `make bench`.

Every scenario is played alone (policy `full`, no shadow), then with the shadow, then under the policy `off`, by
turns and in this process; what counts is the fastest round of each, in seconds of this process. Runs and events a
second are those alone, the other two are ratios to it. Under another policy a seed gives another log, so that
ratio says what a simulation costs, not what a fence does.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from auditor.runtime.policy import FencePolicy
from auditor.simulate.play import Played, play
from auditor.simulate.scenarios import SCENARIOS, Scenario

from .ratios import by_turns

ENOUGH = 400
"""Events, about, that a round of one scenario has to come to."""


class Speed(NamedTuple):
    """How fast one scenario is played; `shadow` and `off` are multiples of the time that it takes alone."""

    scenario: str
    runs: float
    events: float
    shadow: float
    off: float


def measure(scenario: Scenario, rounds: int) -> Speed:
    """Play the same seeds in three ways, by turns."""
    alone = partial(play, scenario, policy=FencePolicy.FULL, shadowed=False)
    first = _events(alone(0))
    seeds = range(1, 2 + ENOUGH // first)
    events = sum(_events(alone(seed)) for seed in seeds)
    ways = [
        alone,
        partial(play, scenario, policy=FencePolicy.FULL),
        partial(play, scenario, policy=FencePolicy.OFF, shadowed=False),
    ]
    fastest, shadowed, off = map(min, by_turns([partial(_seconds, way, seeds) for way in ways], rounds))
    return Speed(
        scenario.name,
        len(seeds) * scenario.runs / fastest,
        events / fastest,
        shadowed / fastest,
        off / fastest,
    )


def _events(played: Played) -> int:
    return sum(len(played.log(run_id)) for run_id in played.runs)


def _seconds(way: Callable[[int], Played], seeds: range) -> float:
    """Seconds of this process: on a shared machine, those of the clock are mostly somebody else's."""
    started = time.process_time()
    for seed in seeds:
        way(seed)
    return time.process_time() - started


def main() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scenarios", help="only these, by comma")
    options = parser.parse_args()
    chosen = list(SCENARIOS) if options.scenarios is None else options.scenarios.split(",")
    if unknown := set(chosen) - SCENARIOS.keys():
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    # What goes wrong in a simulation is meant to.
    logging.disable(logging.CRITICAL)
    print(f"{'scenario':<16}{'runs/s':>8}{'events/s':>10}{'shadow':>9}{'off':>8}")
    for name in chosen:
        speed = measure(SCENARIOS[name], options.rounds)
        rates = f"{speed.runs:>8,.0f}{speed.events:>10,.0f}"
        print(f"{name:<16}{rates}{speed.shadow:>8.2f}x{speed.off:>7.2f}x", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Write a large log of the SDK with known anomalies: `python -m tests.benchmarks.generate --out FILE`.

A log is made of parts of 1,250 runs. The runs of a part are interleaved by time; the parts follow each other hour
by hour, so that the whole log is in the order of its event ids, as a store would export it. One seed gives the
same bytes, whatever the number of workers.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from . import anomalies, flows
from .anomalies import ANOMALIES
from .runs import Run, Source
from .truth import Truth

RUNS_A_PART = 1250
_EPOCH = 1_795_300_000_000
"""November 2026, in milliseconds since 1970."""
_HOUR = 3_600_000
_BETWEEN = 500
"""Milliseconds between two starts, on average: about 80 runs are open at a time."""
_STRAGGLER = 2_400_000
"""When the last run starts, in milliseconds from the beginning of its part."""
_SHARE = 200
"""One run in so many is anomalous, unless the caller says otherwise."""


class Plan(NamedTuple):
    """A log to be made: how many runs, and in how many of them each anomaly is injected."""

    seed: int
    runs: int
    each: int

    def anomaly_of(self, number: int) -> str | None:
        """The anomaly of a run, by its number from 0; they are spread evenly over the log."""
        wrong = self.each * len(ANOMALIES)
        nth = (number * wrong + self.runs - 1) // self.runs
        return list(ANOMALIES)[nth % len(ANOMALIES)] if nth * self.runs // wrong == number else None


class Part(NamedTuple):
    """Some runs, written: lines in the order of their event ids."""

    lines: bytes
    events: int
    wrong: list[tuple[str, str]]
    """Run id and anomaly."""


def plan(events: int, seed: int, each: int | None = None) -> Plan:
    """A log of about so many events; `each` is in how many runs every anomaly is injected."""
    # At most every other run, and never the last one.
    runs = max(events // flows.MEAN_EVENTS, 2 * len(ANOMALIES) * (each or 1))
    return Plan(seed, runs, each or max(1, runs // _SHARE // len(ANOMALIES)))


def write(plan: Plan, out: Path, *, workers: int = 1) -> Truth:
    """Write the log as JSON lines, and the truth beside it."""
    truth = Truth(plan.seed, runs=plan.runs)
    with out.open("wb") as file:
        for part in _parts(plan, workers):
            truth.bytes += file.write(part.lines)
            truth.events += part.events
            for run_id, kind in part.wrong:
                truth.anomalies[kind] = truth.anomalies.get(kind, 0) + 1
                truth.findings += [(run_id, rule, severity) for rule, severity in ANOMALIES[kind].findings]
    truth.save(out)
    return truth


def write_folder(plan: Plan, root: Path) -> int:
    """Write the log as the SDK's world-local does, one pretty-printed file an event; the number of files."""
    folder = root / "events"
    folder.mkdir(parents=True)
    files = 0
    for part in _parts(plan, 1):
        for line in part.lines.splitlines():
            event = json.loads(line)
            path = folder / f"{event['runId']}-{event['eventId']}.json"
            path.write_text(json.dumps(event, indent=2), "utf-8")
            files += 1
    return files


def _parts(plan: Plan, workers: int) -> Iterator[Part]:
    numbers = range(-(-plan.runs // RUNS_A_PART))
    if workers == 1:
        yield from map(partial(_part, plan), numbers)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(partial(_part, plan), numbers)


def _part(plan: Plan, number: int) -> Part:
    source = Source(f"{plan.seed}/{number}")
    first = number * RUNS_A_PART
    numbers = range(first, min(first + RUNS_A_PART, plan.runs))
    runs, wrong = [], []
    for nth in numbers:
        start = int(source.rng.random() * len(numbers) * _BETWEEN)
        # The last run starts much later: what is to be overdue at the end of the log is overdue by far.
        run = Run(source, _EPOCH + number * _HOUR + (_STRAGGLER if nth == plan.runs - 1 else start))
        kind = plan.anomaly_of(nth)
        if kind is None:
            flows.healthy(run)
        else:
            anomalies.write(run, ANOMALIES[kind])
            wrong.append((run.id, kind))
        runs.append(run.lines)
    lines = sorted(chain.from_iterable(runs))
    return Part("".join([line for _, line in lines]).encode(), len(lines), wrong)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000, help="about so many (default: 1,000,000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, metavar="PATH")
    parser.add_argument("--layout", choices=("ndjson", "world-local"), default="ndjson", help="a file or a folder")
    parser.add_argument(
        "--each", type=int, metavar="N", help="runs with each anomaly (default: 1 run in 200 in all)"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    wanted = plan(options.events, options.seed, options.each)
    if options.layout == "world-local":
        print(f"{write_folder(wanted, options.out):,} files")
        return
    truth = write(wanted, options.out, workers=options.workers)
    print(f"{truth.events:,} events of {truth.runs:,} runs, {truth.bytes / 1e6:,.0f} MB")
    print(f"anomalies: {truth.anomalies}")


if __name__ == "__main__":
    main()

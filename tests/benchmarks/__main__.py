"""Measure the auditor against its targets: `make bench`, or `python -m tests.benchmarks`.

Up to 5 million events the rows for a log of ordinary size are measured, beyond that the rows that only a large log
shows. Every row measures the auditor and its baseline by turns; compare ratios within one row only. Before
anything is measured, an audit of the log has to find exactly the anomalies that were injected.

Exit code 1: an audit, or a baseline, counted wrong. A missed target is printed, never an error: it may be the
machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from . import tables
from .kept_logs import Logs
from .processes import Broken, job
from .ratios import Row
from .rows import ingest, large, replay_and_rules, small_files, start_up, whole_check
from .truth import Truth

LARGE = 5_000_000
"""Events from which on a log is large."""
SMALL_FILES = 100_000


def rows(logs: Logs, log: Path, events: int, rounds: int) -> dict[str, Callable[[], list[Row]]]:
    """What is measured on a log of this size, by the name that `--rows` takes."""
    if events >= LARGE:
        return {
            "growth": lambda: [large.growth_of_rules(log, logs.ndjson(events // 10), rounds)],
            "memory": lambda: [large.peak_memory(log, rounds)],
            "spilling": lambda: [large.spilling(log, rounds)],
        }
    return {
        "ingest": lambda: [ingest.measure(log, rounds)],
        "files": lambda: [small_files.measure(logs.world_local(SMALL_FILES), rounds)],
        "replay": lambda: [replay_and_rules.measure(log, rounds)],
        "whole": lambda: whole_check.measure(log, rounds),
        "start": lambda: [start_up.measure(rounds)],
    }


def main() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000, help="size of the log (default: 1,000,000)")
    parser.add_argument("--rounds", type=int, help="rounds a row (default: 3, on a large log 1)")
    parser.add_argument(
        "--rows",
        help="only these, by comma: ingest,files,replay,whole,start; of a large log growth,memory,spilling; "
        "empty for none but where the time goes",
    )
    parser.add_argument("--seed", type=int, default=1)
    folder = Path(tempfile.gettempdir()) / "auditor-benchmarks"
    parser.add_argument("--folder", type=Path, default=folder, help=f"where logs are kept (default: {folder})")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table for the README there")
    options = parser.parse_args()
    try:
        measured = _measure(options)
    except Broken as broken:
        print(broken, file=sys.stderr)
        return 1
    if measured:
        print(f"\n{tables.text(measured)}\n\n{tables.markdown(measured, options.events)}")
    if options.markdown is not None:
        options.markdown.write_text(tables.markdown(measured, options.events) + "\n", "utf-8")
    return 0


def _measure(options: argparse.Namespace) -> list[Row]:
    logs = Logs(options.folder, options.seed)
    log = logs.ndjson(options.events)
    truth = Truth.of(log)
    report = job("audit", log)
    print(f"{log}: {truth.events:,} events of {truth.runs:,} runs, {truth.bytes / 1e6:,.0f} MB")
    print(f"all {len(truth.findings)} known findings were counted, and no error beside them; ", end="")
    print(f"below error: {report['others'] or 'nothing'}\n")
    print(tables.profile(report, truth.events), flush=True)
    possible = rows(logs, log, options.events, options.rounds or (1 if options.events >= LARGE else 3))
    chosen = list(possible) if options.rows is None else [name for name in options.rows.split(",") if name]
    if unknown := set(chosen) - set(possible):
        raise Broken(f"no such row at this size: {', '.join(sorted(unknown))}; there are {', '.join(possible)}")
    measured: list[Row] = []
    for name in chosen:
        new = possible[name]()
        print(f"\n{tables.text(new)}", flush=True)
        measured += new
    return measured


if __name__ == "__main__":
    sys.exit(main())

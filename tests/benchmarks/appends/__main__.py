"""Measure the world against its targets: `python -m tests.benchmarks.appends`, a part of `make bench`.

Every row measures an append and its baseline by turns, on files and servers of its own. The baseline "bare
inserts" puts the very rows that the appends made (events, entities, messages) into the same tables, without
deciding anything; "events alone" leaves out the entities and messages.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from ..ratios import Row
from ..tables import table, text
from . import growth, postgres_rows, sqlite_rows


def main() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--appends", type=int, default=3_000, help="appends a round (default: 3,000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--store", type=int, default=1_000_000, help="events of the full store (default: 1,000,000)"
    )
    parser.add_argument("--rows", help="only these, by comma: one, batch, commits, group, postgres, growth")
    options = parser.parse_args()
    appends, rounds = options.appends, options.rounds
    with tempfile.TemporaryDirectory(prefix="auditor-world-") as name:
        folder = Path(name)
        possible: dict[str, Callable[[], list[Row]]] = {
            "one": lambda: sqlite_rows.one_writer(folder, appends, rounds),
            "batch": lambda: sqlite_rows.batches(folder, appends, rounds),
            "commits": lambda: sqlite_rows.commits(folder, min(appends, 500)),
            "group": lambda: sqlite_rows.concurrent(folder, appends, rounds),
            "postgres": lambda: postgres_rows.measure(appends, rounds),
            "growth": lambda: growth.measure(folder, appends, rounds, options.store),
        }
        chosen = list(possible) if options.rows is None else options.rows.split(",")
        if unknown := set(chosen) - set(possible):
            parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(possible)}")
        measured: list[Row] = []
        for row in chosen:
            new = possible[row]()
            print(f"\n{text(new)}", flush=True)
            measured += new
    print(f"\n{table(measured)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

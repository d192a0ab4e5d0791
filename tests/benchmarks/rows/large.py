"""What only a large log shows: growth beyond the linear, memory, and spilling."""

from __future__ import annotations

from pathlib import Path

from ..processes import check, job
from ..ratios import Row, compare
from ..truth import Truth


def growth_of_rules(log: Path, small: Path, rounds: int) -> Row:
    """Seconds an event of the rules alone, on the large log and on one of a tenth of its size."""
    row = compare(
        "rules only, cost an event, against a log of a tenth",
        1.3,
        lambda: _rules_an_event(log),
        lambda: _rules_an_event(small),
        rounds,
    )
    return row._replace(note="")


def peak_memory(log: Path, rounds: int) -> Row:
    """GiB of resident memory of `auditor check`; DuckDB's own limit leaves out what is outside its buffers."""
    peaks = tuple(check(log, "2.5GB").memory / 2**30 for _ in range(rounds))
    return Row("peak memory of `auditor check`, DuckDB limited to 2.5 GB", 4.0, peaks, " GiB")


def spilling(log: Path, rounds: int) -> Row:
    """It has to come to its end, too: an audit that runs out of memory is Broken."""
    return compare(
        "`auditor check` under a limit of 1 GB, against no limit",
        2.0,
        lambda: check(log, "1GB").seconds,
        lambda: check(log).seconds,
        rounds,
    )


def _rules_an_event(log: Path) -> float:
    return float(job("audit", log)["stages"]["rules"]) / Truth.of(log).events

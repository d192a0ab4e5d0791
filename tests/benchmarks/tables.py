"""What is printed: the table of targets, the same as Markdown, and where the time went."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from .ratios import Row

_HEAD = ("what", "target", "measured (spread)", "met?", "")


def text(rows: Sequence[Row]) -> str:
    """The table in columns."""
    cells = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


def markdown(rows: Sequence[Row], events: int) -> str:
    """The table for the README, with all that a reader needs to judge it."""
    lines = [
        f"{events:,} events, {dt.datetime.now(dt.UTC):%Y-%m-%d}, Python {platform.python_version()}, "
        f"DuckDB {metadata.version('duckdb')}, {os.cpu_count()} cores:",
        "",
        table(rows),
    ]
    return "\n".join(lines)


def table(rows: Sequence[Row]) -> str:
    """The table in Markdown."""
    lines = ["| what | target | measured (spread) | met? |", "|---|---|---|---|"]
    return "\n".join(lines + ["| " + " | ".join(_cells(row)[:4]) + " |" for row in rows])


def profile(report: dict[str, Any], events: int) -> str:
    """Seconds of each stage, of its slowest statements and of the slowest rules."""
    total = sum(report["stages"].values())
    lines = [f"where the time goes ({total:.2f} s, {total / events * 1e6:.2f} us an event)"]
    lines += [f"  {seconds:8.3f} s  {stage}" for stage, seconds in report["stages"].items()]
    statements = [(name, seconds) for name, seconds in report["statements"] if not name.startswith("rules:")]
    lines += ["", "statements of 10 ms and more, in their order"]
    lines += [f"  {seconds:8.3f} s  {name}" for name, seconds in statements if seconds >= 0.01]
    rules = sorted(report["rules"].items(), key=lambda rule: -rule[1])
    lines += ["", "the ten slowest rules"]
    lines += [f"  {seconds:8.3f} s  {rule}" for rule, seconds in rules[:10]]
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    return (row.what, f"<= {row.target:.3g}{row.unit}", row.measured, row.met, row.note)

"""Ratios of things measured by turns, so that what else the machine does falls on all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

Measure = Callable[[], float]


class Row(NamedTuple):
    """One line of the table: what, how much is allowed, what came out in every round (none: not measured)."""

    what: str
    target: float
    values: tuple[float, ...]
    unit: str = "x"
    note: str = ""

    @property
    def measured(self) -> str:
        """Median and spread, for a reader."""
        if not self.values:
            return "not measured"
        spread = f" ({min(self.values):.2f}-{max(self.values):.2f})" if len(self.values) > 1 else ""
        return f"{statistics.median(self.values):.2f}{self.unit}{spread}"

    @property
    def met(self) -> str:
        """Whether the median keeps to the target."""
        return "-" if not self.values else "yes" if statistics.median(self.values) <= self.target else "no"


def by_turns(measures: Sequence[Measure], rounds: int) -> list[list[float]]:
    """What each of them took in every round; who begins changes from round to round."""
    taken: list[list[float]] = [[] for _ in measures]
    for number in range(rounds):
        for turn in range(len(measures)):
            which = (number + turn) % len(measures)
            taken[which].append(measures[which]())
    return taken


def row(what: str, target: float, subject: Sequence[float], baseline: Sequence[float]) -> Row:
    """A row whose values are subject / baseline, round by round; both in seconds."""
    ratios = tuple(ours / theirs for ours, theirs in zip(subject, baseline, strict=True))
    return Row(what, target, ratios, note=f"{min(subject):.2f} s against {min(baseline):.2f} s")


def compare(what: str, target: float, subject: Measure, baseline: Measure, rounds: int) -> Row:
    """Measure two things by turns, and make a row of them."""
    return row(what, target, *by_turns([subject, baseline], rounds))

"""A timeline in words, for those who do not see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..parts.words import many
from ..queries.timeline import Snapshot, View, Window

_NAMED = 5
_ORDERS = {
    View.LOG: "in log order",
    View.WALL: "by the store's clock",
    View.ACTIVE: "by the store's clock, idle gaps shortened",
}
_SILENT = {
    Snapshot.DROPPED: "without a fence",
    Snapshot.UNFENCED: "unfenced, without saying what was known",
    Snapshot.UNKNOWN: "under a fence that names no earlier event",
}


def summary(window: Window) -> str:
    """What the figure of a window shows."""
    return " ".join([*_stretch(window), *_decisions(window), *_findings(window)])


def _stretch(window: Window) -> Iterator[str]:
    yield f"Events {window.first:,} to {window.last:,} of {window.events:,}, {_ORDERS[window.view]}."
    if window.bars:
        names = ("step", "hook", "wait")
        counts = {kind: sum(bar.entities for bar in window.bars if bar.kind == kind) for kind in names}
        yield f"Open in it: {', '.join(many(count, kind) for kind, count in counts.items() if count)}."
    if window.misplaced:
        stand = (
            "stands where the one before it does" if window.misplaced == 1 else "stand where those before them do"
        )
        yield f"{many(window.misplaced, 'event')} without a time from 1970 to 9998 {stand}."


def _decisions(window: Window) -> Iterator[str]:
    if not window.records_fences:
        yield "The log of this run records no fences: whether its writers had read it all cannot be told."
        return
    if not window.decisions:
        yield "No decision was written in this stretch."
        return
    if set(window.decisions) == {Snapshot.CURRENT}:
        doubt = f"As far as can be told ({window.doubt}), every" if window.doubt else "Every"
        yield f"{doubt} decision of this stretch was written knowing all that stood before it."
    accused = window.accused
    late = sorted(
        (fence for fence in window.fences if fence.snapshot is Snapshot.STALE),
        key=lambda fence: (fence != accused, -fence.unseen),
    )
    for fence in late[:_NAMED]:
        unseen = many(fence.unseen, "event")
        yield f"The write at #{fence.position} knew the log up to #{fence.known}: {unseen} unseen."
    if rest := window.decisions.get(Snapshot.STALE, 0) - len(late[:_NAMED]):
        yield f"{many(rest, 'other write')} missed events, too."
    for snapshot, how in _SILENT.items():
        if total := window.decisions.get(snapshot, 0):
            places = [fence.position for fence in window.fences if fence.snapshot is snapshot]
            were = "was" if total == 1 else "were"
            yield f"{many(total, 'decision')} {were} written {how}: {_places(places, total)}."
    if any(fence.writes > 1 for fence in window.fences):
        yield "Of such writes, the worst of each stretch is drawn."


def _findings(window: Window) -> Iterator[str]:
    if window.elsewhere:
        others = len(window.elsewhere)
        stand = "record of the proof stands" if others == 1 else "records of the proof stand"
        yield f"{others:,} more {stand} at {_places(window.elsewhere, others)}."
    if window.stars:
        worst = [f"{star.severity} {star.rule} at #{star.position}" for star in window.stars[:_NAMED]]
        rest = len(window.stars) + window.more_stars - len(worst)
        yield f"Findings: {', '.join(worst)}{f' and {rest:,} more' if rest else ''}."
    elif not window.witnesses:
        yield "No finding has its place among these events."


def _places(positions: Sequence[int], total: int) -> str:
    named = positions[:_NAMED]
    more = f" and {total - len(named):,} more" if total > len(named) else ""
    return ", ".join(f"#{position}" for position in named) + more

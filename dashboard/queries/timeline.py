"""What a timeline of a run shows: a few hundred marks, however long the run is."""

from __future__ import annotations

import bisect
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import duckdb

from .rows import rows
from .times import EARLIEST, LATEST

AROUND = 14
"""Events that a focus window shows on both sides of what it is about."""
MARKED = 260
"""Events up to which each of them is drawn; above it, only what they make up."""

_SPAN = 120
_BARS = 900
_BINS = 200
_STARS = 60
# Under these roles, a witness is the write that its finding accuses; the first is the one that the sentence names.
_ACCUSED = {"stale write", "write from an older snapshot", "written without it", "sent again"}
_CAPS = {"step": 8, "hook": 4, "wait": 4}
_MARKED_CAPS = {"step": 12, "hook": 8, "wait": 8}
_SPELT_OUT = 3
"""Entities of a lane that its name lists."""
_SQL = dict(
    part.strip().split("\n", 1)
    for part in Path(__file__).with_name("timeline.sql").read_text("utf-8").split("-- name: ")[1:]
)


class View(StrEnum):
    """What stands on the horizontal axis."""

    LOG = "log"
    WALL = "wall"
    ACTIVE = "active"
    """The wall clock, with idle gaps shortened."""


class Snapshot(StrEnum):
    """What a decision write says of the snapshot that it was made from."""

    CURRENT = "current"
    """Its writer had read all that stood before it, but for the write's own batch."""
    STALE = "stale"
    DROPPED = "dropped"
    """It carries no fence."""
    UNFENCED = "unfenced"
    """It says that it has no fence."""
    UNKNOWN = "unknown"
    """Its fence names no event that stands before it."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One entity from its first event to its last; or several that stand too close to be told apart."""

    kind: str
    lane: int
    start: int
    end: int
    ordinal: int | None = None
    """The number of an entity that stands alone; None for several, and where the log does not tell."""
    entities: int = 1
    x: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Dot:
    """One event."""

    position: int
    event_type: str
    kind: str
    lane: int
    x: float
    told: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fence:
    """A decision write, and the last event that its writer had read; `known` None: the write does not say."""

    position: int
    snapshot: Snapshot
    known: int | None
    unseen: int
    writes: int
    """Those that it stands for: itself, and those like it that stand too close to be drawn."""
    x: float
    lane: int
    known_x: float | None
    known_lane: int


@dataclass(frozen=True, slots=True)
class Star:
    """A finding, at the last event of its proof."""

    position: int
    lane: int
    x: float
    severity: str
    rule: str
    because: str


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a run, laid out. Positions are those of the log; `x` is where they stand on the axis."""

    first: int
    last: int
    events: int
    """Of the whole run."""
    view: View
    range: tuple[float, float]
    lanes: tuple[str, ...]
    bars: tuple[Bar, ...]
    dots: tuple[Dot, ...]
    fences: tuple[Fence, ...]
    decisions: Mapping[Snapshot, int]
    """All decisions of the stretch, drawn or not."""
    records_fences: bool
    doubt: str | None
    """Why it cannot be known what stood before an event."""
    stars: tuple[Star, ...]
    more_stars: int
    """Findings of this stretch that stand too close to another to be drawn."""
    witnesses: tuple[tuple[int, str], ...]
    """Position and role of what proves the finding that the window is about."""
    elsewhere: tuple[int, ...]
    """Positions of witnesses that do not fit into the window."""
    misplaced: int
    """Events without a time that the axis has: they stand where the event before them does."""

    @property
    def marks(self) -> int:
        """How much is drawn."""
        return len(self.bars) + len(self.dots) + len(self.fences) + len(self.stars) + len(self.witnesses)

    @property
    def accused(self) -> Fence | None:
        """The stale write that the finding is about."""
        accused = {position for position, role in self.witnesses if role in _ACCUSED}
        stale = (fence for fence in self.fences if fence.snapshot is Snapshot.STALE)
        return next((fence for fence in stale if fence.position in accused), None)


def window(
    con: duckdb.DuckDBPyConnection,
    run_id: str,
    *,
    finding_no: int | None = None,
    at: int | None = None,
    view: View = View.LOG,
) -> Window:
    """Lay out the events around a finding or a position; around neither, the whole run."""
    run = _one(con, "run", [run_id])
    witnesses = [(row["position"], row["role"]) for row in _rows(con, "witnesses", [finding_no, run_id])]
    whole = (run["first_position"], run["last_position"])
    around = [place for place, _ in witnesses]
    if not around and at is not None and whole[0] <= at <= whole[1]:
        around = [at]
    first, last = _stretch(*whole, around)
    shown = [run_id, first, last]

    clock = _clock(con, shown, view)
    left, right = (clock.x(first), clock.x(last)) if clock else (float(first), float(last))
    margin = max((right - left) * 0.015, 0.6 if clock is None else 0.001)

    entities = _rows(con, "entities", shown)
    one_by_one = _one(con, "count", shown)["events"] <= MARKED
    packed, lane_of, lanes = _pack(entities, _MARKED_CAPS if one_by_one else _CAPS)
    bars = _close(packed, _BARS, first, last)

    def place(position: int) -> float:
        return clock.x(position) if clock else float(position)

    def lane(row: dict[str, Any], prefix: str = "") -> int:
        return lane_of.get((row[f"{prefix}kind"], row[f"{prefix}correlation_id"]), 0)

    stars = _rows(con, "findings", [*shown, one_by_one, 1.0 if one_by_one else (last - first + 1) / _STARS])
    fences = _rows(con, "fences", [*shown, one_by_one, (last - first + 1) / _BINS])
    decisions: Counter[Snapshot] = Counter()
    for row in fences:
        decisions[Snapshot(row["snapshot"])] += row["writes"]
    return Window(
        first=first,
        last=last,
        events=run["events"],
        view=view if clock else View.LOG,
        range=(left - margin, right + margin),
        lanes=lanes,
        bars=tuple(replace(bar, x=(place(bar.start), place(bar.end))) for bar in bars),
        dots=tuple(
            Dot(
                position=row["position"],
                event_type=row["event_type"],
                kind=row["kind"] or "run",
                lane=lane(row),
                x=place(row["position"]),
                told=_told(row),
            )
            for row in (_rows(con, "events", shown) if one_by_one else [])
        ),
        fences=tuple(
            Fence(
                position=row["position"],
                snapshot=Snapshot(row["snapshot"]),
                known=row["known"],
                unseen=row["unseen"],
                writes=row["writes"],
                x=place(row["position"]),
                lane=lane(row),
                known_x=place(row["known"]) if row["known"] else None,
                known_lane=lane(row, "known_"),
            )
            for row in fences
            if one_by_one or row["snapshot"] != Snapshot.CURRENT
        ),
        decisions=decisions,
        records_fences=run["records_fences"],
        doubt=run["doubt"],
        stars=tuple(
            Star(row["place"], lane(row), place(row["place"]), row["severity"], row["rule"], row["because"])
            for row in stars
        ),
        more_stars=sum(row["hidden"] for row in stars),
        witnesses=tuple(witness for witness in witnesses if first <= witness[0] <= last),
        elsewhere=tuple(sorted({place for place, _ in witnesses if not first <= place <= last})),
        misplaced=clock.misplaced if clock else 0,
    )


def _stretch(first: int, last: int, around: Sequence[int]) -> tuple[int, int]:
    """What to show of a run around some places; of those far apart, as many as fit."""
    if not around:
        return first, last
    places = sorted(around)

    def reach(start: int) -> int:
        return bisect.bisect_right(places, start + _SPAN)

    start = max(places, key=lambda place: reach(place) - bisect.bisect_left(places, place))
    return max(start - AROUND, first), min(places[reach(start) - 1] + AROUND, last)


def _pack(
    entities: Iterable[dict[str, Any]], caps: Mapping[str, int]
) -> tuple[list[Bar], dict[tuple[str, str], int], tuple[str, ...]]:
    """Give every entity the lowest lane of its kind that is free; those beyond the cap share one lane."""
    slots: dict[tuple[str, str], int] = {}
    bars: list[Bar] = []
    used: dict[str, int] = dict.fromkeys(caps, 0)
    free: dict[str, list[int]] = {kind: [] for kind in caps}
    busy: dict[str, list[tuple[int, int]]] = {kind: [] for kind in caps}
    for row in entities:
        kind = row["kind"]
        while busy[kind] and busy[kind][0][0] < row["first"]:
            heapq.heappush(free[kind], heapq.heappop(busy[kind])[1])
        if free[kind]:
            slot = heapq.heappop(free[kind])
        else:
            slot, used[kind] = used[kind], used[kind] + 1
        heapq.heappush(busy[kind], (row["last"], slot))
        slots[kind, row["correlation_id"]] = slot
        bars.append(Bar(kind, slot, row["first"], row["last"], row["ordinal"]))

    base = {}
    lanes = 1
    for kind, cap in caps.items():
        base[kind] = lanes
        lanes += min(used[kind], cap + 1)

    def lane(kind: str, slot: int) -> int:
        return base[kind] + min(slot, caps[kind])

    bars = [replace(bar, lane=lane(bar.kind, bar.lane)) for bar in bars]
    on = defaultdict(list)
    for bar in bars:
        on[bar.lane].append(bar)
    return (
        bars,
        {entity: lane(entity[0], slot) for entity, slot in slots.items()},
        ("run", *(_named(on[number]) for number in range(1, lanes))),
    )


def _named(bars: Sequence[Bar]) -> str:
    """A lane by the entities on it, called as proofs call them."""
    known = sorted(bar.ordinal for bar in bars if bar.ordinal is not None)
    if len(bars) > _SPELT_OUT or len(known) < len(bars):
        return f"{len(bars)} {bars[0].kind}s" if len(bars) > 1 else bars[0].kind
    return f"{bars[0].kind}#{', #'.join(map(str, known))}"


def _close(bars: list[Bar], budget: int, first: int, last: int) -> list[Bar]:
    """Join bars of a lane over gaps that nobody could see; wider gaps, until there are few enough of them."""
    by_lane = sorted(
        (replace(bar, start=max(bar.start, first - 1), end=min(bar.end, last + 1)) for bar in bars),
        key=lambda bar: (bar.lane, bar.start),
    )
    gap = 0
    while True:
        joined: list[Bar] = []
        for bar in by_lane:
            before = joined[-1] if joined else None
            overlaps = before is not None and before.lane == bar.lane and bar.start - before.end <= gap
            if before is not None and overlaps:
                together = before.entities + bar.entities
                joined[-1] = replace(before, end=max(before.end, bar.end), ordinal=None, entities=together)
            else:
                joined.append(bar)
        if len(joined) <= budget:
            return joined
        by_lane, gap = joined, max(gap * 2, (last - first) // 1000, 1)


@dataclass(frozen=True, slots=True)
class _Clock:
    positions: list[int]
    seconds: list[float]
    misplaced: int

    def x(self, position: int) -> float:
        """When the event at this position was stored; outside of the window, its nearer end."""
        index = bisect.bisect_right(self.positions, position) - 1
        return self.seconds[max(index, 0)]


def _clock(con: duckdb.DuckDBPyConnection, shown: list[Any], view: View) -> _Clock | None:
    if view is View.LOG:
        return None
    times = _rows(con, "clock", [*shown, view is View.ACTIVE, EARLIEST, LATEST])
    if not times or times[0]["seconds"] is None:
        return None
    return _Clock([row["position"] for row in times], [row["seconds"] for row in times], times[0]["misplaced"])


def _told(row: dict[str, Any]) -> tuple[str, ...]:
    """What is said of an event under the pointer."""
    lines = [f"#{row['position']} {row['event_type']}", row["entity"], row["step_name"], row["correlation_id"]]
    if row["created_at"] is not None:
        lines.append(f"{row['created_at']} UTC")
    return tuple(line for line in lines if line)


def _one(con: duckdb.DuckDBPyConnection, name: str, values: list[Any]) -> dict[str, Any]:
    return _rows(con, name, values)[0]


def _rows(con: duckdb.DuckDBPyConnection, name: str, values: list[Any]) -> list[dict[str, Any]]:
    return rows(con, _SQL[name], values)

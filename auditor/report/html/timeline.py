"""The log around a finding as a picture: log order from left to right, a lane an entity, a mark an event."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from auditor.model.events import FenceKind, WriteRole
from auditor.report.words import many, plain
from auditor.result import Audit

CONTEXT = 3
"""Events shown before and after each witness, where there is room."""
MARKS = 40
"""Events in one picture."""
RUNS = 2
"""Runs of one finding that have a picture."""
CALLOUTS = 6
"""Witnesses whose roles are written into the picture; more of them stand in the table alone."""

_SHAPES = {
    "created": "ring",
    "started": "dot",
    "received": "triangle",
    "retrying": "diamond",
    "completed": "square",
    "failed": "cross",
}
"""The picture of an event by the verb of its type; what else there is ends something, or is rare: a bar."""

_GUTTER, _LANE, _ROW, _CHARACTER = 92, 28, 18, 6.6
_LONGEST = 40


class Mark(NamedTuple):
    """One event."""

    x: float
    y: float
    shape: str
    kind: str
    witness: bool
    title: str


class Label(NamedTuple):
    """Text at a place, and the height down to which a thin line leads from it."""

    x: float
    y: float
    text: str
    strong: bool = False
    down: float = 0


class Arrow(NamedTuple):
    """From the write to the event that its fence names; `angle` turns the head, in degrees."""

    x1: float
    y1: float
    x2: float
    y2: float
    angle: float


class Band(NamedTuple):
    """What a write had not seen."""

    x: float
    width: float
    label: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """A picture of part of one run, in pixels."""

    run_id: str
    title: str
    width: float
    height: float
    top: float
    bottom: float
    lanes: list[Label]
    bars: list[tuple[float, float, float, str]]
    gaps: list[float]
    ticks: list[Label]
    marks: list[Mark]
    callouts: list[Label]
    band: Band | None
    arrow: Arrow | None


class Stale(NamedTuple):
    """A write that had not seen all: it knew the log up to `known`; its own batch begins at `first`."""

    position: int
    known: int
    first: int


@dataclass(frozen=True, slots=True)
class Windows:
    """What the pictures of some findings need of the log."""

    events: dict[tuple[str, int], dict[str, Any]]
    stale: dict[tuple[str, int], Stale]
    fenced: set[str]
    """The runs whose log records fences."""

    @classmethod
    def around(cls, audit: Audit, findings: Iterable[dict[str, Any]]) -> Windows:
        """Read them once for all these findings."""
        roles = [of_run for finding in findings for of_run in _roles(finding)]
        stale = _stale(audit, {(run_id, at) for run_id, of_run in roles for at in of_run})
        places: dict[str, set[int]] = {}
        for run_id, of_run in roles:
            places.setdefault(run_id, set()).update(_window(of_run, _shown(stale, run_id, of_run)))
        events = {(run_id, row["position"]): row for run_id, rows in audit.events(places).items() for row in rows}
        rows = audit.con.execute("SELECT run_id FROM run WHERE list_contains(capabilities, 'fences')").fetchall()
        return cls(events, stale, {run_id for (run_id,) in rows}.intersection(places))


def _stale(audit: Audit, places: Collection[tuple[str, int]]) -> dict[tuple[str, int], Stale]:
    """The writes at these places whose fence names an earlier event than the last before their own batch."""
    rows = audit.con.execute(
        """
        WITH asked AS (SELECT unnest(?::VARCHAR[]) AS run_id, unnest(?::BIGINT[]) AS "position"),
        batch AS (SELECT run_id, request_id, min("position") AS first FROM write GROUP BY ALL)
        SELECT run_id, "position", known, coalesce(first, "position") AS start
        FROM asked
        JOIN write USING (run_id, "position")
        LEFT JOIN batch USING (run_id, request_id)
        WHERE known + 1 < start
        """,
        [[run_id for run_id, _ in places], [at for _, at in places]],
    ).fetchall()
    return {(run_id, at): Stale(at, known, first) for run_id, at, known, first in rows}


def _roles(finding: dict[str, Any]) -> list[tuple[str, dict[int, str]]]:
    """The witnesses that are events, by run and position; the run of the finding first."""
    runs: dict[str, dict[int, str]] = {}
    for witness in finding["witness"]:
        if witness["position"] is not None:
            runs.setdefault(witness["run_id"], {})[witness["position"]] = witness["role"]
    return sorted(runs.items(), key=lambda run: run[0] != finding["run_id"])[:RUNS]


def _shown(stale: Mapping[tuple[str, int], Stale], run_id: str, positions: Collection[int]) -> Stale | None:
    """The write that gets the arrow: of those that missed another witness, the first of the latest batch."""
    found = [stale[run_id, at] for at in positions if (run_id, at) in stale]
    found = [write for write in found if any(write.known <= at < write.first for at in positions)]
    return max(found, key=lambda write: (write.first, -write.position), default=None)


def _window(witnesses: Collection[int], write: Stale | None) -> list[int]:
    """The positions to show: all that fit, the first and the last witnesses where not even these do."""
    named = {write.known} if write is not None else set()
    for context in range(CONTEXT, -1, -1):
        wanted = named.union(*(range(max(at - context, 1), at + context + 1) for at in witnesses))
        if len(wanted) <= MARKS:
            return sorted(wanted)
    some = sorted(witnesses)
    return sorted(named.union(some[: MARKS // 2], some[len(some) - MARKS // 2 + 1 :]))


def timelines(finding: dict[str, Any], windows: Windows) -> list[Timeline]:
    """The pictures of a finding: one a run, none where no witness is an event."""
    return [_timeline(run_id, roles, windows) for run_id, roles in _roles(finding)]


def _timeline(run_id: str, roles: Mapping[int, str], windows: Windows) -> Timeline:
    write = _shown(windows.stale, run_id, roles)
    wanted = _window(roles, write)
    events = [windows.events[run_id, at] for at in wanted if (run_id, at) in windows.events]
    called = sorted(roles) if len(roles) <= CALLOUTS else []
    positions = [event["position"] for event in events]
    columns, gaps, right = _columns(positions)
    top = _ROW * len(called) + 12
    lanes = _lanes(events, top)
    bottom = top + _LANE * len(lanes)
    marks = {event["position"]: _mark(event, columns, lanes, roles, windows.fenced) for event in events}
    callouts = [
        Label(columns[at], _ROW * row + 14, _short(roles[at]), down=marks[at].y - 9)
        for row, at in enumerate(at for at in called if at in marks)
    ]
    band = _band(write, columns, right) if write is not None else None
    texts = [*callouts, *([Label(band.x, 0, band.label)] if band is not None else [])]
    return Timeline(
        run_id=run_id,
        title=f"Events {_ranges(positions)} of the run in log order; {many(len(roles), 'event')} marked",
        width=max([right, *(label.x + 12 + _CHARACTER * len(label.text) for label in texts)]),
        height=bottom + (44 if band is not None else 24),
        top=top,
        bottom=bottom,
        lanes=[Label(_GUTTER - 10, y, name) for y, name, _ in lanes.values()],
        bars=list(_bars(marks.values())),
        gaps=gaps,
        ticks=[Label(columns[at], bottom + 16, f"#{at}", strong=at in roles) for at in positions],
        marks=list(marks.values()),
        callouts=callouts,
        band=band,
        arrow=_arrow(write, marks, top) if write is not None else None,
    )


def _columns(positions: Sequence[int]) -> tuple[dict[int, float], list[float], float]:
    """The x of each position and of each gap between them, and the right end."""
    step = max(34, 8 + _CHARACTER * len(f"#{max(positions, default=0)}"))
    columns: dict[int, float] = {}
    gaps = []
    x = _GUTTER + step / 2
    last = 0
    for at in positions:
        if at > last + 1:
            gaps.append(x)
            x += step
        columns[at] = x
        x += step
        last = at
    return columns, gaps, x - step / 2


def _lanes(events: Iterable[dict[str, Any]], top: float) -> dict[str, tuple[float, str, str]]:
    """A lane an entity, the run's above all: its height, its name and its kind."""
    names = {"": "run"} | {_lane(event): event["entity"] or "run" for event in events}
    shared = [name for name in names.values() if list(names.values()).count(name) > 1]
    return {
        lane: (
            top + _LANE * (row + 0.5),
            _short(f"{name} …{lane[-4:]}" if name in shared else name, 13),
            name.split("#")[0],
        )
        for row, (lane, name) in enumerate(names.items())
    }


def _lane(event: dict[str, Any]) -> str:
    return event["correlation_id"] or "" if event["entity"] else ""


def _mark(
    event: dict[str, Any],
    columns: Mapping[int, float],
    lanes: Mapping[str, tuple[float, str, str]],
    roles: Mapping[int, str],
    fenced: Collection[str],
) -> Mark:
    y, name, kind = lanes[_lane(event)]
    at = event["position"]
    facts = [f"#{at} {event['event_type']}", name]
    facts += [event["step_name"].rsplit("//", 1)[-1]] if event["step_name"] else []
    facts += [event["created_at"]] if event["created_at"] else []
    facts += [fence] if (fence := fence_of(event, fenced)) else []
    facts += [roles[at]] if at in roles else []
    verb = event["event_type"].rpartition("_")[2]
    return Mark(columns[at], y, _SHAPES.get(verb, "bar"), kind, at in roles, ", ".join(map(_short, facts)))


def fence_of(event: dict[str, Any], recorded: Collection[str]) -> str:
    """What a write said that it knew of the log; empty where that is not recorded, or not asked of it."""
    if event["fence_kind"] is None:
        dropped = event["role"] == WriteRole.DECISION and event["run_id"] in recorded
        return "no fence" if dropped else ""
    if event["fence_kind"] == FenceKind.UNFENCED:
        return "unfenced"
    known = f"#{event['known']}" if event["known"] is not None else _short(event["fence_value"])
    return f"{event['fence_kind']} {known}"


def _bars(marks: Iterable[Mark]) -> Iterator[tuple[float, float, float, str]]:
    """What joins the marks of a lane: x, y, width and kind."""
    lanes: dict[float, list[Mark]] = {}
    for mark in marks:
        lanes.setdefault(mark.y, []).append(mark)
    for y, of_lane in lanes.items():
        if len(of_lane) > 1:
            yield of_lane[0].x, y, of_lane[-1].x - of_lane[0].x, of_lane[0].kind


def _band(write: Stale, columns: Mapping[int, float], right: float) -> Band:
    left = max((x for at, x in columns.items() if at <= write.known), default=_GUTTER) + 10
    end = min((x for at, x in columns.items() if at >= write.first), default=right) - 10
    missed = write.first - write.known - 1
    return Band(left, max(end - left, 4), f"{many(missed, 'event')} not seen by #{write.position}")


def _arrow(write: Stale, marks: Mapping[int, Mark], top: float) -> Arrow | None:
    """To the event that the fence names, or to the left edge where it names the empty log."""
    source, target = marks.get(write.position), marks.get(write.known)
    if source is None or (target is None and write.known):
        return None
    x, y = (target.x, target.y) if target is not None else (_GUTTER - 8, top + _LANE / 2)
    angle = math.atan2(y - source.y, x - source.x)
    near, far = (11 * math.cos(angle), 11 * math.sin(angle)), 11
    return Arrow(
        round(source.x + near[0], 1),
        round(source.y + near[1], 1),
        round(x - far * math.cos(angle), 1),
        round(y - far * math.sin(angle), 1),
        round(math.degrees(angle), 1),
    )


def _ranges(positions: Sequence[int]) -> str:
    """`#3 to #7, #12`."""
    if not positions:
        return "none"
    breaks = [0, *(no for no, (a, b) in enumerate(pairwise(positions), 1) if b > a + 1), len(positions)]
    parts = [(positions[start], positions[end - 1]) for start, end in pairwise(breaks)]
    return ", ".join(f"#{a}" if a == b else f"#{a} to #{b}" for a, b in parts)


def _short(text: str, longest: int = _LONGEST) -> str:
    shown = plain(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"

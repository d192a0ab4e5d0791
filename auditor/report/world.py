"""What `auditor world` prints for a person: runs, events and counts of a world.

Everything that comes from a world is untrusted: control characters are replaced before they reach a terminal.
Payloads are printed only where they were asked for.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from auditor.model.events import FenceKind
from auditor.model.rows import NONE, Event, Run
from auditor.report.words import plain

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def runs(rows: Sequence[Run]) -> Iterator[str]:
    """A line a run: its id, status, events, last change and workflow."""
    for run in rows:
        workflow = plain(run.workflow_name or "").rsplit("//", 1)[-1]
        line = (
            f"{plain(run.run_id):<31} {plain(run.status):<9} {run.version:>7}  {_time(run.updated_at)}  {workflow}"
        )
        yield line.rstrip()


def events(rows: Sequence[Event], *, payloads: bool) -> Iterator[str]:
    """A line an event: position, time, type, entity, fence and writer; with `payloads`, its data below."""
    places = {row.event_id: row.position for row in rows}
    for row in rows:
        line = (
            f"#{row.position:<5} {_time(row.created_at)} {plain(row.event_type):<14} "
            f"{_short(row.correlation_id):<12} {_fence(row.fence, places):<9} {plain(row.writer_id or '')}"
        )
        yield line.rstrip()
        if payloads and row.data is not None:
            yield f"       {plain(row.data)}"


def stats(facts: Mapping[str, Any]) -> Iterator[str]:
    """The counts of a world, each with what it is made of."""
    yield _counted("runs", facts["runs"])
    yield f"{'events':<9}{facts['events']:>9,}"
    yield _counted("refusals", facts["refusals"])
    queue = facts["queue"]
    held = queue["waiting"] + queue["leased"]
    states = f"{queue['waiting']:,} waiting ({queue['due']:,} due), {queue['leased']:,} leased"
    yield f"{'queue':<9}{held:>9,}   {states}"
    yield f"{'dead':<9}{queue['dead']:>9,}"
    for dead in facts["deadLetters"]:
        died = _time(dead["diedAt"])
        about = _short(dead["correlationId"]) or "tick"
        yield f"  {plain(dead['messageId'])}  {plain(dead['runId'])}  {about}  {dead['attempt']}x, died {died}"
    if facts["bytes"] is not None:
        yield f"{'bytes':<9}{facts['bytes']:>9,}"


def _counted(name: str, counts: Mapping[str, int]) -> str:
    parts = ", ".join(f"{plain(key)} {number:,}" for key, number in sorted(counts.items()))
    return f"{name:<9}{sum(counts.values()):>9,}   {parts}".rstrip()


def _time(milliseconds: object) -> str:
    if not isinstance(milliseconds, int):
        return plain(milliseconds)
    try:
        moment = _EPOCH + dt.timedelta(milliseconds=milliseconds)
    except OverflowError:
        return f"{milliseconds} ms"
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _short(correlation_id: str | None) -> str:
    """As the rules write it: the end of an id is what differs within a run."""
    kind, mark, body = plain(correlation_id or "").partition("_")
    return f"{kind}_…{body[-6:]}" if mark and len(body) > 6 else f"{kind}{mark}{body}"


def _fence(text: str | None, places: Mapping[str, int]) -> str:
    """`[#7]`: only if #7 was the last event; `[-]`: unfenced on purpose; `[?]`: the writer sent nothing."""
    try:
        fence = json.loads(text) if text is not None else None
    except (ValueError, RecursionError):
        fence = None
    if not isinstance(fence, dict):
        return "[?]"
    kind = fence.get("kind")
    if kind == FenceKind.UNFENCED:
        return "[-]"
    if kind == FenceKind.STATE_UPDATED_AT:
        return "[state]"
    named = str(fence.get("resolved") or fence.get("value"))
    place = 0 if named == NONE else places.get(named)
    shown = f"[#{place}]" if place is not None else f"[{_short(named)}]"
    return shown if kind == FenceKind.TAIL else f"{plain(kind)} {shown}"

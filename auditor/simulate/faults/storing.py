"""What a store keeps otherwise than it has accepted it: with more events, or with fewer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from auditor.model.rows import Event, Run
from auditor.simulate.faults.forcing import relinked
from auditor.world.chain import digest, event_ids
from auditor.world.decision import Accepted, Draw
from auditor.world.draft import json_text
from auditor.world.entities import Change
from auditor.world.protocol import after_tail


def saying(event: Event, data: Mapping[str, Any]) -> Event:
    """The event with other data."""
    text = json_text(data)
    return event._replace(data=text, data_sha256=digest(text))


def said(event: Event) -> dict[str, Any]:
    """The data of an event."""
    data: dict[str, Any] = json.loads(event.data or "{}")
    return data


def with_more(accepted: Accepted, more: Iterable[Event], draw: Draw) -> Accepted:
    """An append with further events behind it that nobody looked at; its rows and messages stay as they are."""
    last = accepted.events[-1]
    ids = event_ids(after_tail(last.event_id), draw)
    events = [
        event._replace(
            position=last.position + place,
            event_id=next(ids),
            created_at=last.created_at,
            tail_at_commit=last.event_id,
        )
        for place, event in enumerate(more, start=1)
    ]
    return relinked(accepted, [*accepted.events, *events])


def without(accepted: Accepted, lost: Event) -> Accepted:
    """An append of several events of which one is lost; the next takes its place, its row is kept."""
    return relinked(
        accepted,
        [
            event._replace(position=event.position - (event.position > lost.position))
            for event in accepted.events
            if event is not lost
        ],
    )


def without_events(accepted: Accepted, before: Run) -> Accepted:
    """An append whose events are lost; its rows and messages are kept."""
    return accepted._replace(run=before, events=())


def lost(accepted: Accepted, before: Run) -> Accepted:
    """An append that is lost whole."""
    return Accepted(accepted.before, before, (), Change(), (), None)

"""A recorded history, before it is replayed: is all there that a replay has to know?

A replay without the payloads of its log would go on with other values than the run did, and accuse the code of
it. Null is a value like others, and the formats that we read lose the difference between null and nothing; the
digest that our world keeps of an event's data tells them apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from auditor.model.events import EventType
from auditor.model.rows import Event
from auditor.runtime.values import data_of
from auditor.world.chain import digest
from auditor.world.draft import json_text

T = EventType
PAYLOAD = {
    T.RUN_CREATED: "input",
    T.RUN_COMPLETED: "output",
    T.RUN_FAILED: "error",
    T.STEP_COMPLETED: "result",
    T.STEP_FAILED: "error",
    T.HOOK_RECEIVED: "payload",
}
"""Which payload of an event a replay needs."""

_TYPES = frozenset(kind.value for kind in T)


class CannotTell(Exception):
    """Why a history cannot be replayed; its text is the reason."""


def must_be_ours(events: Sequence[Event]) -> None:
    """Raise CannotTell unless this is the log of a run of our runtime, from its beginning."""
    for event in events:
        if event.event_type not in _TYPES:
            raise CannotTell(f"#{event.position} is a {event.event_type}, which this version does not know")
    created = next((event for event in events if event.event_type == T.RUN_CREATED), None)
    if created is None:
        raise CannotTell("its run_created is missing, and with it the input of the workflow")
    data = data_of(created)
    if "input" not in data:
        raise CannotTell("its payloads are not in the log: they were left out of the export, or have expired")
    taken = data["input"]
    if not (
        isinstance(taken, dict)
        and taken.keys() == {"args", "kwargs"}
        and isinstance(taken["args"], list)
        and isinstance(taken["kwargs"], dict)
    ):
        raise CannotTell("another runtime wrote it: its input is not the arguments of a Python workflow, as JSON")


def must_hold_its_payload(event: Event, token: str | None) -> None:
    """Raise CannotTell if an event may have lost its payload. `token` is that of its hook, where it has one."""
    name = PAYLOAD.get(T(event.event_type))
    if name is None or name in data_of(event):
        return
    if event.data_sha256 not in {digest(json_text(data)) for data in _as_written(event, name, token)}:
        raise CannotTell(f"#{event.position} {event.event_type} may have lost its {name}")


def _as_written(event: Event, name: str, token: str | None) -> Iterator[dict[str, Any]]:
    """What the data of an event can have been if its payload was null, or was never there."""
    data = data_of(event)
    for known in (data, {"token": token, **data}):
        yield {**known, name: None}
        yield known


def canonical(value: Any) -> str:
    """A value as the log keeps it, with one text for what is equal: 1 and 1.0 and true are three values."""
    return json.dumps(json.loads(json.dumps(value)), sort_keys=True)


def shape(value: Any) -> str:
    """What a value is, without saying what is in it: payloads are not shown."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return f"a text of {len(value)} {'character' if len(value) == 1 else 'characters'}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return f"an object of {len(value)} {'key' if len(value) == 1 else 'keys'}"

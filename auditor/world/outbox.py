"""What an event sends: the messages that commit with it, so that no accepted event is ever forgotten."""

from __future__ import annotations

from auditor.model.events import ROLE, EventType, WriteRole
from auditor.model.rows import Event
from auditor.world.protocol import Message, MessageKind

_DISPATCHES = frozenset(kind.value for kind in (EventType.STEP_CREATED, EventType.STEP_RETRYING))
_WAKES = frozenset(
    kind.value
    for kind, role in ROLE.items()
    if kind is EventType.RUN_CREATED or role in (WriteRole.SIGNAL, WriteRole.OUTCOME)
)

WAKE = "wake"
"""The key of a tick at once: of one run at most one such message waits."""


def messages_of(event: Event, due: int | None) -> list[Message]:
    """The messages of one event.

    A new run, a signal and a step outcome wake the run; a wait wakes it when it is over; a step is dispatched, and
    dispatched again when it may be retried. `due` is the time at which that is, in ms since 1970.
    """
    kind = event.event_type
    at = event.created_at if due is None else due
    entity = event.correlation_id
    if kind in _DISPATCHES:
        return [Message(MessageKind.STEP, event.run_id, f"step:{entity}", at, entity)]
    if kind == EventType.WAIT_CREATED:
        return [Message(MessageKind.RUN, event.run_id, f"wait:{entity}", at, entity)]
    if kind in _WAKES:
        return [Message(MessageKind.RUN, event.run_id, WAKE, event.created_at)]
    return []

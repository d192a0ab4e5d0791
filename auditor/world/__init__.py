"""A fenced-append world: an event store in which a decision made on a stale snapshot cannot be committed.

    async with await open_world("sqlite:///orders.db") as world:
        created = NewEvent(EventType.RUN_CREATED, data={"workflowName": "order"})
        first = await world.append(run_id, [created], tail(None), writer=Writer("api-1"))
        await world.append(run_id, decided, tail(first.tail), writer=Writer("worker-1"))

Two writers that read the same log cannot both append to it under its tail: the second one is told what it has
missed (`FenceConflict`), and decides again.
"""

from auditor.model.events import EventType
from auditor.world.fences import Fence, as_of, from_request, state_updated_at, tail, unfenced
from auditor.world.opening import create_world, open_world
from auditor.world.protocol import (
    Appended,
    DeadLetter,
    Delivery,
    Message,
    MessageKind,
    NewEvent,
    Queue,
    Snapshot,
    StreamInfo,
    Streams,
    Wake,
    World,
    Writer,
    new_run_id,
)

__all__ = [
    "Appended",
    "DeadLetter",
    "Delivery",
    "EventType",
    "Fence",
    "Message",
    "MessageKind",
    "NewEvent",
    "Queue",
    "Snapshot",
    "StreamInfo",
    "Streams",
    "Wake",
    "World",
    "Writer",
    "as_of",
    "create_world",
    "from_request",
    "new_run_id",
    "open_world",
    "state_updated_at",
    "tail",
    "unfenced",
]

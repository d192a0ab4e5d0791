"""What writers do in these tests, in few words: events to append, and one run to append them to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from auditor.errors import Refused
from auditor.model.events import EventType
from auditor.model.rows import Entity, Event, Refusal, Run
from auditor.world import Appended, Fence, NewEvent, Snapshot, Writer, new_run_id, tail, unfenced
from auditor.world.base import BaseWorld
from auditor.world.protocol import StoredMessage

T = EventType
WRITER = Writer("writer-1", tick_id="tick-1", site="contract", attempt=2)
UNFENCED = unfenced("a test")
TOKEN = "key-of-a-door"  # noqa: S105 - opens nothing
OTHER = "key-of-another"
PAST = 1_000
"""A moment, in ms since 1970, that is over by every clock."""


def created(name: str = "order", **data: Any) -> NewEvent:
    return NewEvent(T.RUN_CREATED, data={"workflowName": name, **data})


def of_run(event_type: EventType, **data: Any) -> NewEvent:
    return NewEvent(event_type, data=data or None)


def step(event_type: EventType, entity: str = "step_1", **data: Any) -> NewEvent:
    if event_type is T.STEP_CREATED:
        data = {"stepName": "charge", **data}
    return NewEvent(event_type, entity, data or None)


def wait(event_type: EventType, entity: str = "wait_1", resume_at: Any = None) -> NewEvent:
    """A wait; over long ago unless `resume_at` says otherwise."""
    if event_type is T.WAIT_CREATED and resume_at is None:
        resume_at = PAST
    return NewEvent(event_type, entity, None if resume_at is None else {"resumeAt": resume_at})


def hook(event_type: EventType, entity: str = "hook_1", token: str = TOKEN, **data: Any) -> NewEvent:
    if event_type is T.HOOK_CREATED:
        data = {"token": token, **data}
    return NewEvent(event_type, entity, data or None)


def delivery(entity: str = "hook_1", resume_id: str | None = None, **payload: Any) -> NewEvent:
    return NewEvent(T.HOOK_RECEIVED, entity, {"payload": payload}, resume_id=resume_id)


def attribute(**changes: Any) -> NewEvent:
    """An event that any open run takes, and that changes no entity."""
    return NewEvent(T.ATTR_SET, data={"changes": changes})


STARTED = of_run(T.RUN_STARTED)
COMPLETED = of_run(T.RUN_COMPLETED)
FAILED = of_run(T.RUN_FAILED, errorCode="USER_ERROR")
CANCELLED = of_run(T.RUN_CANCELLED)


@dataclass(frozen=True)
class OneRun:
    """One run in a world, as a writer sees it. Appends are unfenced unless they say otherwise."""

    world: BaseWorld
    id: str

    async def append(self, *events: NewEvent, fence: Fence | None = UNFENCED, **more: Any) -> Appended:
        return await self.world.append(self.id, events, fence, **{"writer": WRITER, **more})

    async def refused(self, kind: type[Refused], *events: NewEvent, **more: Any) -> Any:
        """Append what must be refused, as exactly this kind; the refusal."""
        with pytest.raises(Refused) as caught:
            await self.append(*events, **more)
        assert type(caught.value) is kind, caught.value
        return caught.value

    async def read(self, after: int = 0, limit: int | None = None) -> Snapshot:
        return await self.world.events(self.id, after, limit)

    async def log(self) -> tuple[Event, ...]:
        return (await self.read()).events

    async def types(self) -> list[str]:
        return [event.event_type for event in await self.log()]

    async def tail(self) -> Fence:
        """The fence of a writer that reads the log now."""
        return tail((await self.read()).tail)

    async def row(self) -> Run:
        row = await self.world.run(self.id)
        assert row is not None
        return row

    async def entity(self, correlation_id: str) -> Entity | None:
        rows = await self.world.entities(self.id)
        return next((row for row in rows if row.correlation_id == correlation_id), None)

    async def refusals(self) -> list[Refusal]:
        """The journal of what was refused, without the numbers."""
        return [Refusal._make(row[1:]) for row in await dumped(self.world, "refusal", self.id)]

    async def messages(self) -> list[StoredMessage]:
        return await dumped(self.world, "message", self.id)

    async def waiting(self) -> dict[str, int]:
        """When each waiting message is due, by key."""
        return {row.key: row.deliver_at for row in await self.messages() if row.state == "waiting"}


async def dumped(world: BaseWorld, table: str, run_id: str | None = None) -> list[Any]:
    """All rows of one table."""
    return [row async for name, rows in world.dump([table], run_id) for row in rows if name == table]


def nowhere(world: BaseWorld) -> OneRun:
    """A run that nobody has created."""
    return OneRun(world, new_run_id())


async def begun(world: BaseWorld, *events: NewEvent, **data: Any) -> OneRun:
    """A new run that was created and started, and what else happened in it."""
    run = nowhere(world)
    await run.append(created(**data), STARTED)
    for event in events:
        await run.append(event)
    return run


def data_of(event: Event) -> Any:
    return None if event.data is None else json.loads(event.data)


def fence_of(event: Event | Refusal) -> Any:
    return None if event.fence is None else json.loads(event.fence)


Act = Callable[[OneRun], Any]

"""A small world in which much has happened, and nothing wrong: what exports, checks and commands are tried on.

`order` went through retries, a race, refused writers and a repeated delivery, and is completed. `cancelled` was
cancelled with a step and a hook open. `waiting` waits for a delivery and nothing else. `sleeping` is asleep, was
written under weak fences, did not get the token that it wanted, and a worker holds the message of its tick.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from stores import START, Harness
from ulid import ULID

from auditor.errors import Refused
from auditor.model.events import EventType as T
from auditor.world import (
    Appended,
    Fence,
    NewEvent,
    Writer,
    as_of,
    new_run_id,
    state_updated_at,
    tail,
    unfenced,
)
from auditor.world.base import BaseWorld
from auditor.world.draft import iso

TOKEN = "order-1042/approve"  # noqa: S105 - a marker: where it may stand, and where not
PAYLOAD = "P4yl0ad-of-a-user"
"""Stands in every payload."""

SOON = 100
"""Milliseconds that a story waits for, by a real clock where there is no other."""

OUTSIDE = unfenced("from outside")
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass
class Story:
    """One run while it is told: every decision is fenced with the tail that its teller knows."""

    harness: Harness
    name: str
    run_id: str = field(default_factory=new_run_id)
    known: str | None = None
    drawn: int = 0
    sequence: str = field(
        default_factory=lambda: str(ULID(START.to_bytes(6, "big") + secrets.token_bytes(10)))[:24]
    )

    @property
    def world(self) -> BaseWorld:
        return self.harness.world

    def draw(self, kind: str) -> str:
        """The next correlation id of the run."""
        self.drawn += 1
        return f"{kind}_{self.sequence}{_DIGITS[self.drawn // 32]}{_DIGITS[self.drawn % 32]}"

    async def decide(self, *events: NewEvent, fence: Fence | None = None) -> Appended:
        """What the run's own replay decided."""
        writer = Writer("worker-1", tick_id=f"tick-{self.name}", site="suspension")
        done = await self.world.append(self.run_id, events, fence or tail(self.known), writer=writer)
        self.known = done.tail
        return done

    async def happen(self, event: NewEvent) -> Appended:
        """What a step, or somebody outside, says."""
        done = await self.world.append(self.run_id, [event], OUTSIDE, writer=Writer("worker-2", site="outside"))
        if not done.repeated:
            self.known = done.tail
        return done

    async def begin(self) -> None:
        context = {"workflowCoreVersion": "4.8.9"}
        data = {"workflowName": f"workflow//./flows//{self.name}", "executionContext": context, "input": [PAYLOAD]}
        await self.decide(NewEvent(T.RUN_CREATED, data=data))
        await self.decide(NewEvent(T.RUN_STARTED))

    async def step(self, entity: str, *, fails: bool = False) -> None:
        """A step that a worker executes to its end."""
        await self.happen(NewEvent(T.STEP_STARTED, entity))
        if fails:
            await self.happen(NewEvent(T.STEP_FAILED, entity, {"error": {"message": PAYLOAD}}))
        else:
            await self.happen(NewEvent(T.STEP_COMPLETED, entity, {"result": PAYLOAD}))

    async def soon(self) -> str:
        """A moment that `pass_soon` waits for."""
        return iso(await self.world.now() + SOON)

    async def pass_soon(self) -> None:
        await self.harness.advance(SOON)


@dataclass(frozen=True)
class Told:
    """The runs of the world, by what became of them."""

    order: str
    cancelled: str
    waiting: str
    sleeping: str


async def tell(harness: Harness) -> Told:
    """Let it all happen in a new world."""
    holder = Story(harness, "waiting")
    runs = Told(
        await _order(Story(harness, "order")),
        await _cancelled(Story(harness, "cancelled")),
        await _waiting(holder),
        await _sleeping(Story(harness, "sleeping")),
    )
    await _work(harness.world, {holder.run_id})
    return runs


async def _order(run: Story) -> str:
    await run.begin()
    reserve, approval, timeout = run.draw("step"), run.draw("hook"), run.draw("wait")
    await run.decide(
        _created(reserve, "reserve"),
        NewEvent(T.HOOK_CREATED, approval, {"token": TOKEN, "metadata": {"for": PAYLOAD}}),
        NewEvent(T.WAIT_CREATED, timeout, {"resumeAt": await run.soon()}),
    )
    stale = tail(run.known)
    await run.happen(NewEvent(T.STEP_STARTED, reserve))
    retry = {"retryAfter": await run.soon(), "error": PAYLOAD}
    await run.happen(NewEvent(T.STEP_RETRYING, reserve, retry))
    with refused("TOO_EARLY"):
        await run.happen(NewEvent(T.STEP_STARTED, reserve))
    await run.pass_soon()
    await run.step(reserve)
    with refused("FENCE_CONFLICT"):
        await run.decide(NewEvent(T.WAIT_COMPLETED, timeout), fence=stale)
    await run.decide(NewEvent(T.WAIT_COMPLETED, timeout))
    with refused("ENTITY_CONFLICT"):
        await run.happen(NewEvent(T.WAIT_COMPLETED, timeout))
    await run.pass_soon()
    delivery = NewEvent(T.HOOK_RECEIVED, approval, {"payload": {"by": PAYLOAD}}, resume_id="resume-1")
    assert not (await run.happen(delivery)).repeated
    assert (await run.happen(delivery)).repeated
    charge, notify = run.draw("step"), run.draw("step")
    await run.decide(_created(charge, "charge"), _created(notify, "notify"))
    await run.step(notify, fails=True)
    await run.step(charge)
    await run.decide(NewEvent(T.HOOK_DISPOSED, approval))
    with refused("NOT_FOUND"):
        await run.happen(NewEvent(T.HOOK_RECEIVED, approval, {"payload": PAYLOAD}))
    await run.decide(NewEvent(T.RUN_COMPLETED, data={"output": PAYLOAD}))
    with refused("RUN_TERMINAL"):
        await run.happen(NewEvent(T.RUN_CANCELLED, data={"cancelReason": PAYLOAD}))
    return run.run_id


async def _cancelled(run: Story) -> str:
    await run.begin()
    await run.decide(
        _created(run.draw("step"), "ship"), NewEvent(T.HOOK_CREATED, run.draw("hook"), {"token": "ship/again"})
    )
    await run.happen(NewEvent(T.RUN_CANCELLED, data={"cancelReason": PAYLOAD}))
    return run.run_id


async def _waiting(run: Story) -> str:
    await run.begin()
    await run.decide(NewEvent(T.HOOK_CREATED, run.draw("hook"), {"token": TOKEN}))
    return run.run_id


async def _sleeping(run: Story) -> str:
    await run.begin()
    read = await run.world.events(run.run_id)
    quick = run.draw("step")
    await run.decide(_created(quick, "quick"), fence=as_of(read.as_of))
    await run.step(quick)
    read = await run.world.events(run.run_id)
    await run.decide(
        NewEvent(T.HOOK_CREATED, run.draw("hook"), {"token": TOKEN}),  # another run has it: a hook_conflict
        NewEvent(T.WAIT_CREATED, run.draw("wait"), {"resumeAt": iso(await run.world.now() + 3_600_000)}),
        fence=state_updated_at(read.run.marker),
    )
    return run.run_id


async def _work(world: BaseWorld, done: set[str]) -> None:
    """A worker takes what is due, and finishes what there is to do in the runs that are done."""
    for delivery in await world.queue.receive(limit=100):
        if delivery.run_id in done:
            await world.queue.ack(delivery)


def _created(entity: str, name: str) -> NewEvent:
    return NewEvent(T.STEP_CREATED, entity, {"stepName": name, "input": [PAYLOAD]})


@contextlib.contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(Refused) as caught:
        yield
    assert caught.value.code == code, caught.value

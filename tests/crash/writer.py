"""A process that writes: it starts runs, ticks them, executes their steps and signals their hooks, all at once.

It behaves as a client has to: it says what it wants before it asks (`crash.journal`), sends again what was not
answered under the same idempotency key or resume id, and decides again when it is told that the log has moved on.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from crash import flow
from crash.journal import Intent, Journal

from auditor.errors import (
    EntityConflict,
    FenceConflict,
    LeaseLost,
    NotFound,
    Refused,
    RunTerminal,
    StoreUnavailable,
)
from auditor.model.rows import Event
from auditor.world import Appended, Delivery, Fence, MessageKind, NewEvent, Writer, new_run_id, tail, unfenced
from auditor.world.base import BaseWorld

T = flow.T
OPEN_RUNS = 12
"""Runs that are started before some of them have to end."""

LEASE_MS = 300
POLL = 0.004
TRIES = 5


@dataclass
class Client:
    """One writer process, as the world sees it."""

    world: BaseWorld
    journal: Journal
    name: str
    chance: random.Random
    waiting_for_signals: list[str] = field(default_factory=list)

    async def ask(self, run: str, events: Iterable[NewEvent], fence: Fence, key: str | None = None) -> Appended:
        intent = Intent.of(f"req_{secrets.token_hex(10)}", run, events, fence, key)
        self.journal.wants(intent)
        return await self.send(intent)

    async def send(self, intent: Intent) -> Appended:
        """Send a request until it is answered. Raises Refused."""
        while True:
            try:
                appended = await self.world.append(
                    intent.run,
                    intent.sent,
                    intent.condition,
                    writer=Writer(self.name),
                    idempotency_key=intent.key,
                    request_id=intent.request,
                )
            except StoreUnavailable:
                await asyncio.sleep(POLL)
            except Refused as refused:
                self.journal.refused(intent.request, refused.code)
                raise
            else:
                self.journal.done(intent.request, appended)
                return appended

    async def send_again(self, unanswered: Iterable[Intent]) -> None:
        """What the process before this one did not live to be told."""
        for intent in unanswered:
            try:
                await self.send(intent)
            except Refused:
                continue

    async def start(self) -> None:
        run = new_run_id()
        await self.ask(run, [flow.created()], tail(None), f"create {run}")

    async def tick(self, run_id: str) -> bool:
        """Append what the log calls for until it calls for nothing; after a conflict, decide anew.

        False if others were faster so often that the tick has to be done again.
        """
        snapshot = await self.world.events(run_id)
        log = list(snapshot.events)
        tries = 0
        while batch := flow.decide(run_id, log, await self.world.now()):
            try:
                appended = await self.ask(run_id, batch, tail(log[-1].event_id), secrets.token_hex(8))
            except FenceConflict as conflict:
                tries += 1
                if tries == TRIES:
                    return False
                log += missing(conflict, log)
            except RunTerminal:
                return True
            else:
                log += appended.events
        if log[-1].event_type != T.RUN_COMPLETED:
            self.waiting_for_signals.append(run_id)
        return True

    async def execute(self, delivery: Delivery) -> bool:
        step = delivery.correlation_id
        doing = unfenced("a step")
        # Refused: somebody else had the message, too, and was faster.
        with suppress(EntityConflict, RunTerminal):
            await self.ask(delivery.run_id, [NewEvent(T.STEP_STARTED, step)], doing, f"lease {delivery.lease}")
            outcome = NewEvent(T.STEP_COMPLETED, step, {"result": f"result of {step}"})
            await self.ask(delivery.run_id, [outcome], doing, f"outcome of {step}")
        return True

    async def signal(self, run_id: str) -> None:
        event = NewEvent(T.HOOK_RECEIVED, flow.hook(run_id), {"payload": 1}, resume_id=secrets.token_hex(8))
        with suppress(NotFound, RunTerminal):
            await self.ask(run_id, [event], unfenced("a signal from outside"))


def missing(conflict: FenceConflict, log: list[Event]) -> list[Event]:
    """The events that a conflict brings along: those behind the log that the writer had, without a gap."""
    events = list(conflict.missing or ())
    assert [event.position for event in events] == list(range(len(log) + 1, len(log) + 1 + len(events)))
    assert events
    assert events[-1].event_id == conflict.actual
    return events


Task = Callable[[Client], Awaitable[None]]


async def starts(client: Client) -> None:
    while True:
        if len(await client.world.runs("running", limit=OPEN_RUNS)) < OPEN_RUNS:
            await client.start()
        await asyncio.sleep(client.chance.uniform(0, 4 * POLL))


async def ticks(client: Client) -> None:
    await _serve(client, MessageKind.RUN, lambda delivery: client.tick(delivery.run_id))


async def steps(client: Client) -> None:
    await _serve(client, MessageKind.STEP, client.execute)


async def _serve(client: Client, kind: MessageKind, handle: Callable[[Delivery], Awaitable[bool]]) -> None:
    queue = client.world.queue
    while True:
        deliveries = await queue.receive([kind], limit=2, lease_ms=LEASE_MS)
        for delivery in deliveries:
            done = await handle(delivery)
            try:
                if not done or client.chance.random() < 0.1:
                    await queue.nack(delivery, delay_ms=5, memo="once more")
                else:
                    await queue.ack(delivery)
            except LeaseLost:
                continue
            client.journal.gave_back(delivery.lease)
        if not deliveries:
            await asyncio.sleep(POLL)


async def signals(client: Client) -> None:
    while True:
        if client.waiting_for_signals:
            place = client.chance.randrange(len(client.waiting_for_signals))
            await client.signal(client.waiting_for_signals.pop(place))
        await asyncio.sleep(client.chance.uniform(0, 2 * POLL))


async def intrudes(client: Client) -> None:
    """Ticks a run that nobody asked it to: two replays of one run at once, which only the fence keeps apart."""
    while True:
        if client.waiting_for_signals:
            await client.tick(client.chance.choice(client.waiting_for_signals))
        await asyncio.sleep(client.chance.uniform(0, 4 * POLL))


WORK: tuple[Task, ...] = (starts, ticks, ticks, steps, steps, signals, intrudes)
"""Runs until the process is killed."""

FINISH: tuple[Task, ...] = (ticks, ticks, steps, steps, signals)
"""Brings every run to its end."""


async def at_once(_client: Client) -> None:
    """Do nothing but what was left to do."""


async def all_over(client: Client) -> None:
    """Wait until no run is open; signal those that wait for a signal that nobody is left to send.

    A run that has its signal gets no other: it has to go on by its own messages.
    """
    signalled: set[str] = set()
    while True:
        open_runs = [*await client.world.runs("pending"), *await client.world.runs("running")]
        if not open_runs:
            return
        for run in open_runs:
            if run.status == "running" and run.run_id not in signalled:
                signalled.add(run.run_id)
                await client.signal(run.run_id)
        await asyncio.sleep(0.05)


async def work(client: Client, unanswered: Iterable[Intent], tasks: Iterable[Task], end: Task) -> None:
    """Send again what was not answered, then do all tasks until `end` is reached."""
    await client.send_again(unanswered)
    running = [asyncio.ensure_future(task(client)) for task in tasks]
    ending = asyncio.ensure_future(end(client))
    done, left = await asyncio.wait([*running, ending], return_when=asyncio.FIRST_COMPLETED)
    while left:
        # Once may not be enough: before Python 3.12 `wait_for`, in which psycopg waits, keeps a cancellation to
        # itself that comes together with the answer (python/cpython#86296).
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.2)
    for task in done:
        task.result()

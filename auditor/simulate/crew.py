"""The crew of a simulation: workers that tick runs and execute steps, and those who act from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from auditor.errors import (
    FenceConflict,
    LeaseLost,
    NotFound,
    PreconditionFailed,
    RunTerminal,
    StoreUnavailable,
    TooEarly,
)
from auditor.model.events import EventType
from auditor.model.rows import Event
from auditor.runtime.client import cancel
from auditor.runtime.registry import Workflow, step_named
from auditor.runtime.steps import Executor, step_name
from auditor.runtime.tick import Result, Store, Ticker
from auditor.simulate.draws import Draws
from auditor.simulate.faults.base import Crash, Fault
from auditor.simulate.scenarios import Outside, Signal
from auditor.simulate.schedule import Turn
from auditor.simulate.world import SimulatedWorld
from auditor.world import Appended, Delivery, Message, MessageKind, NewEvent, Writer, unfenced
from auditor.world.outbox import WAKE

TRIES = 12
"""How often somebody outside looks for a hook that is not there (yet)."""

_FROM_OUTSIDE = unfenced("somebody outside")


class Worker:
    """Takes messages off the queue, one at a time, as `auditor.runtime.Worker` does; no lease of the run."""

    def __init__(
        self,
        world: SimulatedWorld,
        client: Store,
        workflow: Workflow,
        fault: Fault,
        ticker: Ticker,
        executor: Executor,
        draws: Draws,
    ) -> None:
        self._world = world
        self._client = client
        self._fault = fault
        self._workflow = fault.workflow(workflow)
        self._ticker = ticker
        self._executor = executor
        self._draws = draws
        self.divergences = 0
        """The most in a row of any run."""

    async def live(self) -> None:
        """Work for as long as there is something to do."""
        while True:
            deliveries = await self._world.queue.receive(lease_ms=self._fault.lease_ms)
            if not deliveries:
                await Turn(idle=True)
                continue
            # A worker that died is started anew, and knows nothing of what it was doing.
            with suppress(Crash, LeaseLost):
                await self._handle(deliveries[0])

    async def _handle(self, delivery: Delivery) -> None:
        try:
            if delivery.kind is MessageKind.STEP:
                await self._execute(delivery, (await self._world.events(delivery.run_id)).events)
            else:
                await self._tick(delivery, (await self._client.events(delivery.run_id)).events)
        except TooEarly as early:
            later = max(0, early.retry_at - await self._world.now())
            await self._world.queue.nack(delivery, later, delivery.memo)
        except StoreUnavailable:
            await self._world.queue.nack(delivery, self._draws.between(2, 9), delivery.memo)
        except NotFound:
            await self._world.queue.ack(delivery)

    async def _tick(self, delivery: Delivery, events: tuple[Event, ...]) -> None:
        queue = self._world.queue
        before = int(delivery.memo or 0)
        ticked = await self._ticker.tick(self._workflow, delivery.run_id, events, before)
        self.divergences = max(self.divergences, ticked.divergences)
        if ticked.result is Result.DIVERGED:
            await queue.nack(delivery, self._draws.between(2, 9), str(ticked.divergences))
            return
        if ticked.result is Result.CONFLICTS and self._fault.hands_back:
            due = await self._world.now() + self._draws.between(2, 9)
            await queue.send(Message(MessageKind.RUN, delivery.run_id, WAKE, due))
        await queue.ack(delivery)

    async def _execute(self, delivery: Delivery, events: tuple[Event, ...]) -> None:
        step = step_named(step_name(events, str(delivery.correlation_id)))
        if step is None:
            await self._world.queue.nack(delivery, 20, delivery.memo)
            return
        if self._fault.acks_first:
            await self._world.queue.ack(delivery)
        await self._executor.execute(step, delivery, events)
        if not self._fault.acks_first:
            await self._world.queue.ack(delivery)


class Caller:
    """Somebody outside, who keeps what was acknowledged and what was not taken."""

    def __init__(self, world: SimulatedWorld, fault: Fault, run_id: str) -> None:
        self._world = world
        self._fault = fault
        self._run_id = run_id
        self.acknowledged: list[Event] = []
        self.given_up: list[tuple[str, str]] = []
        """Signals that a fence refused, and that nobody sent again: the run and the hook."""

    async def signal(self, outside: Outside) -> None:
        """Deliver one signal after another, each until it is taken or there is nobody to take it."""
        for number, signal in enumerate(outside.signals):
            await Turn(signal.after_ms)
            await self._deliver(signal, f"resume {self._run_id} {number}")
            if outside.notes:
                await self._describe(number)

    async def _deliver(self, signal: Signal, resume_id: str) -> None:
        for tried in range(TRIES):
            try:
                done = await self._fault.resume(self._world, signal.token, signal.payload, resume_id)
            except NotFound:
                await Turn(1 + tried)
            except StoreUnavailable:
                await Turn(1)
            except RunTerminal:
                return
            except (FenceConflict, PreconditionFailed):
                hook = await self._world.hook_by_token(signal.token)
                if hook is not None:
                    self.given_up.append((hook.run_id, hook.correlation_id))
                return
            else:
                self.acknowledged += done.events
                return

    async def cancel(self, after_ms: int) -> None:
        """Cancel the run, if it has not ended."""
        await self._patiently(after_ms, partial(cancel, self._world, self._run_id))

    async def describe(self, number: int) -> None:
        """Set attributes of the run while it goes on."""
        for place in range(number):
            await Turn(2)
            await self._describe(place)

    async def _describe(self, place: int) -> None:
        event = NewEvent(EventType.ATTR_SET, f"attr_{self._run_id[5:29]}{place:02d}", {"changes": {"seen": place}})
        writer = Writer("somebody", site="attributes")
        await self._patiently(0, partial(self._world.append, self._run_id, [event], _FROM_OUTSIDE, writer=writer))

    async def _patiently(self, after_ms: int, call: Callable[[], Awaitable[Appended]]) -> None:
        """Do something to the run, once it is there; to one that has ended nothing is done."""
        for tried in range(TRIES):
            if after_ms + tried:
                await Turn(after_ms + tried)
            with suppress(NotFound, RunTerminal):
                await call()
                return

    def parts(self, outside: Outside) -> dict[str, Coroutine[Any, Any, None]]:
        """The lives of one caller, by name."""
        lives: dict[str, Coroutine[Any, Any, None]] = {}
        if outside.signals:
            lives["signals"] = self.signal(outside)
        if outside.cancel_after_ms is not None:
            lives["cancel"] = self.cancel(outside.cancel_after_ms)
        if outside.attributes:
            lives["attributes"] = self.describe(outside.attributes)
        return lives

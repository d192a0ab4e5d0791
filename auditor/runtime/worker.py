"""A worker: takes messages off the queue of a world, ticks runs and executes steps until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from auditor.errors import LeaseLost, NotFound, StoreUnavailable, TooEarly, WorldError
from auditor.runtime.logs import Logs
from auditor.runtime.metrics import Metrics
from auditor.runtime.policy import FencePolicy
from auditor.runtime.registry import step_named, workflow_named
from auditor.runtime.steps import Executor, step_name
from auditor.runtime.tick import Result, Ticker
from auditor.world import Delivery, Message, MessageKind, World
from auditor.world.outbox import WAKE
from auditor.world.protocol import this_process

logger = logging.getLogger(__name__)

CONCURRENCY = 16
"""Ticks, and as many steps, that one worker has under way at once."""

LEASE_MS = 30_000
"""How long a message, or a run, is leased at a time; a lease is extended while the work goes on."""

IDLE = (0.005, 0.2)
"""Seconds between two looks at an empty queue: from the first number, doubling, to the second."""

COALESCE_MS = (20, 120)
"""When a tick that was handed back is due again: a random time between the two."""

FAILURE_DELAY_MS = 1_000
"""When a message that could not be handled is delivered again."""

UNKNOWN_DELAY_MS = 5_000
"""When a message for a workflow or a step that this worker does not know is delivered again."""

_MEMO = "divergences="


class Worker:
    """Ticks runs and executes steps.

    `policy` says which decisions are fenced. `serialise`: one tick of a run at a time, by a lease; that saves
    work, and safety never depends on it. A context manager that works while it is open, or `run` until `stop`.
    """

    def __init__(
        self,
        world: World,
        *,
        policy: FencePolicy = FencePolicy.FULL,
        serialise: bool = True,
        concurrency: int = CONCURRENCY,
        lease_ms: int = LEASE_MS,
        writer_id: str | None = None,
        chance: random.Random | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.metrics = metrics or Metrics()
        self.writer_id = writer_id or f"{this_process()}-{secrets.token_hex(2)}"
        self._world = world
        self._policy = policy
        self._serialise = serialise
        self._concurrency = concurrency
        self._lease_ms = lease_ms
        self._chance = chance or random.Random()  # noqa: S311 - spreads retries
        self._logs = Logs(world)
        self._ticker = Ticker(
            world,
            asyncio.sleep,
            self.writer_id,
            policy,
            jitter=lambda longest: longest * self._chance.uniform(0.5, 1.0),
            metrics=self.metrics,
        )
        self._executor = Executor(world, asyncio.sleep, self.writer_id, self.metrics)
        self._stopping = asyncio.Event()
        self._news = {kind: asyncio.Event() for kind in MessageKind}
        self._main: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._main = asyncio.create_task(self.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._main is not None:
            await self._main

    def stop(self) -> None:
        """Take no more messages; `run` ends when what is under way has ended."""
        self._stopping.set()
        self._tell_all()

    async def run(self) -> None:
        """Work until `stop`. Raises NotAWorld if the world is gone."""
        logger.info("worker started", extra={"writer_id": self.writer_id, "policy": self._policy.value})
        serving = [
            asyncio.create_task(self._serve(MessageKind.RUN, self._tick)),
            asyncio.create_task(self._serve(MessageKind.STEP, self._execute)),
        ]
        try:
            await asyncio.gather(*serving)
        finally:
            # If one of them cannot go on, the other one ends what is under way, too.
            self.stop()
            await asyncio.gather(*serving, return_exceptions=True)
        logger.info("worker stopped", extra={"writer_id": self.writer_id, "counts": self.metrics.totals()})

    async def _serve(self, kind: MessageKind, handle: Callable[[Delivery], Awaitable[None]]) -> None:
        running: set[asyncio.Task[None]] = set()
        gauge = self.metrics.running.labels(kind.value)
        idle = IDLE[0]

        def done(task: asyncio.Task[None]) -> None:
            running.discard(task)
            gauge.dec()
            self._tell_all()

        while not self._stopping.is_set():
            self._news[kind].clear()
            free = self._concurrency - len(running)
            deliveries = await self._receive(kind, free) if free else []
            for delivery in deliveries:
                task = asyncio.create_task(self._handled(handle, delivery))
                running.add(task)
                gauge.inc()
                task.add_done_callback(done)
            if deliveries:
                idle = IDLE[0]
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(idle):
                    await self._news[kind].wait()
                    idle = IDLE[0]
            idle = min(idle * 2, IDLE[1])
        if running:
            await asyncio.wait(running)

    def _tell_all(self) -> None:
        """Something was done: a place is free, and a message may have been sent."""
        for news in self._news.values():
            news.set()

    async def _receive(self, kind: MessageKind, limit: int) -> list[Delivery]:
        try:
            return await self._world.queue.receive([kind], limit=limit, lease_ms=self._lease_ms)
        except StoreUnavailable as error:
            self._failed(error)
            return []

    async def _handled(self, handle: Callable[[Delivery], Awaitable[None]], delivery: Delivery) -> None:
        """Handle a message while its lease is kept; what goes wrong sends it back to the queue."""
        keeping = asyncio.create_task(self._keep(delivery))
        try:
            await handle(delivery)
        except LeaseLost:
            # Somebody else was given the message; the log holds what both of them wrote.
            return
        except Exception as error:  # noqa: BLE001 - one bad message must not end the worker
            self._failed(error, delivery)
            with suppress(WorldError):
                await self._world.queue.nack(delivery, FAILURE_DELAY_MS, delivery.memo)
        finally:
            keeping.cancel()

    async def _keep(self, delivery: Delivery) -> None:
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            try:
                await self._world.queue.extend(delivery, self._lease_ms)
            except LeaseLost:
                return
            except WorldError as error:
                self._failed(error, delivery)

    def _failed(self, error: Exception, delivery: Delivery | None = None) -> None:
        self.metrics.failures.labels(type(error).__name__).inc()
        expected = isinstance(error, WorldError)
        logger.log(
            logging.WARNING if expected else logging.ERROR,
            "message could not be handled" if delivery else "store did not answer",
            extra={"run_id": delivery.run_id if delivery else None, "why": str(error)},
            exc_info=None if expected else error,
        )

    async def _tick(self, delivery: Delivery) -> None:
        run_id, queue = delivery.run_id, self._world.queue
        owner = f"{self.writer_id} {delivery.lease}"
        if self._serialise and not await queue.lease_run(run_id, owner, self._lease_ms):
            await self._later(delivery)
            return
        try:
            await self._tick_alone(delivery)
        finally:
            if self._serialise:
                with suppress(WorldError):
                    await queue.release_run(run_id, owner)

    async def _tick_alone(self, delivery: Delivery) -> None:
        queue, run_id = self._world.queue, delivery.run_id
        try:
            run, events = await self._logs.read(run_id)
        except NotFound:
            await queue.ack(delivery)
            return
        workflow = workflow_named(str(run.workflow_name))
        if workflow is None:
            self._unknown("workflow", run.workflow_name, delivery)
            await queue.nack(delivery, UNKNOWN_DELAY_MS, delivery.memo)
            return
        ticked = await self._ticker.tick(workflow, run_id, events, _divergences(delivery.memo))
        if run.completed_at is not None:
            self._logs.forget(run_id)
        if ticked.result is Result.CONFLICTS:
            await self._later(delivery)
        elif ticked.result is Result.DIVERGED:
            await queue.nack(delivery, self._chance.randint(*COALESCE_MS), f"{_MEMO}{ticked.divergences}")
        else:
            await queue.ack(delivery)

    async def _later(self, delivery: Delivery) -> None:
        """Tick the run again in a while, once for all who ask for it now; that is no failed delivery."""
        due = await self._world.now() + self._chance.randint(*COALESCE_MS)
        await self._world.queue.send(Message(MessageKind.RUN, delivery.run_id, WAKE, due))
        await self._world.queue.ack(delivery)

    async def _execute(self, delivery: Delivery) -> None:
        queue = self._world.queue
        try:
            _, events = await self._logs.read(delivery.run_id)
        except NotFound:
            await queue.ack(delivery)
            return
        name = step_name(events, str(delivery.correlation_id))
        step = step_named(name)
        if step is None:
            self._unknown("step", name, delivery)
            await queue.nack(delivery, UNKNOWN_DELAY_MS, delivery.memo)
            return
        try:
            await self._executor.execute(step, delivery, events)
        except TooEarly as early:
            await queue.nack(delivery, max(0, early.retry_at - await self._world.now()), delivery.memo)
        else:
            await queue.ack(delivery)

    def _unknown(self, what: str, name: str | None, delivery: Delivery) -> None:
        self.metrics.failures.labels(f"unknown {what}").inc()
        logger.warning(f"unknown {what}", extra={"run_id": delivery.run_id, "name_in_log": name})


def _divergences(memo: str | None) -> int:
    text = (memo or "").removeprefix(_MEMO)
    return int(text) if text.isdecimal() else 0

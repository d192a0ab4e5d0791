"""The execution of a step: its start, its function, its outcome. None is fenced: they report what happened.

At least once: a worker that dies leaves a step that is started, and it is started again when the lease of its
message has run out. What a step does to the outside has to bear that.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from auditor.errors import (
    EntityConflict,
    FatalError,
    NotFound,
    RetryableError,
    RunTerminal,
    StoreUnavailable,
)
from auditor.model.events import EventType
from auditor.model.rows import Event
from auditor.runtime.context import LONGEST_SLEEP
from auditor.runtime.metrics import Metrics
from auditor.runtime.registry import Step
from auditor.runtime.values import called, data_of, error_data, must_be_json
from auditor.world import Appended, Delivery, NewEvent, World, Writer, unfenced

logger = logging.getLogger(__name__)

T = EventType
_REPORT = unfenced("a step reports what happened, whatever was decided meanwhile")

OUTCOME_TRIES = 8
"""Times that the outcome of a step is sent while the store does not answer; then the step is run again."""


class Attempt(NamedTuple):
    """The attempt of a step that runs now; `idempotency_key` is the same at every attempt of this step."""

    run_id: str
    correlation_id: str
    attempt: int

    @property
    def idempotency_key(self) -> str:
        """What to give to others, so that they do a thing once however often this step is run."""
        return f"{self.run_id}:{self.correlation_id}"


_current: ContextVar[Attempt] = ContextVar("attempt")


def current_attempt() -> Attempt:
    """The attempt that calls this, from inside a step. Raises LookupError anywhere else."""
    return _current.get()


class StepResult(StrEnum):
    """What the execution of a step came to. gone: the run has ended, or the step had an outcome already."""

    COMPLETED = "completed"
    RETRYING = "retrying"
    FAILED = "failed"
    GONE = "gone"


@dataclass(slots=True)
class Executor:
    """Executes steps of a world. `pause` waits for seconds."""

    world: World
    pause: Callable[[float], Awaitable[None]]
    writer_id: str
    metrics: Metrics = field(default_factory=Metrics)

    async def execute(self, step: Step, delivery: Delivery, events: Sequence[Event]) -> StepResult:
        """Start a step, run its function, and append the outcome. `events` is the log that names the step.

        Raises TooEarly, and StoreUnavailable: then the message has to be delivered again.
        """
        result = await self._execute(step, delivery, events)
        self.metrics.steps.labels(result).inc()
        return result

    async def _execute(self, step: Step, delivery: Delivery, events: Sequence[Event]) -> StepResult:
        run_id, correlation_id = delivery.run_id, str(delivery.correlation_id)
        created = _creation(events, correlation_id)
        starts = sum(
            event.event_type == T.STEP_STARTED and event.correlation_id == correlation_id for event in events
        )
        send = partial(self._send, run_id, correlation_id)
        named = {"stepName": step.name}
        try:
            if starts >= step.max_attempts:
                # Whoever ran it did not live to say so.
                gone = FatalError(f"no outcome after {starts} attempts")
                await send(T.STEP_FAILED, {**named, "error": error_data(gone)}, f"given up after {starts}")
                return StepResult.FAILED
            started = await send(T.STEP_STARTED, named, f"start {delivery.lease}")
            attempt = int(data_of(started.events[-1])["attempt"])
            kind, data = await self._run(step, Attempt(run_id, correlation_id, attempt), called(data_of(created)))
            await self._report(send, kind, {**named, **data}, f"outcome {delivery.lease}")
        except (RunTerminal, EntityConflict) as refused:
            logger.info("step is over", extra={"run_id": run_id, "step": correlation_id, "why": refused.code})
            return StepResult.GONE
        return {T.STEP_COMPLETED: StepResult.COMPLETED, T.STEP_FAILED: StepResult.FAILED}.get(
            kind, StepResult.RETRYING
        )

    async def _run(
        self, step: Step, attempt: Attempt, taken: tuple[list[Any], dict[str, Any]]
    ) -> tuple[EventType, Mapping[str, Any]]:
        """Run the function; the event that its end is, and what that says."""
        args, kwargs = taken
        try:
            result = await _called(step, attempt, args, kwargs)
            must_be_json(result, f"the result of the step {step.name}")
        except FatalError as error:
            return T.STEP_FAILED, {"error": error_data(error)}
        except Exception as error:  # noqa: BLE001 - whatever a step raises is tried again
            logger.warning(
                "step raised",
                extra={
                    "run_id": attempt.run_id,
                    "step": attempt.correlation_id,
                    "attempt": attempt.attempt,
                    "error": type(error).__name__,
                },
            )
            if attempt.attempt >= step.max_attempts:
                return T.STEP_FAILED, {"error": error_data(error)}
            after = error.retry_after if isinstance(error, RetryableError) else None
            delay = after if after is not None and 0 <= after <= LONGEST_SLEEP else step.retry_after
            retry_at = await self.world.now() + round(delay * 1000)
            return T.STEP_RETRYING, {"error": error_data(error), "retryAfter": retry_at}
        return T.STEP_COMPLETED, {"result": result}

    async def _report(
        self, send: Callable[..., Awaitable[Appended]], kind: EventType, data: Mapping[str, Any], key: str
    ) -> None:
        """Append an outcome; what the step did is done, so try for a while before it has to be done again."""
        for tried in range(1, OUTCOME_TRIES + 1):
            try:
                await send(kind, data, key)
            except StoreUnavailable:
                if tried == OUTCOME_TRIES:
                    raise
                await self.pause(0.05 * 2**tried)
            else:
                return

    async def _send(
        self, run_id: str, correlation_id: str, kind: EventType, data: Mapping[str, Any], key: str
    ) -> Appended:
        return await self.world.append(
            run_id,
            [NewEvent(kind, correlation_id, data)],
            _REPORT,
            writer=Writer(self.writer_id, site="step"),
            idempotency_key=f"{correlation_id} {key}",
        )


def step_name(events: Sequence[Event], correlation_id: str) -> str:
    """The name that the creation of a step gives it. Raises NotFound if the events lack it."""
    return str(data_of(_creation(events, correlation_id)).get("stepName"))


def _creation(events: Sequence[Event], correlation_id: str) -> Event:
    for event in events:
        if event.correlation_id == correlation_id and event.event_type == T.STEP_CREATED:
            return event
    raise NotFound(f"the log does not create the step {correlation_id}", reason="no_such_step")


async def _called(step: Step, attempt: Attempt, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The result of a step's function: in a thread if it is a plain `def`, which may block."""
    token = _current.set(attempt)
    try:
        if inspect.iscoroutinefunction(step.function):
            return await step.function(*args, **kwargs)
        run = copy_context().run
        return await asyncio.get_running_loop().run_in_executor(
            None, partial(run, partial(step.function, *args, **kwargs))
        )
    finally:
        _current.reset(token)

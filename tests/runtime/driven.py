"""One replay that a test drives by hand, event by event, naming entities by their ordinals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lives import START
from programs import CREATED, event_of

from auditor.model.events import EventType
from auditor.model.rows import Event
from auditor.runtime import step
from auditor.runtime.registry import Workflow
from auditor.runtime.replayer import Raised, Replay, Returned

T = EventType


@step
def work(*_args: Any, **_more: Any) -> None:
    """A step that is never executed here."""


@step(name="other work")
def other_work(*_args: Any) -> None:
    """Another one."""


class Driven:
    """A replay of a function that is begun; its log is whatever the test says."""

    def __init__(self, function: Callable[..., Any], *args: Any, run: str | None = None, **kwargs: Any) -> None:
        self.log: list[Event] = []
        self.ms = START
        self.workflow = Workflow("driven", function)
        self.replay = Replay(self.workflow, run or event_of(1, T.RUN_CREATED).run_id)
        self.add(T.RUN_CREATED, None, input={"args": list(args), "kwargs": kwargs})
        self.add(T.RUN_STARTED)

    def add(self, kind: EventType, entity: int | str | None = None, **data: Any) -> Event:
        """Deliver one event more; an entity is named by its ordinal, or by any id."""
        name = self.id(entity) if isinstance(entity, int) else entity
        event = event_of(len(self.log) + 1, kind, name, data or None, self.ms)
        self.log.append(event)
        self.replay.deliver(event)
        return event

    def id(self, ordinal: int) -> str:
        return self.replay.allocations[ordinal].correlation_id

    def create(self) -> None:
        """Let the log have all that the workflow wants."""
        for made in self.replay.missing:
            self.add(CREATED[made.kind], made.correlation_id, **made.data)

    def complete(self, ordinal: int, result: Any = None) -> None:
        """A step has its result, or a wait is over."""
        if self.id(ordinal).startswith("wait"):
            self.add(T.WAIT_COMPLETED, ordinal)
        else:
            self.add(T.STEP_COMPLETED, ordinal, result=result)

    def fail(self, ordinal: int, message: str = "no") -> None:
        self.add(T.STEP_FAILED, ordinal, error={"name": "ValueError", "message": message})

    def receive(self, ordinal: int, payload: Any) -> None:
        self.add(T.HOOK_RECEIVED, ordinal, payload=payload)

    @property
    def waits(self) -> bool:
        return self.replay.outcome is None

    @property
    def value(self) -> Any:
        """What it has returned."""
        outcome = self.replay.outcome
        assert isinstance(outcome, Returned), outcome
        return outcome.value

    @property
    def error(self) -> BaseException:
        """What it has raised."""
        outcome = self.replay.outcome
        assert isinstance(outcome, Raised), outcome
        return outcome.error

"""The replay of one run: its workflow, driven by the events of its log.

One event is delivered, then ready tasks run first in, first out until none is ready, then the next event. Ordinals
are drawn only there, so what a replay allocates is a function of the log's prefix: for every k, the allocations of
`log[:k]` are a prefix of the allocations of `log`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from auditor.errors import HookConflict, Nondeterminism, StepFailed, StuckWorkflow
from auditor.model.events import EntityKind, EventType
from auditor.model.lifecycle import move_of
from auditor.model.rows import Event
from auditor.runtime.context import Allocation, Context
from auditor.runtime.promises import Loop, Task
from auditor.runtime.registry import Workflow
from auditor.runtime.values import called, data_of, error_data, error_of, field_of, must_be_json
from auditor.world.draft import ENDS

T = EventType
CREATIONS = {T.STEP_CREATED: EntityKind.STEP, T.WAIT_CREATED: EntityKind.WAIT, T.HOOK_CREATED: EntityKind.HOOK}
"""What creates an entity. A `hook_conflict` stands where the creation of a hook would, if its token was taken."""

_ENTITY = {kind.value: None if (move := move_of(kind)) is None else move.kind for kind in EventType}
"""What an event is about, by the text of its type; None: the run itself."""

WINDOW = 5
"""Events and allocations that a divergence shows before and behind."""

USER_ERROR = "USER_ERROR"
"""The errorCode of a run whose workflow raised."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The workflow has returned."""

    value: Any

    def described(self) -> str:
        """In a few words, for an error; not the value, which may be a secret."""
        return "returned something"

    @property
    def data(self) -> dict[str, Any]:
        """What run_completed says."""
        return {"output": self.value}


@dataclass(frozen=True, slots=True)
class Raised:
    """The workflow has raised."""

    error: BaseException

    def described(self) -> str:
        """In a few words, for an error."""
        return f"raised {type(self.error).__name__}"

    @property
    def data(self) -> dict[str, Any]:
        """What run_failed says."""
        return {"errorCode": USER_ERROR, "error": error_data(self.error)}


Outcome = Returned | Raised


class Replay:
    """One replay. Deliver events in the order of the log, and look at what the workflow has come to.

    A context manager: leaving it closes the coroutines of the workflow where they wait.
    """

    def __init__(self, workflow: Workflow, run_id: str) -> None:
        self._workflow = workflow
        self._loop = Loop()
        self._context = Context(run_id, self._loop)
        self._task: Task[Any] | None = None
        self._input: tuple[list[Any], dict[str, Any]] = ([], {})
        self._log: list[Event] = []

    @property
    def delivered(self) -> int:
        """How many events were delivered."""
        return len(self._log)

    @property
    def allocations(self) -> list[Allocation]:
        """Every entity that the workflow has created, in the order of the draws."""
        return self._context.allocations

    @property
    def missing(self) -> list[Allocation]:
        """What the workflow has created and the log has not."""
        return [made for made in self.allocations if not made.is_written]

    @property
    def disposals(self) -> list[Allocation]:
        """Hooks that the log has created, and that the workflow has let go of and the log has not."""
        return [
            made
            for made in self.allocations
            if made.hook is not None and made.hook.disposed and not made.is_closed and made.is_written
        ]

    @property
    def outcome(self) -> Outcome | None:
        """What the workflow has returned or raised; None while it waits."""
        task = self._task
        if task is None:
            return None
        if not task.done:
            if all(made.is_closed for made in self.allocations):
                return Raised(StuckWorkflow("the workflow waits, and no step, wait or hook is open"))
            return None
        try:
            value = task.result()
            must_be_json(value, "what a workflow returns")
        except BaseException as error:  # noqa: BLE001 - whatever a workflow raises is its result
            return Raised(error)
        return Returned(value)

    def deliver(self, event: Event) -> None:
        """Deliver the next event and let the workflow go on. Raises Nondeterminism."""
        self._log.append(event)
        self._context.now_ms = event.created_at
        entity = _ENTITY[event.event_type]
        if entity is not None:
            self._to_entity(event, entity)
        else:
            self._to_run(event)
        if self._loop.ready:
            self._loop.run()

    def deliver_all(self, events: Iterable[Event]) -> None:
        """Deliver events one after another. Raises Nondeterminism."""
        for event in events:
            self.deliver(event)

    def close(self) -> None:
        """Leave the workflow where it waits."""
        self._loop.close()

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _begun(self) -> Any:
        """The workflow; a call that does not fit its parameters is an error of it, too."""
        args, kwargs = self._input
        return await self._workflow.function(self._context, *args, **kwargs)

    def _to_run(self, event: Event) -> None:
        kind = event.event_type
        if kind == T.RUN_CREATED:
            self._input = called(data_of(event))
        elif kind == T.RUN_STARTED and self._task is None:
            self._task = self._loop.spawn(self._begun())
        elif kind in ENDS:
            self._to_end(event, kind)

    def _to_entity(self, event: Event, entity: EntityKind) -> None:
        kind = event.event_type
        made = self._context.by_id.get(event.correlation_id or "") or self._allocation(event)
        if made is None:
            raise self._diverged(event, "creates no such entity", f"{kind} of {event.correlation_id}")
        if made.kind is not entity:
            raise self._diverged(event, f"has {made.described()}", f"{kind} of {event.correlation_id}")
        if made.name is not None and (name := field_of(event, "stepName")) not in (None, made.name):
            raise self._diverged(event, f"has {made.described()}", f"{kind} of {event.correlation_id} ({name})")
        if kind in _CREATES:
            made.is_written = True
        if (notice := _NOTICE.get(kind)) is not None:
            notice(made, event)

    def _to_end(self, event: Event, kind: str) -> None:
        """An end that the code decided on is the one that it comes to again; others end runs for other reasons."""
        data, outcome = data_of(event), self.outcome
        if kind == T.RUN_COMPLETED:
            same = isinstance(outcome, Returned) and json.loads(json.dumps(outcome.value)) == data.get("output")
        elif kind == T.RUN_FAILED and data.get("errorCode") == USER_ERROR:
            # Only the class: the text of an error may hold what differs from process to process.
            same = isinstance(outcome, Raised) and error_data(outcome.error)["name"] == error_of(data)[0]
        else:
            return
        if not same:
            raise self._diverged(event, "still waits" if outcome is None else f"has {outcome.described()}", kind)

    def _allocation(self, event: Event) -> Allocation | None:
        by_id = self._context.by_id
        found = by_id.get(str(event.correlation_id))
        if found is not None:
            return found
        # The ordinal is in the body of the id: the same draw under another kind is the same entity to a replay.
        body = str(event.correlation_id).rpartition("_")[2]
        for kind in EntityKind:
            if (found := by_id.get(f"{kind}_{body}")) is not None:
                return found
        return None

    def _diverged(self, event: Event, expected: str, actual: str) -> Nondeterminism:
        made = self._allocation(event)
        ordinal = made.ordinal if made is not None else len(self.allocations)
        return Nondeterminism(
            position=event.position,
            expected=expected,
            actual=actual,
            around_log=[described(event) for event in self._log[-WINDOW - 1 :]],
            around_replay=[
                f"{one.ordinal}: {one.described()}"
                for one in self.allocations[max(0, ordinal - WINDOW) : ordinal + WINDOW + 1]
            ],
        )


def described(event: Event) -> str:
    """An event in one line."""
    name = data_of(event).get("stepName")
    return f"#{event.position} {event.event_type} {event.correlation_id or ''}" + (f" ({name})" if name else "")


def _conflicted(made: Allocation, event: Event) -> None:
    made.is_closed = True
    assert made.hook is not None  # noqa: S101 - a hook's allocation has one
    made.hook.fail(HookConflict(made.hook.token, field_of(event, "conflictingRunId")))


def _completed(made: Allocation, event: Event) -> None:
    if not made.is_closed:
        made.is_closed = True
        made.promise.resolve(field_of(event, "result"))


def _failed(made: Allocation, event: Event) -> None:
    if not made.is_closed:
        made.is_closed = True
        name, message = error_of(data_of(event))
        made.promise.reject(StepFailed(message, step=str(made.name), name=name))


def _elapsed(made: Allocation, _event: Event) -> None:
    if not made.is_closed:
        made.is_closed = True
        made.promise.resolve(None)


def _disposed(made: Allocation, _event: Event) -> None:
    made.is_closed = True


def _received(made: Allocation, event: Event) -> None:
    if not made.is_closed and made.hook is not None:
        made.hook.deliver(field_of(event, "payload"))


_CREATES = frozenset(kind.value for kind in (*CREATIONS, T.HOOK_CONFLICT))
_NOTICE: dict[str, Callable[[Allocation, Event], None]] = {
    T.HOOK_CONFLICT.value: _conflicted,
    T.STEP_COMPLETED.value: _completed,
    T.STEP_FAILED.value: _failed,
    T.WAIT_COMPLETED.value: _elapsed,
    T.HOOK_DISPOSED.value: _disposed,
    T.HOOK_RECEIVED.value: _received,
}
"""How an entity takes notice of an event, by the text of its type; what comes after its end is inert."""

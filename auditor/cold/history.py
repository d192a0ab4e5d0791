"""The cold replay of one run: its code, driven by its recorded log, with the event that ends the run withheld.

Every other event of the history is delivered. A log that the code would not have written shows in an event that
the replay has no use for; a workflow that is wrong in silence shows in another end. Nothing is written and no step
is executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from auditor.cold.outcome import Line, Replayed
from auditor.cold.recorded import CannotTell, canonical, must_be_ours, must_hold_its_payload, shape
from auditor.errors import Nondeterminism, UsageError
from auditor.model.events import EventType
from auditor.model.judgement import ReplayOutcome
from auditor.model.rows import Event
from auditor.runtime.context import Allocation
from auditor.runtime.registry import Workflow, workflow_of
from auditor.runtime.replayer import CREATIONS, USER_ERROR, WINDOW, Raised, Replay, Returned, described
from auditor.runtime.tick import CORRUPTED
from auditor.runtime.values import data_of, error_of
from auditor.world.draft import ENDS

T = EventType
OTHER = ReplayOutcome.OTHER_TERMINAL
CREATES = frozenset({*CREATIONS, T.HOOK_CONFLICT})


def replay_history(workflow: Workflow | Callable[..., Any], events: Iterable[Event]) -> Replayed:
    """Replay the code of a workflow on the whole log of one run, in its order, and compare its end.

    A run that completed has to return an equal output, one that failed by its own error has to raise an error of
    the same name and message, one that was given up as corrupt has to diverge. A cancellation follows from
    nothing, so any end will do; so it will for a run that is under way, unless the code raises: whether the code
    that wrote the log did so as well, its log does not say.

    Raises UsageError if the function is no workflow, or the events are not those of one run.
    """
    made = workflow if isinstance(workflow, Workflow) else workflow_of(workflow)
    log = tuple(events)
    if len({event.run_id for event in log}) != 1:
        raise UsageError("a history is the events of one run")
    try:
        must_be_ours(log)
        with Replay(made, log[0].run_id) as replay:
            return _Cold(made, log, replay).outcome()
    except CannotTell as doubt:
        return not_replayed(log[0].run_id, made.name, str(doubt))


def replay_histories(
    workflows: Iterable[Workflow | Callable[..., Any]], events: Iterable[Event]
) -> Iterator[Replayed]:
    """Replay run after run, each with the workflow that its run_created names; the events of a run stand together.

    One run is in memory at a time. A run of none of these workflows is not_replayed.
    """
    code = named(workflows)
    for run_id, group in groupby(events, key=lambda event: event.run_id):
        log = tuple(group)
        name = next(
            (data_of(event).get("workflowName") for event in log if event.event_type == T.RUN_CREATED), None
        )
        if (workflow := code.get(str(name))) is None:
            yield not_replayed(run_id, name, f"there is no code for its workflow, {name}")
        else:
            yield replay_history(workflow, log)


def named(workflows: Iterable[Workflow | Callable[..., Any]]) -> Mapping[str, Workflow]:
    """Workflows by the names that stand in logs. Raises UsageError for a function that is none, and for two of one
    name: which of them should be replayed?"""
    code: dict[str, Workflow] = {}
    for workflow in workflows:
        made = workflow if isinstance(workflow, Workflow) else workflow_of(workflow)
        if code.setdefault(made.name, made) != made:
            raise UsageError(f"two workflows have the name {made.name}; replay them one after the other")
    return code


def not_replayed(run_id: str, workflow: str | None, reason: str) -> Replayed:
    """A run of which it could not be told."""
    return Replayed(run_id, workflow, ReplayOutcome.NOT_REPLAYED, reason)


@dataclass(frozen=True, slots=True)
class _End:
    """What the workflow has come to: `kind` is None while it waits."""

    kind: EventType | None
    value: str | None
    text: str


class _Cold:
    """One replay, and the history that it is compared with."""

    def __init__(self, workflow: Workflow, log: Sequence[Event], replay: Replay) -> None:
        self._workflow = workflow
        self._log = log
        self._replay = replay
        self._end = next((place for place, event in enumerate(log) if event.event_type in ENDS), None)
        self._created = {_body(event) for event in log if event.event_type in CREATES}
        self._ordinals: dict[str, int] = {}
        self._checked = 0

    def outcome(self) -> Replayed:
        """Deliver the history and judge. Raises CannotTell."""
        end = None
        for place, event in enumerate(self._log):
            try:
                if place == self._end:
                    end = self._come_to()
                elif event.event_type not in ENDS:
                    self._deliver(event)
            except Nondeterminism as left:
                # Behind the end of the run: what comes first is told.
                wrong = end is not None and self._compared(end)
                return wrong if wrong and wrong.outcome is OTHER else self._diverged(place, left)
        return self._compared(end or self._come_to())

    def _deliver(self, event: Event) -> None:
        made = self._made(event)
        if made is not None:
            must_hold_its_payload(event, made.hook.token if made.hook is not None else None)
        try:
            self._replay.deliver(event)
        except SystemExit as left:
            # It would take a worker with it; here it must not pass for the end of a test that went well.
            raise Nondeterminism(
                position=event.position, expected="ends its process (SystemExit)", actual=event.event_type
            ) from left
        if event.event_type in CREATES:
            self._must_lack_nothing_before(event)

    def _must_lack_nothing_before(self, creation: Event) -> None:
        """Raise Nondeterminism if what the code creates before this entity is nowhere in the log.

        What a tick creates is written in the order of the draws, so the log cannot have come by this one alone.
        """
        made = self._made(creation)
        until = made.ordinal if made is not None else 0
        for earlier in self._replay.allocations[self._checked : until]:
            if earlier.correlation_id.rpartition("_")[2] not in self._created:
                raise Nondeterminism(
                    position=creation.position,
                    expected=f"creates {earlier.described()} before it",
                    actual=f"{creation.event_type} of {creation.correlation_id} without it",
                )
        self._checked = max(self._checked, until)

    def _made(self, event: Event) -> Allocation | None:
        """The entity of the code that an event is about: that of its ordinal."""
        for made in self._replay.allocations[len(self._ordinals) :]:
            self._ordinals[made.correlation_id.rpartition("_")[2]] = made.ordinal
        ordinal = self._ordinals.get(_body(event))
        return None if ordinal is None else self._replay.allocations[ordinal]

    def _come_to(self) -> _End:
        outcome = self._replay.outcome
        if isinstance(outcome, Returned):
            return _End(T.RUN_COMPLETED, canonical(outcome.value), f"returns {shape(outcome.value)}")
        if isinstance(outcome, Raised):
            name, message = error_of(outcome.data)
            return _End(T.RUN_FAILED, canonical([name, message]), f"raises {name}")
        waiting = [made.described() for made in self._replay.allocations if not made.is_closed]
        return _End(None, None, f"waits, while {_some(waiting)} open" if waiting else "waits")

    def _compared(self, end: _End) -> Replayed:
        if self._end is None:
            if end.kind is T.RUN_FAILED:
                raise CannotTell(
                    f"it is under way, and the code {end.text}; its log does not say whether it has to"
                )
            return self._replayed(ReplayOutcome.REPRODUCED)
        terminal = self._log[self._end]
        wanted = self._wanted(terminal)
        if wanted is None or (wanted.kind, wanted.value) == (end.kind, end.value):
            return self._replayed(ReplayOutcome.REPRODUCED)
        return self._replayed(
            OTHER,
            position=terminal.position,
            expected=_other(end, wanted),
            actual=wanted.text,
            log=self._log_around(self._end),
            code=self._code_around(len(self._replay.allocations)),
        )

    def _wanted(self, terminal: Event) -> _End | None:
        """What the code has to come to; None if any end will do. Raises CannotTell."""
        must_hold_its_payload(terminal, None)
        data = data_of(terminal)
        if terminal.event_type == T.RUN_CANCELLED:
            return None
        if terminal.event_type == T.RUN_COMPLETED:
            value = data.get("output")
            return _End(T.RUN_COMPLETED, canonical(value), f"run_completed with {shape(value)}")
        code = data.get("errorCode")
        if code == CORRUPTED:
            return _End(None, CORRUPTED, f"run_failed with {CORRUPTED}")
        if code != USER_ERROR:
            raise CannotTell(f"its runtime failed it with {code}, which follows from no code of a workflow")
        name, message = error_of(data)
        return _End(T.RUN_FAILED, canonical([name, message]), f"run_failed with {name}")

    def _diverged(self, place: int, left: Nondeterminism) -> Replayed:
        """The replay has left the history. Of a run that was given up as corrupt nothing else is expected."""
        if self._end is not None and data_of(self._log[self._end]).get("errorCode") == CORRUPTED:
            at = self._log[place].position
            return self._replayed(ReplayOutcome.REPRODUCED, f"it diverges at #{at}, as its runtime found")
        event = self._log[place]
        made = self._made(event)
        name = data_of(event).get("stepName")
        unnamed = isinstance(name, str) and name not in left.actual
        return self._replayed(
            ReplayOutcome.DIVERGED,
            position=event.position,
            expected=left.expected,
            actual=f"{left.actual} ({name})" if unnamed else left.actual,
            expected_name=made.name if made is not None else None,
            actual_name=name if isinstance(name, str) else None,
            log=self._log_around(place),
            code=self._code_around(made.ordinal if made is not None else len(self._replay.allocations)),
        )

    def _replayed(self, outcome: ReplayOutcome, reason: str | None = None, **more: Any) -> Replayed:
        return Replayed(self._log[0].run_id, self._workflow.name, outcome, reason, **more)

    def _log_around(self, place: int) -> tuple[Line, ...]:
        first = max(0, place - WINDOW)
        around = enumerate(self._log[first : place + WINDOW + 1], start=first)
        return tuple(Line(described(event), at == place) for at, event in around)

    def _code_around(self, ordinal: int) -> tuple[Line, ...]:
        """What the code has created around an ordinal, and what it does then."""
        allocations = self._replay.allocations
        around = allocations[max(0, ordinal - WINDOW) : ordinal + WINDOW + 1]
        lines = [Line(f"{made.ordinal}: {made.described()}", made.ordinal == ordinal) for made in around]
        if ordinal + WINDOW + 1 >= len(allocations):
            lines.append(Line(f"then it {self._come_to().text}", ordinal >= len(allocations)))
        return tuple(lines)


def _other(end: _End, wanted: _End) -> str:
    """What the code comes to instead, also where it looks alike."""
    if wanted.value == CORRUPTED:
        return f"follows it up to here, and {end.text}"
    if end.kind is not wanted.kind:
        return end.text
    if end.kind is T.RUN_COMPLETED:
        alike = wanted.text.endswith(end.text.removeprefix("returns "))
        return f"{end.text} that is not equal" if alike else end.text
    alike = wanted.text.endswith(end.text.removeprefix("raises "))
    return f"{end.text} with another message" if alike else end.text


def _body(event: Event) -> str:
    """The body of a correlation id: the ordinal is in it, so it is one entity to a replay, whatever its kind."""
    return str(event.correlation_id).rpartition("_")[2]


def _some(names: Sequence[str]) -> str:
    """Some of these names, and a verb."""
    if len(names) == 1:
        return f"{names[0]} is"
    return f"{', '.join(names[:3])}{' and others' if len(names) > 3 else ''} are"

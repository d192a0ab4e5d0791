"""Everything that can go wrong on purpose.

    AuditorError
    ├── UsageError            the call itself is wrong: unknown rule, bad option value, no such path
    │   ├── UnknownRule       a rule id that no rule file has; carries near matches
    │   └── UnknownParameter  a parameter that a rule does not have
    ├── InputError            an input cannot be read at all; names the file and what to do
    ├── RuleFileError         a rule file is malformed; names the file and the line
    ├── QueryFailed           the SQL of somebody could not be answered; carries the line
    ├── AlertFailed           an alert did not arrive; names the host and its answer, never the whole URL
    ├── WorkflowError         anything a workflow or its replay says
    │   ├── StepFailed            a step failed for good; raised where the workflow awaits it
    │   ├── HookConflict          the token of a hook was taken; raised where the workflow awaits it
    │   ├── ForeignAwaitable      the workflow waits for something that is not in the log
    │   ├── StuckWorkflow         the workflow waits, and nothing that could wake it is open
    │   ├── Nondeterminism        the log holds what the code, replayed on it, would not have written
    │   ├── WorkflowFailed        what `result` raises of a run that failed
    │   └── WorkflowCancelled     what `result` raises of a run that was cancelled
    ├── StepError             what a step raises to say how it failed
    │   ├── RetryableError        try again, after a while
    │   └── FatalError            do not try again
    └── WorldError            anything a world says
        ├── Refused           a write that is not in the log, and why; carries a code and an HTTP status
        │   ├── InvalidEvent        400 INVALID_EVENT        malformed, or not for a writer to say
        │   ├── NotFound            404 NOT_FOUND            no such run, or no such hook any more
        │   ├── FenceConflict       412 FENCE_CONFLICT       the log has moved on: decide again with `missing`
        │   ├── PreconditionFailed  412 PRECONDITION_FAILED  the same, of a weak fence
        │   ├── RunTerminal         410 RUN_TERMINAL         the run has ended
        │   ├── TooEarly            425 TOO_EARLY            not before `retry_at`
        │   └── EntityConflict      409 ENTITY_CONFLICT      the step, wait or hook is not in the state for it
        │       └── Divergence      409 ENTITY_CONFLICT      the same under the right tail: no race, our own replay
        ├── StoreUnavailable  the store cannot answer now; `outcome_unknown` says whether the write may be in
        │   ├── StoreBusy           another process holds the lock for too long
        │   └── StoreFull           no space left, or no more connections
        ├── NotAWorld         no world is there, or one that this version cannot use
        ├── LeaseLost         a message, or a run, that somebody else has been given meanwhile
        └── StreamClosed      an append to a stream that was closed

Rows that cannot be read are not errors: they are *rejects*, counted, stored and shown, and the
audit goes on with the good ones.

The codes of a refusal are types: catch the class, never match the text. 412 and 409 stay apart, so a stale writer
is never told that its work was done by somebody else.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from auditor.model.rows import Event


class AuditorError(Exception):
    """Base of every error that is meant for the user: its text says what to do, no traceback."""


class OutputClosed(AuditorError):
    """Whoever read what a command prints has stopped reading."""


class UsageError(AuditorError):
    """The call is wrong; nothing was audited."""


class UnknownRule(UsageError):
    """A rule id or group that does not exist."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "`auditor rules` lists them."
        super().__init__(f"there is no rule or group called {name!r}; {hint}")
        self.name = name
        self.near = near


class UnknownParameter(UsageError):
    """A parameter that a rule does not have; `name` is `rule.parameter`."""

    def __init__(self, rule: str, parameter: str, known: Sequence[str]) -> None:
        near = difflib.get_close_matches(parameter, known, n=3, cutoff=0.5) or known
        hint = f"is it {', '.join(near)}?" if near else "it has none."
        super().__init__(f"the rule {rule} has no parameter {parameter!r}; {hint}")
        self.name = f"{rule}.{parameter}"


class InputError(AuditorError):
    """An input that cannot be read at all."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class RuleFileError(AuditorError):
    """A rule file whose header, headings or SQL are not as a rule must be."""

    def __init__(self, path: Path | str, problem: str, line: int | None = None) -> None:
        where = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{where}: {problem}")
        self.problem = problem
        self.line = line


class QueryFailed(AuditorError):
    """A SELECT that could not be answered; `line` of it is at fault, if that is known."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(f"line {line}: {problem}" if line is not None else problem)
        self.problem = problem
        self.line = line


class AlertFailed(AuditorError):
    """An alert did not reach its receiver. A URL may be a secret: only its host is named."""

    def __init__(self, kind: str, host: str, problem: str) -> None:
        super().__init__(f"the {kind} alert did not reach {host}: {problem}")
        self.kind = kind
        self.host = host
        self.problem = problem


class WorkflowError(AuditorError):
    """Anything that a workflow, or the replay of one, says."""


class StepFailed(WorkflowError):
    """A step failed for good. `name` is the class of the error that its last attempt raised."""

    def __init__(self, message: str, *, step: str, name: str) -> None:
        super().__init__(message)
        self.step = step
        self.name = name


class HookConflict(WorkflowError):
    """The token of a hook belongs to another open hook; nothing will ever be delivered to this one."""

    def __init__(self, token: str, holder: str | None) -> None:
        super().__init__(f"the token {token!r} is taken" + (f" by run {holder}" if holder else ""))
        self.token = token
        self.holder = holder


class ForeignAwaitable(WorkflowError):
    """A workflow awaited something that its context did not give it."""


class StuckWorkflow(WorkflowError):
    """A workflow waits, and no step, wait or hook is open that could ever wake it."""


class Nondeterminism(WorkflowError):
    """The log holds what the code, replayed on the events before it, would not have written.

    `position` is the place of the first such event, `expected` what the replay makes of this entity, `actual` what
    the log says; `around_log` and `around_replay` are both sequences around it, a line an item.
    """

    def __init__(
        self,
        *,
        position: int,
        expected: str,
        actual: str,
        around_log: Sequence[str] = (),
        around_replay: Sequence[str] = (),
    ) -> None:
        super().__init__(f"the replay diverges at #{position}: the log has {actual}, the code {expected}")
        self.position = position
        self.expected = expected
        self.actual = actual
        self.around_log = tuple(around_log)
        self.around_replay = tuple(around_replay)


class WorkflowFailed(WorkflowError):
    """A run has failed. `code` is its errorCode: `USER_ERROR` or `CORRUPTED_EVENT_LOG`."""

    def __init__(self, message: str, *, code: str | None) -> None:
        super().__init__(message)
        self.code = code


class WorkflowCancelled(WorkflowError):
    """A run was cancelled."""


class StepError(AuditorError):
    """What a step raises to say how it failed. Anything else that it raises is retried as well."""


class RetryableError(StepError):
    """Try the step again; after so many seconds, if it says so."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class FatalError(StepError):
    """Do not try the step again: it has failed."""


class WorldError(AuditorError):
    """Anything that a world says instead of doing what it was asked."""


class Refused(WorldError):
    """A write that was refused: nothing of it is in the log.

    `reason` says in one word what the code means here; `expected` and `actual` are what the writer asked for and
    what the world has.
    """

    code: ClassVar[str]
    status: ClassVar[int]

    def __init__(
        self, message: str, *, reason: str | None = None, expected: str | None = None, actual: str | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.expected = expected
        self.actual = actual


class InvalidEvent(Refused):
    """A write that no state of the world could accept."""

    code = "INVALID_EVENT"
    status = 400


class NotFound(Refused):
    """The run does not exist, or the hook never did or was disposed."""

    code = "NOT_FOUND"
    status = 404


class FenceConflict(Refused):
    """The tail is not the one that the writer knew. Nothing of its decision may be sent again: decide anew.

    `missing` holds the events behind the writer's snapshot, in order; None if the world cannot tell them (the
    fence names no event of the run, or there are too many): read the log again.
    """

    code = "FENCE_CONFLICT"
    status = 412

    def __init__(self, message: str, *, expected: str, actual: str) -> None:
        super().__init__(message, reason="stale_snapshot", expected=expected, actual=actual)
        self.missing: tuple[Event, ...] | None = None


class PreconditionFailed(Refused):
    """A signal or a step outcome is newer than the state that the writer knew (`state_updated_at`)."""

    code = "PRECONDITION_FAILED"
    status = 412


class RunTerminal(Refused):
    """The run has ended; its log takes no more events."""

    code = "RUN_TERMINAL"
    status = 410


class TooEarly(Refused):
    """A wait that is not over, or a step that may not be tried yet. `retry_at` is in ms since 1970 (UTC)."""

    code = "TOO_EARLY"
    status = 425

    def __init__(self, message: str, *, retry_at: int) -> None:
        super().__init__(message, reason="not_yet")
        self.retry_at = retry_at


class EntityConflict(Refused):
    """The step, wait or hook is not in a state that allows the event; `reason` says which one it is in."""

    code = "ENTITY_CONFLICT"
    status = 409


class Divergence(EntityConflict):
    """An entity conflict under a `tail` fence that held.

    Nobody came in between, so it is no race: the replay that decided the write has left its own history.
    """


class StoreUnavailable(WorldError):
    """The store cannot answer now. Nothing that it acknowledged before is lost.

    `outcome_unknown`: the write may or may not be in the log. Send it again under the same idempotency key, or
    read the log.
    """

    def __init__(self, message: str, *, outcome_unknown: bool = False) -> None:
        super().__init__(message)
        self.outcome_unknown = outcome_unknown


class StoreBusy(StoreUnavailable):
    """Another process has held the lock of the store for longer than this one was told to wait."""


class StoreFull(StoreUnavailable):
    """The store has no space left. Nothing of the write is in it."""


class NotAWorld(WorldError):
    """There is no world at a URL, or one that this version of auditor cannot use."""


class LeaseLost(WorldError):
    """A lease has run out and was given to somebody else: what it protected may be done twice."""


class StreamClosed(WorldError):
    """A chunk for a stream that was closed; its end is final."""

"""The decision core: may this request be appended to this run, and what does it come to?

Pure: the same state, request, time and random bits give the same answer, in every store and in the simulator. A
store loads the part of the state that `RunState` names, asks `decide`, and commits what it says in one piece.

The checks, in this order; the first that fails answers (DESIGN section 5). `INVALID_EVENT` (most of it is in
`draft`), `NOT_FOUND` of the run, the idempotency key, the resume id, `NOT_FOUND` of the hook that a signal is for,
the fence, `RUN_TERMINAL`, `TOO_EARLY`, `ENTITY_CONFLICT`. The fence comes before the state of entities: a stale
writer is never told that its work was done by somebody else. Of a run that has ended no hook is looked at: a
delivery is told RUN_TERMINAL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from auditor.errors import (
    FenceConflict,
    InvalidEvent,
    NotFound,
    PreconditionFailed,
    Refused,
    RunTerminal,
)
from auditor.model.events import ROLE, TYPE_NAMES, EventType, FenceKind, WriteRole
from auditor.model.ids import milliseconds
from auditor.model.rows import NONE, Entity, Event, Refusal, Run
from auditor.world.chain import digest, event_ids, link
from auditor.world.draft import ENDS, Draft, Request
from auditor.world.entities import Change, Effect, Entities, Holder, Key, raced
from auditor.world.outbox import messages_of
from auditor.world.protocol import Message, MessageKind, Wake, after_tail

SPEC_VERSION = 3
"""The spec of a run whose writer names none: the last one of the SDK whose event ids are ULIDs."""

OPEN = frozenset({"pending", "running"})
"""Status of a run that can still grow."""

_STATUS = {
    EventType.RUN_STARTED: "running",
    EventType.RUN_COMPLETED: "completed",
    EventType.RUN_FAILED: "failed",
    EventType.RUN_CANCELLED: "cancelled",
}
_MOVES_MARKER = (WriteRole.SIGNAL, WriteRole.OUTCOME)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an idempotency key was accepted for: the digest of the request, and where its events stand."""

    key: str
    body: str
    first: int
    last: int


@dataclass(slots=True)
class RunState:
    """What a request touches, and no more, so that an append costs the same however long the run is.

    `entities`: those that the request names, as far as they exist. `holders`: of the tokens that it names, those
    that are taken. `resumed`: the event of its resume id. `resolved`: the last event older than its `as_of`.
    """

    run: Run | None
    entities: dict[Key, Entity] = field(default_factory=dict)
    remembered: Remembered | None = None
    resumed: Event | None = None
    holders: dict[str, Holder] = field(default_factory=dict)
    resolved: str | None = None


class Accepted(NamedTuple):
    """What one append changes, to be committed whole. `before`: the version of the run that it was decided on."""

    before: int
    run: Run
    events: tuple[Event, ...]
    change: Change
    messages: tuple[Message, ...]
    remembered: Remembered | None

    @property
    def ended(self) -> bool:
        """The run is over: its tokens are released, its waiting messages are dropped, its hooks are disposed."""
        return self.run.status not in OPEN


@dataclass(frozen=True, slots=True)
class Repeated:
    """The request is in the log already, as the events of these positions."""

    first: int
    last: int


Decision = Accepted | Repeated | Refused
Draw = Callable[[int], int]


def decide(state: RunState, request: Request, now: int, draw: Draw) -> Decision:
    """The answer to a request. `now` is the store's clock in ms; `draw(bits)` gives that many random bits."""
    try:
        return _seen(state, request, now) or _accepted(state, request, now, draw)
    except Refused as refused:
        return refused


def refusals(state: RunState, request: Request, refused: Refused, now: int) -> Iterator[Refusal]:
    """The rows of the journal for a refused request: one an event, none for what is malformed or names no run."""
    if state.run is None or isinstance(refused, InvalidEvent):
        return
    append = request.append
    for draft in request.drafts:
        yield Refusal(
            run_id=append.run_id,
            event_type=draft.event_type.value,
            correlation_id=draft.correlation_id,
            fence=append.fence.text() if append.fence is not None else None,
            tail_at_refusal=state.run.tail or NONE,
            code=refused.code,
            reason=refused.reason,
            expected=refused.expected,
            actual=refused.actual,
            request_id=append.request_id,
            tick_id=append.writer.tick_id,
            writer_id=append.writer.writer_id,
            site=append.writer.site,
            write_attempt=append.writer.attempt,
            refused_at=now,
        )


def _seen(state: RunState, request: Request, now: int) -> Repeated | None:
    """What is said before the fence is judged."""
    run = state.run
    if (as_of := request.as_of) is not None and as_of > max(now, after_tail(run.tail if run else None)):
        raise InvalidEvent(
            f"as_of lies {as_of - now} ms in the future of the store's clock; pass that of a snapshot"
        )
    creates = request.drafts[0].event_type is EventType.RUN_CREATED
    if run is None and not creates:
        raise NotFound(f"there is no run {request.append.run_id}", reason="no_such_run")
    if (known := state.remembered) is not None:
        if known.body != request.body:
            raise InvalidEvent(f"the idempotency key {known.key!r} was used for another request")
        return Repeated(known.first, known.last)
    if (resumed := state.resumed) is not None:
        if resumed.correlation_id != request.drafts[0].correlation_id:
            raise InvalidEvent(f"the resume id {resumed.resume_id!r} names a delivery to another hook")
        return Repeated(resumed.position, resumed.position)
    return None


def _accepted(state: RunState, request: Request, now: int, draw: Draw) -> Accepted:
    before = state.run or _unborn(request, now)
    now = max(now, before.updated_at)
    entities = Entities(request.append.run_id, state.entities, now)
    if before.status in OPEN:
        entities.must_be_reachable(request.drafts)
    _judge_fence(state, request)
    if before.status not in OPEN:
        raise RunTerminal(f"the run is {before.status}; its log takes no more events", actual=before.status)
    entities.must_be_due(request.drafts)
    run = before
    events: list[Event] = []
    messages: list[Message] = []
    ids = event_ids(max(now, after_tail(before.tail)), draw)
    for draft in request.drafts:
        _judge_run(run, draft, request.tail is not None)
        effect = entities.apply(draft, state.holders, proven=request.tail is not None)
        event = _event(request, draft, effect, next(ids), before, run, state.resolved, now)
        run = _after(run, draft, event)
        events.append(event)
        messages += messages_of(event, effect.due)
    if run.status not in OPEN:
        messages = messages_of(events[-1], None)
        entities.close_hooks()
    messages += [_asked(request.append.run_id, wake, now) for wake in request.append.wake]
    return Accepted(
        before=before.version,
        run=run,
        events=tuple(events),
        change=entities.change,
        messages=_merged(messages),
        remembered=_remembered(request, before.version, run.version),
    )


def _judge_fence(state: RunState, request: Request) -> None:
    """Raise FenceConflict or PreconditionFailed unless the fence of the request holds."""
    fence = request.append.fence
    if fence is None:
        return
    run = state.run
    actual = NONE if run is None or run.tail is None else run.tail
    if fence.kind is FenceKind.TAIL:
        _compare(fence.value or NONE, actual)
    elif fence.kind is FenceKind.AS_OF:
        _compare(state.resolved or NONE, actual)
    elif fence.kind is FenceKind.STATE_UPDATED_AT and run is not None and run.marker > int(fence.value or 0):
        raise PreconditionFailed(
            f"a signal or a step outcome of {run.marker} is newer than the state of {fence.value}: read again",
            reason="newer_signal",
            expected=fence.value,
            actual=str(run.marker),
        )


def _compare(expected: str, actual: str) -> None:
    if expected != actual:
        raise FenceConflict(
            f"the tail of the run is {actual}, not {expected}: merge what is missing and decide again",
            expected=expected,
            actual=actual,
        )


def _judge_run(run: Run, draft: Draft, proven: bool) -> None:
    """Raise EntityConflict if the run is not in a state for an event of its own."""
    reason = None
    if draft.event_type is EventType.RUN_CREATED and run.version > 0:
        reason = "already_created"
    elif draft.event_type is EventType.RUN_STARTED and run.started_at is not None:
        reason = "already_started"
    if reason is not None:
        said = reason.replace("_", " ")
        raise raced(proven)(f"the run {run.run_id} is {said}", reason=reason, actual=run.status)


def before_first(run_id: str, created: Draft, spec_version: int | None, now: int) -> Run:
    """A run before its first event: what its run_created says of it."""
    context = created.data.get("executionContext")
    core = context.get("workflowCoreVersion") if isinstance(context, dict) else None
    return Run(
        run_id=run_id,
        workflow_name=created.named("workflowName"),
        deployment_id=created.named("deploymentId"),
        core_version=core if isinstance(core, str) else None,
        spec_version=spec_version,
        status="pending",
        created_at=now,
        updated_at=now,
        started_at=None,
        completed_at=None,
        error_code=None,
        version=0,
        tail=None,
        hash=None,
        marker=0,
    )


def _unborn(request: Request, now: int) -> Run:
    created = request.drafts[0]
    spec_version = SPEC_VERSION if created.spec_version is None else created.spec_version
    return before_first(request.append.run_id, created, spec_version, now)


def _after(run: Run, draft: Draft, event: Event) -> Run:
    """The run with one event more."""
    kind = draft.event_type
    status = _STATUS.get(kind, run.status)
    ended = kind in ENDS
    return run._replace(
        status=status,
        updated_at=event.created_at,
        started_at=event.created_at if kind is EventType.RUN_STARTED else run.started_at,
        completed_at=event.created_at if ended else None,
        error_code=draft.named("errorCode") if kind is EventType.RUN_FAILED else None,
        version=event.position,
        tail=event.event_id,
        hash=event.hash,
        marker=(milliseconds(event.event_id) or 0) if ROLE[kind] in _MOVES_MARKER else run.marker,
    )


def _event(
    request: Request,
    draft: Draft,
    effect: Effect,
    event_id: str,
    before: Run,
    run: Run,
    resolved: str | None,
    now: int,
) -> Event:
    """The event as it is stored; `before` is the run before the batch, `run` the run before this event."""
    append = request.append
    fence = append.fence
    text = kind = value = None
    if fence is not None:
        kind, value = str(fence.kind), fence.value
        text = fence.text((resolved or NONE) if fence.kind is FenceKind.AS_OF else None)
    name = TYPE_NAMES[effect.event_type]
    spec_version = run.spec_version if draft.spec_version is None else draft.spec_version
    data_sha256 = None if effect.text is None else digest(effect.text)
    return Event(
        run_id=append.run_id,
        position=run.version + 1,
        event_id=event_id,
        event_type=name,
        correlation_id=draft.correlation_id,
        created_at=now,
        occurred_at=draft.occurred_at,
        spec_version=spec_version,
        resume_id=draft.resume_id,
        data=effect.text,
        data_sha256=data_sha256,
        fence=text,
        tail_at_commit=before.tail or NONE,
        commit_seq=None,
        request_id=append.request_id,
        tick_id=append.writer.tick_id,
        writer_id=append.writer.writer_id,
        site=append.writer.site,
        write_attempt=append.writer.attempt,
        prev_hash=run.hash,
        hash=link(
            prev_hash=run.hash,
            position=run.version + 1,
            event_id=event_id,
            event_type=name,
            correlation_id=draft.correlation_id,
            created_at=now,
            spec_version=spec_version,
            fence_kind=kind,
            fence_value=value,
            data_sha256=data_sha256,
        ),
    )


def _merged(messages: list[Message]) -> tuple[Message, ...]:
    """One message a key, due at the earliest of their times."""
    merged: dict[str, Message] = {}
    for message in messages:
        known = merged.get(message.key)
        if known is None or message.deliver_at < known.deliver_at:
            merged[message.key] = message
    return tuple(merged.values())


def _asked(run_id: str, wake: Wake, now: int) -> Message:
    return Message(MessageKind.RUN, run_id, wake.key, now if wake.at is None else wake.at)


def _remembered(request: Request, before: int, after: int) -> Remembered | None:
    if request.append.idempotency_key is None or request.body is None:
        return None
    return Remembered(request.append.idempotency_key, request.body, before + 1, after)

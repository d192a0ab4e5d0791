"""A request to append, looked at without any state: what no world could accept is refused here (INVALID_EVENT)."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

from auditor.errors import InvalidEvent
from auditor.model.events import EventType, FenceKind
from auditor.model.lifecycle import Move, move_of
from auditor.world import fences
from auditor.world.chain import digest
from auditor.world.fences import Fence
from auditor.world.protocol import Append, NewEvent

MAX_EVENTS = 1_000
"""Events in one append."""

MAX_DATA = 16 << 20
"""Bytes in the data of one event."""

MAX_ID = 255
"""Characters of an id, a key or a token."""

ENDS = frozenset({EventType.RUN_COMPLETED, EventType.RUN_FAILED, EventType.RUN_CANCELLED})

_WORLD_ONLY = frozenset({EventType.HOOK_CONFLICT, EventType.NOOP})
_TYPES = {kind.value: kind for kind in EventType}
_NEEDS = {
    EventType.RUN_CREATED: "workflowName",
    EventType.STEP_CREATED: "stepName",
    EventType.HOOK_CREATED: "token",
}
_NAMES = ("workflowName", "deploymentId", "stepName", "errorCode")
_MOMENTS = {
    EventType.WAIT_CREATED: "resumeAt",
    EventType.WAIT_COMPLETED: "resumeAt",
    EventType.STEP_RETRYING: "retryAfter",
    EventType.HOOK_CREATED: "tokenRetentionUntil",
}
"""Where an event says when a wait is over, a step may be tried again, a token is free."""

_LAST_NUMBER = 2**31 - 1
_LAST_MOMENT = 253_402_300_799_999


class Draft(NamedTuple):
    """One event that can be decided on: its data as text, and what the world reads in it."""

    event_type: EventType
    move: Move | None
    correlation_id: str | None
    data: Mapping[str, Any]
    text: str | None
    resume_id: str | None
    occurred_at: int | None
    spec_version: int | None
    moment: int | None = None

    def named(self, key: str) -> str | None:
        """A text in the data, or None."""
        value = self.data.get(key)
        return value if isinstance(value, str) else None


class Request(NamedTuple):
    """An append whose events are drafts.

    `body` is the digest of what it says; None if no key asks for it. `tail` and `as_of` are the values of such a
    fence, `resume_id` is that of its one event; None if it has none.
    """

    append: Append
    drafts: tuple[Draft, ...]
    body: str | None
    tail: str | None
    as_of: int | None
    resume_id: str | None


def drafted(append: Append) -> Request:
    """The request, ready to be decided on. Raises InvalidEvent."""
    _must_be_named(append)
    if append.fence is not None:
        _must_be_fence(append.fence)
    if not 1 <= len(append.events) <= MAX_EVENTS:
        raise InvalidEvent(f"an append has 1 to {MAX_EVENTS} events, not {len(append.events)}")
    drafts = tuple(_draft(event) for event in append.events)
    for place, draft in enumerate(drafts):
        if draft.event_type in ENDS and place < len(drafts) - 1:
            raise InvalidEvent(f"{draft.event_type} ends the run; nothing can stand behind it")
        if draft.event_type is EventType.RUN_CREATED and place > 0:
            raise InvalidEvent("run_created is the first event of a run; nothing can stand before it")
        if draft.resume_id is not None and len(drafts) > 1:
            raise InvalidEvent("an event with a resume id is an append of its own: it may be in the log already")
    kind, value = (None, None) if append.fence is None else (append.fence.kind, append.fence.value)
    return Request(
        append,
        drafts,
        body=None if append.idempotency_key is None else _body(append, drafts),
        tail=value if kind is FenceKind.TAIL else None,
        as_of=int(value or 0) if kind is FenceKind.AS_OF else None,
        resume_id=drafts[0].resume_id,
    )


def _draft(event: NewEvent) -> Draft:
    event_type = _TYPES.get(event.event_type) if isinstance(event.event_type, str) else None
    if event_type is None:
        raise InvalidEvent(f"there is no event type {_shown(event.event_type)}")
    if event_type in _WORLD_ONLY:
        raise InvalidEvent(f"{event_type} is written by the world alone")
    move = move_of(event_type)
    if event.correlation_id is not None:
        _must_be_id("correlation id", event.correlation_id)
        if move is None and event_type is not EventType.ATTR_SET:
            raise InvalidEvent(f"{event_type} is about the run itself; it takes no correlation id")
    elif move is not None:
        raise InvalidEvent(f"{event_type} needs the correlation id of its {move.kind}")
    if event.resume_id is not None:
        _must_be_id("resume id", event.resume_id)
        if event_type is not EventType.HOOK_RECEIVED:
            raise InvalidEvent(f"a resume id names a delivery to a hook; {event_type} is none")
    _must_be_number("time at which an event occurred", event.occurred_at, _LAST_MOMENT)
    _must_be_number("spec version", event.spec_version, _LAST_NUMBER)
    data = {} if event.data is None else event.data
    text = None if event.data is None else json_text(event.data)
    name = _MOMENTS.get(event_type)
    moment = (
        None
        if name is None
        else milliseconds_of(data.get(name), name, needed=event_type is EventType.WAIT_CREATED)
    )
    if name is not None and moment is not None and not isinstance(data[name], str):
        # The log has times in ISO 8601 only.
        data = {**data, name: iso(moment)}
        text = json_text(data)
    if text is not None and "\\u0000" in text:
        _must_be_names(data)
    needed = _NEEDS.get(event_type)
    if needed is not None and not (isinstance(data.get(needed), str) and data[needed]):
        raise InvalidEvent(f"{event_type} needs {needed} in its data")
    if event_type is EventType.HOOK_CREATED:
        _must_be_id("token", data["token"])
    return Draft(
        event_type=event_type,
        move=move,
        correlation_id=event.correlation_id,
        data=data,
        text=text,
        resume_id=event.resume_id,
        occurred_at=event.occurred_at,
        spec_version=event.spec_version,
        moment=moment,
    )


def milliseconds_of(value: object, name: str, *, needed: bool = False) -> int | None:
    """A time of the log (ISO 8601, or ms since 1970) in ms. Raises InvalidEvent if it is none."""
    if value is None and not needed:
        return None
    moment = None
    if isinstance(value, int) and not isinstance(value, bool):
        moment = value
    elif isinstance(value, str):
        with suppress(ValueError):
            moment = _since_1970(value)
    if moment is None or not 0 <= moment <= _LAST_MOMENT:
        raise InvalidEvent(f"{name} must be a time in ISO 8601, or in ms since 1970, not {_shown(value)}")
    return moment


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


# Whoever replays a log reads the same times again.
@lru_cache(maxsize=1_024)
def _since_1970(text: str) -> int:
    moment = dt.datetime.fromisoformat(text)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)) - _EPOCH) // dt.timedelta(milliseconds=1)


def iso(milliseconds: int) -> str:
    """A time in ms since 1970 as the SDK writes it."""
    moment = _EPOCH + dt.timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def json_text(data: Mapping[str, Any]) -> str:
    """The text of an event's data, which its digest speaks of. Raises InvalidEvent if it is no JSON."""
    try:
        text = _encode(data)
        size = len(text) if text.isascii() else len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEvent(f"the data of an event must be a JSON object: {error}") from None
    if not text.startswith("{"):
        raise InvalidEvent("the data of an event must be a JSON object")
    if size > MAX_DATA:
        raise InvalidEvent(f"the data of an event has {size} bytes; more than {MAX_DATA} belong into a stream")
    return text


def _must_be_names(data: Mapping[str, Any]) -> None:
    """Raise InvalidEvent if a name that the world keeps has a character that no store can keep."""
    context = data.get("executionContext")
    names = [data.get(key) for key in _NAMES]
    if isinstance(context, dict):
        names.append(context.get("workflowCoreVersion"))
    if any(isinstance(name, str) and "\0" in name for name in names):
        raise InvalidEvent("a name in the data of an event holds the character U+0000")


def _must_be_named(append: Append) -> None:
    writer = append.writer
    _must_be_id("run id", append.run_id)
    _must_be_id("request id", append.request_id)
    _must_be_id("writer id", writer.writer_id)
    if writer.tick_id is not None:
        _must_be_id("tick id", writer.tick_id)
    if writer.site is not None:
        _must_be_id("site", writer.site)
    if append.idempotency_key is not None:
        _must_be_id("idempotency key", append.idempotency_key)
    _must_be_number("attempt of a writer", writer.attempt, _LAST_NUMBER)
    if append.since is not None:
        _must_be_number("position to read on from", append.since, _LAST_MOMENT)
    for wake in append.wake:
        _must_be_id("key of a wake", wake.key)
        _must_be_number("time of a wake", wake.at, _LAST_MOMENT)


def _must_be_number(what: str, number: object, last: int) -> None:
    whole = isinstance(number, int) and not isinstance(number, bool)
    if number is not None and not (whole and 0 <= number <= last):  # type: ignore[operator]
        raise InvalidEvent(f"the {what} is a whole number from 0 to {last}, not {_shown(number)}")


def _must_be_id(what: str, text: object) -> None:
    if not isinstance(text, str) or not 0 < len(text) <= MAX_ID or not text.isprintable():
        raise InvalidEvent(f"a {what} is a text of 1 to {MAX_ID} printable characters, not {_shown(text)}")


def _shown(value: object) -> str:
    """A value in a message: a text from its beginning, of anything else what it is."""
    return repr(value[:40]) if isinstance(value, str) else f"of the type {type(value).__name__}"


def _must_be_fence(fence: Fence) -> None:
    fences.must_be_valid(fence)
    if fence.kind is FenceKind.TAIL:
        _must_be_id("tail", fence.value)


def _body(append: Append, drafts: tuple[Draft, ...]) -> str:
    """The digest of what a request says; the fence is no part of it, and neither is who sent it."""
    events = [[d.event_type, d.correlation_id, d.text, d.resume_id, d.occurred_at, d.spec_version] for d in drafts]
    return digest(json.dumps([events, [[wake.at, wake.key] for wake in append.wake]]))

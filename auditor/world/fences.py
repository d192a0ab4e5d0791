"""Fences: the condition a write carries ("append only if ...").

`tail` is the one that proves something. The weak fences exist for writers that speak an older protocol of the SDK;
each says below what it does not prove. An append without a condition is `unfenced`, with a reason; it still moves
the tail, so fenced writers chain off it.

Source: vercel/workflow #2113 (tail), #2266 (state_updated_at), and DESIGN section 5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii

from auditor.errors import InvalidEvent
from auditor.model.events import FenceKind
from auditor.model.rows import NONE

_KINDS = {FenceKind.TAIL, FenceKind.AS_OF, FenceKind.STATE_UPDATED_AT, FenceKind.UNFENCED}
_MAX_MS = 1 << 48
_MOMENT = re.compile("[0-9]{1,15}")


def _quoted(text: str | None) -> str:
    return "null" if text is None else encode_basestring_ascii(text)


@dataclass(frozen=True, slots=True)
class Fence:
    """The condition of one append. Made by the functions of this module."""

    kind: FenceKind
    value: str | None = None
    reason: str | None = None

    def text(self, resolved: str | None = None) -> str:
        """The JSON that the log keeps; `resolved` is the event id that the world took a weak fence to mean."""
        parts = [f'"kind":"{self.kind}"', f'"value":{_quoted(self.value)}']
        if resolved is not None:
            parts.append(f'"resolved":{_quoted(resolved)}')
        if self.reason is not None:
            parts.append(f'"reason":{_quoted(self.reason)}')
        return "{" + ",".join(parts) + "}"


def tail(event_id: str | None) -> Fence:
    """Append only if the run's last event is this one; None: only if the run has no event.

    Proves that the writer had read every event that the log held when its write was committed. It does not prove
    that the writer read them right.
    """
    return Fence(FenceKind.TAIL, event_id or NONE)


def as_of(milliseconds: int) -> Fence:
    """Append only if nothing was committed since this moment, the `as_of` of what the writer read.

    The world takes it to mean the last event whose id is older than the moment, and compares that with the tail.
    With the `as_of` of a snapshot it proves what `tail` does. With a time from anywhere else it does not prove
    that the writer had read the events before it, and it may refuse a writer that had read everything: time in ids
    can run ahead of clocks.
    """
    return Fence(FenceKind.AS_OF, str(milliseconds))


def state_updated_at(milliseconds: int) -> Fence:
    """Append only if no signal and no step outcome is newer than this time, that of the newest id that was read.

    Does not prove that the writer knew the decisions of other replays: two writers with one snapshot both pass,
    and both write. Neither does it see an event that is missing below the time.
    """
    return Fence(FenceKind.STATE_UPDATED_AT, str(milliseconds))


def unfenced(reason: str) -> Fence:
    """Append whatever was committed since. Proves nothing; the reason is kept with the event."""
    return Fence(FenceKind.UNFENCED, None, reason)


def from_request(
    last_known_event_id: str | None = None,
    as_of_timestamp: int | None = None,
    state_updated_at_ms: int | None = None,
) -> Fence | None:
    """The fence that a request of the SDK means: the strongest that it names, None if it names none.

    A time beside an event id is ignored: the id says more.
    """
    if last_known_event_id is not None:
        return tail(last_known_event_id)
    if as_of_timestamp is not None:
        return as_of(as_of_timestamp)
    if state_updated_at_ms is not None:
        return state_updated_at(state_updated_at_ms)
    return None


def must_be_valid(fence: Fence) -> None:
    """Raise InvalidEvent unless a world can judge this fence."""
    if fence.kind not in _KINDS:
        raise InvalidEvent(f"this world judges no {fence.kind} fence; send the id of the last event (tail)")
    if fence.reason is not None and not _is_text(fence.reason):
        raise InvalidEvent("the reason of a fence is a text in Unicode")
    if fence.kind is FenceKind.UNFENCED:
        if not fence.reason:
            raise InvalidEvent("an append without a fence needs a reason: unfenced('a signal from outside')")
        if fence.value is not None:
            raise InvalidEvent("an append without a fence has no value to compare")
    elif not fence.value or not isinstance(fence.value, str):
        raise InvalidEvent(f"a {fence.kind} fence needs a value, a text")
    elif fence.kind is not FenceKind.TAIL and not (_MOMENT.fullmatch(fence.value) and int(fence.value) < _MAX_MS):
        raise InvalidEvent(f"a {fence.kind} fence carries milliseconds since 1970, not {fence.value[:40]!r}")


def _is_text(value: object) -> bool:
    """Whether a value can be stored: half a surrogate pair cannot."""
    return isinstance(value, str) and (value.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in value))

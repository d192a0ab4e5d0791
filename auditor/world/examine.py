"""The log of one run, examined event by event: is it whole, is it what was written, and did its fences hold?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from auditor.model.events import FenceKind
from auditor.model.ids import milliseconds
from auditor.model.rows import NONE, Event
from auditor.world.chain import digest, hash_of
from auditor.world.folding import Fold


class FaultKind(StrEnum):
    """What a fault is about."""

    COLUMN = "column"
    POSITION = "position"
    ID_ORDER = "id-order"
    CHAIN = "chain"
    DIGEST = "digest"
    REQUEST = "request"
    TAIL = "tail"
    FENCE = "fence"
    LIFECYCLE = "lifecycle"
    HEAD = "head"
    RUN = "run"
    ENTITY = "entity"
    OUTBOX = "outbox"
    DEAD_LETTER = "dead-letter"
    EXPECTED = "expected"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as a world leaves it. `position` is that of an event; None: it is about the run."""

    run_id: str
    position: int | None
    kind: FaultKind
    because: str


Report = Callable[[FaultKind, int | None, str], None]

_NUMBERS = {"position", "created_at", "occurred_at", "spec_version", "commit_seq", "write_attempt"}
_NEVER_NULL = {"run_id", "position", "event_id", "event_type", "created_at", "tail_at_commit", "request_id"}
_COLUMNS = tuple((name, int if name in _NUMBERS else str, name not in _NEVER_NULL) for name in Event._fields)


@dataclass(slots=True)
class _Batch:
    """The append that an event is part of: the tail and the marker that it met. None: that cannot be told."""

    request_id: str
    tail: str | None
    marker: int


class Examination:
    """Takes the events of one run in order, and reports what is wrong with each.

    Causes are reported, not what follows from them: behind an event that is missing or was edited, what depends on
    it is not judged. `is_intact`: nothing is missing and nothing was edited, so rows can be compared with `fold`.
    """

    def __init__(self, report: Report, expected: str | None) -> None:
        self.fold = Fold()
        self.last: Event | None = None
        self.is_intact = True
        self.is_last_sure = True
        self.expected_at: int | None = None
        self._report = report
        self._expected = expected
        self._hashes: set[str | None] = {None}
        self._moment: int | None = None
        self._batch: _Batch | None = None

    @property
    def hashes(self) -> set[str | None]:
        """What may be called the hash of the last event: as stored, and as computed."""
        return self._hashes

    def take(self, event: Event) -> None:
        """Examine the next event."""
        fence = _fence(event.fence)
        if (wrong := _wrong_column(event, fence)) is not None:
            self._break(FaultKind.COLUMN, event, wrong)
            self.last, self.is_last_sure, self._batch, self._hashes = event, False, None, {event.hash}
            return
        is_next = self._is_next(event)
        moment = milliseconds(event.event_id)
        hashed = hash_of(event, fence)
        is_linked = self._is_linked(event, hashed, is_next=is_next)
        self._judge_digest(event)
        self._enter_batch(event, moment, is_known=is_next and is_linked and self.is_last_sure)
        if is_linked:
            self._judge_id(event, moment)
            self._judge_fence(event, fence)
        if self.is_intact and (against := self.fold.take(event)) is not None:
            self._report(FaultKind.LIFECYCLE, event.position, f"no world takes this event here: {against}")
        self.last, self.is_last_sure, self._hashes = event, is_linked, {event.hash, hashed}
        if self._expected is not None and self._expected == event.hash == hashed:
            self.expected_at = event.position

    def _break(self, kind: FaultKind, event: Event, because: str) -> None:
        self.is_intact = False
        position = event.position if isinstance(event.position, int) else None
        self._report(kind, position, because)

    def _is_next(self, event: Event) -> bool:
        """Whether nothing is missing between the last event and this one."""
        before = self.last.position if self.last is not None else 0
        if not isinstance(before, int) or event.position == before + 1:
            return isinstance(before, int)
        missing = event.position - before - 1
        self._break(
            FaultKind.POSITION,
            event,
            f"it follows #{before}: {missing} {'event is' if missing == 1 else 'events are'} missing between them"
            if before
            else "the log begins with it",
        )
        return False

    def _judge_id(self, event: Event, moment: int | None) -> None:
        if moment is None:
            self._report(FaultKind.ID_ORDER, event.position, f"its id {event.event_id} carries no time")
        elif self.last is not None and self.is_last_sure and event.event_id <= self.last.event_id:
            self._report(
                FaultKind.ID_ORDER,
                event.position,
                f"its id {event.event_id} is not above {self.last.event_id}, which stands before it",
            )

    def _is_linked(self, event: Event, hashed: str, *, is_next: bool) -> bool:
        """Whether the event is what its hash was made of, and carries on the hash of the one before it."""
        if event.hash != hashed:
            self._break(FaultKind.CHAIN, event, "it is not what its hash was made of")
            return False
        if is_next and event.prev_hash not in self._hashes:
            self._break(FaultKind.CHAIN, event, "it does not carry on the hash of the event before it")
            return False
        return True

    def _judge_digest(self, event: Event) -> None:
        if event.data is not None and event.data_sha256 != digest(event.data):
            self._break(FaultKind.DIGEST, event, "its data is not that of its dataSha256")

    def _enter_batch(self, event: Event, moment: int | None, *, is_known: bool) -> None:
        """The events of one append share a millisecond of their ids with no other append."""
        batch, last = self._batch, self.last
        if batch is None or last is None or moment is None or moment != self._moment:
            tail = None if not is_known else NONE if last is None else last.event_id
            marker = self.fold.run.marker if self.fold.run is not None else 0
            self._batch = batch = _Batch(event.request_id, tail, marker)
            self._moment = moment
        elif event.request_id != batch.request_id:
            self._report(
                FaultKind.REQUEST,
                event.position,
                f"it was appended with #{event.position - 1}, but names another request",
            )
        if batch.tail is not None and event.tail_at_commit != batch.tail:
            self._report(
                FaultKind.TAIL,
                event.position,
                f"its tailAtCommit is {event.tail_at_commit}, but the log ended at {batch.tail} then",
            )

    def _judge_fence(self, event: Event, fence: dict[str, Any]) -> None:
        batch = self._batch
        if batch is None or batch.tail is None:
            return
        kind, value = fence.get("kind"), fence.get("value")
        tail, because = batch.tail, None
        match kind:
            case None | FenceKind.UNFENCED:
                pass
            case FenceKind.TAIL:
                if value != tail:
                    because = f"its tail fence names {value}"
            case FenceKind.AS_OF:
                if fence.get("resolved") != tail:
                    because = f"its as_of fence was resolved to {fence.get('resolved')}"
                elif tail != NONE and _moment(value) <= (milliseconds(tail) or 0):
                    because = f"its as_of fence of {value} does not reach that far"
            case FenceKind.STATE_UPDATED_AT:
                if _moment(value) < batch.marker:
                    because = f"its state_updated_at fence of {value} is older than a signal of {batch.marker}"
            case _:
                because = f"its {kind} fence is none that a world judges"
        if because is not None:
            self._report(FaultKind.FENCE, event.position, f"{because}; the log ended at {tail} then")


def _wrong_column(event: Event, fence: dict[str, Any]) -> str | None:
    for (name, kind, is_optional), value in zip(_COLUMNS, event, strict=True):
        if type(value) is not kind and not (value is None and is_optional):
            wanted = "a number" if kind is int else "text"
            return f"its column {name} holds {str(value)[:40]!r}, which is not {wanted}"
    if event.fence is not None and not isinstance(fence.get("kind"), str):
        return f"its column fence holds {event.fence[:40]!r}, which is no fence"
    return None


def _fence(text: object) -> dict[str, Any]:
    """The fence of an event; empty where there is none, or it cannot be read."""
    try:
        fence = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return {}
    return fence if isinstance(fence, dict) else {}


def _moment(value: object) -> int:
    """The time of a weak fence, in ms since 1970; before all times if it is none."""
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 16 else -1

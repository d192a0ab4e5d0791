"""What the events of a run come to: the rows that its world should hold, by the same code that made them."""

from __future__ import annotations

import json
from typing import Any

from auditor.errors import InvalidEvent, Refused
from auditor.model.events import ROLE, EventType, WriteRole
from auditor.model.ids import milliseconds
from auditor.model.lifecycle import move_of
from auditor.model.rows import Entity, Event, Run
from auditor.world.decision import before_first
from auditor.world.draft import ENDS, Draft, milliseconds_of
from auditor.world.entities import Entities, Key, is_closed

_STATUS = {
    EventType.RUN_STARTED: "running",
    EventType.RUN_COMPLETED: "completed",
    EventType.RUN_FAILED: "failed",
    EventType.RUN_CANCELLED: "cancelled",
}
_MOMENTS = {
    EventType.WAIT_CREATED: "resumeAt",
    EventType.STEP_RETRYING: "retryAfter",
    EventType.HOOK_CREATED: "tokenRetentionUntil",
}
_READ = {EventType.RUN_CREATED, EventType.RUN_FAILED, EventType.STEP_CREATED, *_MOMENTS}
"""Events whose data says something of a row."""


class Fold:
    """A run and its entities after the events so far.

    `redacted`: what has lost data that its row was made of; None stands for the run itself. `refused`: entities
    with an event that no world takes, so nobody can say what their row should be.
    """

    def __init__(self) -> None:
        self.run: Run | None = None
        self.entities: dict[Key, Entity] = {}
        self.redacted: set[Key | None] = set()
        self.refused: set[Key] = set()

    @property
    def ended(self) -> bool:
        """The run is over."""
        return self.run is not None and self.run.completed_at is not None

    def open(self, kind: str) -> int:
        """How many steps, waits or hooks have not come to their end."""
        return sum(key[0] == kind and not is_closed(entity) for key, entity in self.entities.items())

    def take(self, event: Event) -> str | None:
        """Take one event more; what a world would have said against it, or None."""
        try:
            kind = EventType(event.event_type)
        except ValueError:
            return f"there is no event type {event.event_type!r}"
        against = self._against(kind)
        try:
            draft = _draft(kind, event)
            if draft.move is not None:
                self._take_entity(draft, event)
        except Refused as refused:
            against = against or str(refused)
            if (key := _key(kind, event)) is not None:
                self.refused.add(key)
            draft = Draft(kind, None, None, {}, None, None, None, None)
        self._take_run(draft, event)
        return against

    def _against(self, kind: EventType) -> str | None:
        if self.run is None:
            return None if kind is EventType.RUN_CREATED else f"a run begins with run_created, not with {kind}"
        if self.ended:
            return f"{kind} stands behind the end of the run"
        if kind is EventType.RUN_CREATED:
            return "the run was created already"
        if kind is EventType.RUN_STARTED and self.run.started_at is not None:
            return "the run was started already"
        return None

    def _take_entity(self, draft: Draft, event: Event) -> None:
        key = _key(draft.event_type, event)
        if key is None:
            raise InvalidEvent(f"{draft.event_type} names no step, wait or hook")
        if _is_redacted(event) and draft.event_type in _READ:
            self.redacted.add(key)
        if draft.event_type is EventType.HOOK_CONFLICT:
            if key in self.entities:
                raise InvalidEvent(f"{key[1]} was created already")
            now = event.created_at
            self.entities[key] = Entity(event.run_id, *key, "disposed", now, now, completed_at=now)
            return
        entities = Entities(event.run_id, self.entities, event.created_at)
        entities.apply(draft, {}, proven=False)
        self.entities |= entities.change.created | entities.change.updated

    def _take_run(self, draft: Draft, event: Event) -> None:
        kind, now = draft.event_type, event.created_at
        run = self.run or before_first(event.run_id, draft, event.spec_version, now)
        if _is_redacted(event) and kind in (EventType.RUN_CREATED, EventType.RUN_FAILED):
            self.redacted.add(None)
        moves = ROLE[kind] in (WriteRole.SIGNAL, WriteRole.OUTCOME)
        self.run = run._replace(
            status=_STATUS.get(kind, run.status),
            updated_at=now,
            started_at=now if kind is EventType.RUN_STARTED else run.started_at,
            completed_at=now if kind in ENDS else run.completed_at,
            error_code=draft.named("errorCode") if kind is EventType.RUN_FAILED else run.error_code,
            marker=(milliseconds(event.event_id) or 0) if moves else run.marker,
        )
        if kind in ENDS:
            self._close_hooks(now)

    def _close_hooks(self, now: int) -> None:
        for key, entity in self.entities.items():
            if entity.kind == "hook" and not is_closed(entity):
                self.entities[key] = entity._replace(status="disposed", updated_at=now, completed_at=now)


def _is_redacted(event: Event) -> bool:
    return event.data is None and event.data_sha256 is not None


def _key(kind: EventType, event: Event) -> Key | None:
    move = move_of(kind)
    if move is None or event.correlation_id is None:
        return None
    return move.kind.value, event.correlation_id


def _draft(kind: EventType, event: Event) -> Draft:
    """The event as its writer meant it, as far as rows come from it. Raises InvalidEvent."""
    data: dict[str, Any] = {}
    if event.data is not None and kind in _READ:
        try:
            data = json.loads(event.data)
        except (ValueError, RecursionError):
            raise InvalidEvent(f"the data of {kind} is no JSON") from None
        if not isinstance(data, dict):
            raise InvalidEvent(f"the data of {kind} is no JSON object")
    if kind is EventType.HOOK_CREATED:
        data.setdefault("token", "")  # redacted
    name = _MOMENTS.get(kind)
    return Draft(
        event_type=kind,
        move=move_of(kind),
        correlation_id=event.correlation_id,
        data=data,
        text=None,
        resume_id=None,
        occurred_at=None,
        spec_version=event.spec_version,
        moment=None if name is None else milliseconds_of(data.get(name), name),
    )

"""The steps, waits and hooks of a run under the events of one request: guards by the shared lifecycle table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from auditor.errors import Divergence, EntityConflict, NotFound, TooEarly
from auditor.model.events import EntityKind, EventType
from auditor.model.lifecycle import Move, Stage
from auditor.model.rows import Entity
from auditor.world.draft import Draft, iso, json_text

Key = tuple[str, str]
"""(kind, correlation id) of an entity within its run."""

_CLOSED = frozenset({"completed", "failed", "disposed"})
_STATUS = {
    EventType.STEP_CREATED: "pending",
    EventType.STEP_STARTED: "running",
    EventType.STEP_RETRYING: "pending",
    EventType.STEP_COMPLETED: "completed",
    EventType.STEP_FAILED: "failed",
    EventType.WAIT_CREATED: "waiting",
    EventType.WAIT_COMPLETED: "completed",
    EventType.HOOK_CREATED: "open",
    EventType.HOOK_RECEIVED: "open",
    EventType.HOOK_DISPOSED: "disposed",
}


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a token."""

    run_id: str
    correlation_id: str


class Effect(NamedTuple):
    """What an event becomes in the log: its type and data, and when something is due because of it."""

    event_type: EventType
    text: str | None
    due: int | None = None


@dataclass(slots=True)
class Change:
    """Rows to write: entities that are new or changed, tokens taken and freed, and who must still hold a token."""

    created: dict[Key, Entity] = field(default_factory=dict)
    updated: dict[Key, Entity] = field(default_factory=dict)
    granted: dict[str, Holder] = field(default_factory=dict)
    freed: set[str] = field(default_factory=set)
    held: dict[str, Holder] = field(default_factory=dict)


def key_of(draft: Draft) -> Key | None:
    """The entity that an event is about, or None."""
    if draft.move is None or draft.correlation_id is None:
        return None
    return draft.move.kind.value, draft.correlation_id


def stage_of(entity: Entity | None) -> Stage:
    """How far an entity has come. A stored hook does not say whether it was delivered to; no guard asks."""
    if entity is None:
        return Stage.ABSENT
    if is_closed(entity):
        return Stage.CLOSED
    return Stage.ACTIVE if entity.started_at is not None else Stage.CREATED


def is_closed(entity: Entity) -> bool:
    """Whether an entity has come to its end."""
    return entity.status in _CLOSED


class Entities:
    """The entities that one request touches, as they stand after the events so far."""

    def __init__(self, run_id: str, stored: Mapping[Key, Entity], now: int) -> None:
        self.change = Change()
        self._run_id = run_id
        self._stored = stored
        self._now = now

    def must_be_reachable(self, drafts: Sequence[Draft]) -> None:
        """Raise NotFound if a delivery names a hook that never was, or is disposed."""
        made = {draft.correlation_id for draft in drafts if draft.event_type is EventType.HOOK_CREATED}
        for draft in drafts:
            if draft.event_type is not EventType.HOOK_RECEIVED or draft.correlation_id in made:
                continue
            hook = self._get((EntityKind.HOOK.value, draft.correlation_id or ""))
            if hook is None:
                raise NotFound(f"there is no hook {draft.correlation_id}", reason="no_such_hook")
            if hook.status != "open":
                raise NotFound(f"the hook {draft.correlation_id} is disposed", reason="disposed")

    def must_be_due(self, drafts: Sequence[Draft]) -> None:
        """Raise TooEarly if a wait is not over yet, or a step may not be tried yet."""
        due: dict[Key, int | None] = {}
        for draft in drafts:
            key = key_of(draft)
            if key is None:
                continue
            entity = self._get(key)
            if draft.event_type is EventType.STEP_RETRYING:
                due[key] = draft.moment
            elif draft.event_type is EventType.WAIT_CREATED:
                due.setdefault(key, draft.moment)
            elif entity is not None and stage_of(entity) is not Stage.CLOSED:
                due.setdefault(key, entity.retry_after if entity.resume_at is None else entity.resume_at)
            if draft.event_type in (EventType.WAIT_COMPLETED, EventType.STEP_STARTED):
                moment = due.get(key)
                if moment is not None and moment > self._now:
                    raise TooEarly(
                        f"{draft.event_type} of {draft.correlation_id} comes {moment - self._now} ms too early",
                        retry_at=moment,
                    )

    def apply(self, draft: Draft, holders: Mapping[str, Holder], *, proven: bool) -> Effect:
        """Take an entity through one event. Raises EntityConflict, or Divergence under a `proven` tail."""
        key = key_of(draft)
        if key is None or draft.move is None:
            return Effect(draft.event_type, draft.text)
        before = self._get(key)
        self._guard(draft, draft.move, before, proven)
        if draft.event_type is EventType.HOOK_CREATED and (holder := self._holder(draft, holders)) is not None:
            return self._conflict(key, draft, holder)
        entity = self._moved(key, draft, before)
        self._put(key, entity)
        if draft.event_type is EventType.HOOK_DISPOSED and entity.token is not None:
            self._free(entity.token)
        return Effect(draft.event_type, self._text(draft, entity), self._due(draft, entity))

    def close_hooks(self) -> None:
        """The run has ended: the hooks of this request hold no token any more, or never will."""
        for rows in (self.change.created, self.change.updated):
            for key, hook in rows.items():
                if hook.kind == EntityKind.HOOK and hook.status == "open":
                    rows[key] = hook._replace(status="disposed", completed_at=self._now)
        self.change.granted.clear()

    def _guard(self, draft: Draft, move: Move, before: Entity | None, proven: bool) -> None:
        stage = stage_of(before)
        if stage in move.accuses:
            reason = _reason(move, stage)
            raise raced(proven)(
                f"{draft.event_type} of {draft.correlation_id}: {reason.replace('_', ' ')}",
                reason=reason,
                actual=None if before is None else before.status,
            )
        if before is not None:
            _must_agree(draft, before, raced(proven))

    def _moved(self, key: Key, draft: Draft, before: Entity | None) -> Entity:
        kind, now = draft.event_type, self._now
        entity = before or Entity(
            run_id=self._run_id,
            kind=key[0],
            correlation_id=key[1],
            status="",
            created_at=now,
            updated_at=now,
            resume_at=draft.moment if kind is EventType.WAIT_CREATED else None,
            step_name=draft.named("stepName") if kind is EventType.STEP_CREATED else None,
            attempt=0 if kind is EventType.STEP_CREATED else None,
            token=draft.named("token") if kind is EventType.HOOK_CREATED else None,
            token_retention_until=draft.moment if kind is EventType.HOOK_CREATED else None,
        )
        entity = entity._replace(status=_STATUS[kind], updated_at=now)
        if kind is EventType.STEP_STARTED:
            started = now if entity.started_at is None else entity.started_at
            return entity._replace(started_at=started, attempt=(entity.attempt or 0) + 1, retry_after=None)
        if kind is EventType.STEP_RETRYING:
            return entity._replace(retry_after=draft.moment)
        return entity._replace(completed_at=now) if entity.status in _CLOSED else entity

    def _conflict(self, key: Key, draft: Draft, holder: Holder) -> Effect:
        """A taken token is no refusal: the log says that the hook did not get it, and its siblings stand."""
        token = str(draft.data["token"])
        entity = Entity(self._run_id, *key, "disposed", self._now, self._now, completed_at=self._now)
        self._put(key, entity)
        if holder is not self.change.granted.get(token):
            self.change.held[token] = holder
        text = json_text({"token": token, "conflictingRunId": holder.run_id})
        return Effect(EventType.HOOK_CONFLICT, text)

    def _holder(self, draft: Draft, holders: Mapping[str, Holder]) -> Holder | None:
        token = str(draft.data["token"])
        holder = self.change.granted.get(token)
        if holder is None and token not in self.change.freed:
            holder = holders.get(token)
        if holder is None:
            self.change.granted[token] = Holder(self._run_id, str(draft.correlation_id))
        return holder

    def _free(self, token: str) -> None:
        if self.change.granted.pop(token, None) is None:
            self.change.freed.add(token)

    @staticmethod
    def _text(draft: Draft, entity: Entity) -> str | None:
        """The data of an event, with what only the world knows: the attempt of a start, the end of a wait."""
        known: dict[str, object] = {}
        if draft.event_type is EventType.STEP_STARTED:
            known["attempt"] = entity.attempt
        elif draft.event_type is EventType.WAIT_COMPLETED and entity.resume_at is not None:
            known["resumeAt"] = iso(entity.resume_at)
        return json_text({**draft.data, **known}) if known else draft.text

    def _due(self, draft: Draft, entity: Entity) -> int | None:
        if draft.event_type is EventType.WAIT_CREATED:
            return entity.resume_at
        return max(self._now, draft.moment or 0)

    def _get(self, key: Key) -> Entity | None:
        change = self.change
        return change.created.get(key) or change.updated.get(key) or self._stored.get(key)

    def _put(self, key: Key, entity: Entity) -> None:
        (self.change.updated if key in self._stored else self.change.created)[key] = entity


def _reason(move: Move, stage: Stage) -> str:
    if stage is Stage.ABSENT:
        return "not_created"
    if stage is Stage.CLOSED:
        return "already_disposed" if move.kind is EntityKind.HOOK else "already_completed"
    return "already_created"


def raced(proven: bool) -> type[EntityConflict]:
    """What an entity conflict is. Under the right tail it is no race: the replay has left its own history."""
    return Divergence if proven else EntityConflict


def _must_agree(draft: Draft, entity: Entity, conflict: type[EntityConflict]) -> None:
    """Raise a conflict if an event says something else of its entity than the creation did."""
    name = draft.named("stepName")
    if name is not None and entity.step_name is not None and name != entity.step_name:
        raise conflict(
            f"{draft.correlation_id} is a step {entity.step_name}, not {name}",
            reason="other_step",
            expected=name,
            actual=entity.step_name,
        )
    if draft.event_type is EventType.WAIT_COMPLETED and draft.moment not in (None, entity.resume_at):
        raise conflict(
            f"{draft.correlation_id} is over at {entity.resume_at} ms, not at {draft.moment} ms",
            reason="other_resume_at",
            expected=str(draft.moment),
            actual=str(entity.resume_at),
        )

"""The log, the runs and the entities of a world in memory."""

from __future__ import annotations

import secrets
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from auditor.errors import FenceConflict, NotFound, Refused
from auditor.model.events import EventType
from auditor.model.ids import ulid_floor
from auditor.model.rows import Entity, Event, Refusal, Run
from auditor.world.base import MAX_MISSING, BaseWorld
from auditor.world.clock import system_clock
from auditor.world.decision import Accepted, Decision, Draw, Remembered, Repeated, RunState, decide, refusals
from auditor.world.draft import Request
from auditor.world.entities import Holder, Key, key_of
from auditor.world.memory.queue import MemoryQueue
from auditor.world.memory.streams import MemoryStreams
from auditor.world.protocol import MAX_DELIVERIES, Appended, Snapshot

Point = Callable[[str, str], Awaitable[None]]
"""A scheduling point: awaited with `before` or `after`, and the call that is about to take effect, or has."""


async def _go_on(_when: str, _what: str) -> None:
    """The scheduling point of a world that nobody schedules."""


@dataclass(slots=True)
class _Log:
    """One run: its row, its events, and the indexes that keep an append as cheap as the first one."""

    run: Run
    events: list[Event] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    entities: dict[Key, Entity] = field(default_factory=dict)
    remembered: dict[str, Remembered] = field(default_factory=dict)
    resumed: dict[str, Event] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Taken:
    """A token that is taken: by an open hook, or after the end of its run until a time in ms since 1970."""

    holder: Holder
    until: int | None = None


class MemoryWorld(BaseWorld):
    """A world that lives as long as the process.

    `clock` gives ms since 1970, `draw(bits)` random bits; `point` is awaited before and after every call, which is
    where a simulator lets other writers pass. Between its two points a call is not interrupted.
    """

    def __init__(
        self,
        clock: Callable[[], int] = system_clock,
        draw: Draw = secrets.randbits,
        point: Point = _go_on,
        max_deliveries: int = MAX_DELIVERIES,
    ) -> None:
        self._clock = clock
        self._draw = draw
        self._point = point
        self._logs: dict[str, _Log] = {}
        self._tokens: dict[str, _Taken] = {}
        self._refusals: list[Refusal] = []
        self._commits = 0
        self._last_commit = 0
        self.queue = MemoryQueue(self._now, draw, point, max_deliveries)
        self.streams = MemoryStreams(point, self._logs.__contains__)

    async def _append(self, request: Request) -> Appended:
        await self._point("before", "append")
        try:
            return self._commit(request)
        finally:
            await self._point("after", "append")

    def _commit(self, request: Request) -> Appended:
        now = self._now()
        run_id = request.append.run_id
        log = self._logs.get(run_id)
        state = self._state(request, log, now)
        decision = self._decide(state, request, now)
        if isinstance(decision, Refused):
            self._refusals += refusals(state, request, decision, now)
            if isinstance(decision, FenceConflict) and log is not None:
                decision.missing = _missing(log, decision.expected or "")
            raise decision
        since = request.append.since
        if isinstance(decision, Accepted):
            made = self._apply(decision)
        else:
            made = tuple(self._logs[run_id].events[decision.first - 1 : decision.last])
        return Appended(
            made,
            isinstance(decision, Repeated),
            () if since is None else tuple(self._logs[run_id].events[max(since, 0) :]),
        )

    def _decide(self, state: RunState, request: Request, now: int) -> Decision:
        return decide(state, request, now, self._draw)

    def _state(self, request: Request, log: _Log | None, now: int) -> RunState:
        holders = {}
        for draft in request.drafts:
            taken = self._tokens.get(draft.named("token") or "") if _takes_token(draft.event_type) else None
            if taken is not None and (taken.until is None or taken.until > now):
                holders[str(draft.data["token"])] = taken.holder
        if log is None:
            return RunState(None, holders=holders)
        keys = {key for draft in request.drafts if (key := key_of(draft)) is not None}
        resolved = None
        if request.as_of is not None:
            before = bisect_left(log.ids, f"evnt_{ulid_floor(request.as_of)}")
            resolved = log.ids[before - 1] if before else None
        return RunState(
            run=log.run,
            entities={key: log.entities[key] for key in keys if key in log.entities},
            remembered=log.remembered.get(request.append.idempotency_key or ""),
            resumed=log.resumed.get(request.resume_id or ""),
            holders=holders,
            resolved=resolved,
        )

    def _apply(self, accepted: Accepted) -> tuple[Event, ...]:
        run = accepted.run
        log = self._logs.setdefault(run.run_id, _Log(run))
        self._commits += 1
        events = tuple(event._replace(commit_seq=self._commits) for event in accepted.events)
        log.run = run
        log.events += events
        log.ids += [event.event_id for event in events]
        log.entities |= accepted.change.created | accepted.change.updated
        for event in events:
            if event.resume_id is not None:
                log.resumed[event.resume_id] = event
        if accepted.remembered is not None:
            log.remembered[accepted.remembered.key] = accepted.remembered
        for token in accepted.change.freed:
            self._tokens.pop(token, None)
        for token, holder in accepted.change.granted.items():
            self._tokens[token] = _Taken(holder)
        if accepted.ended:
            self._release(log)
        for message in accepted.messages:
            self.queue.put(message)
        return events

    def _release(self, log: _Log) -> None:
        """The end of a run: its hooks are closed, their tokens free, at once or after their retention."""
        now = log.run.updated_at
        for key, entity in log.entities.items():
            if entity.kind != "hook" or entity.token is None:
                continue
            if entity.status == "open":
                log.entities[key] = entity._replace(status="disposed", updated_at=now, completed_at=now)
            # The decision has closed the hooks that the last batch touched; their tokens are still to be let go.
            holder = Holder(entity.run_id, entity.correlation_id)
            if self._tokens.get(entity.token) != _Taken(holder):
                continue
            if (entity.token_retention_until or 0) > now:
                self._tokens[entity.token] = _Taken(holder, entity.token_retention_until)
            else:
                del self._tokens[entity.token]
        self.queue.drop_waiting(log.run.run_id)

    def _now(self) -> int:
        # A clock that is set back must not make a commit older than the one before it.
        self._last_commit = max(self._clock(), self._last_commit)
        return self._last_commit

    async def events(self, run_id: str, after: int = 0, limit: int | None = None) -> Snapshot:
        """See `World.events`."""
        await self._point("before", "events")
        log = self._logs.get(run_id)
        if log is None:
            raise NotFound(f"there is no run {run_id}", reason="no_such_run")
        end = len(log.events) if limit is None else max(after, 0) + limit
        snapshot = Snapshot(log.run, after, tuple(log.events[max(after, 0) : end]), end >= len(log.events))
        await self._point("after", "events")
        return snapshot

    async def run(self, run_id: str) -> Run | None:
        """See `World.run`."""
        await self._point("before", "run")
        log = self._logs.get(run_id)
        return None if log is None else log.run

    async def runs(self, status: str | None = None, after: str | None = None, limit: int = 100) -> list[Run]:
        """See `World.runs`."""
        await self._point("before", "runs")
        known = (self._logs[run_id].run for run_id in sorted(self._logs) if run_id > (after or ""))
        return [run for run in known if status in (None, run.status)][:limit]

    async def entities(self, run_id: str, kind: str | None = None) -> list[Entity]:
        """See `World.entities`."""
        await self._point("before", "entities")
        log = self._logs.get(run_id)
        rows = () if log is None else (log.entities[key] for key in sorted(log.entities))
        return [row for row in rows if kind in (None, row.kind)]

    async def hook_by_token(self, token: str) -> Entity | None:
        """See `World.hook_by_token`."""
        await self._point("before", "hook_by_token")
        taken = self._tokens.get(token)
        if taken is None or taken.until is not None:
            return None
        return self._logs[taken.holder.run_id].entities["hook", taken.holder.correlation_id]

    async def now(self) -> int:
        """See `World.now`."""
        return self._now()

    async def dump(
        self, tables: Sequence[str], run_id: str | None = None
    ) -> AsyncIterator[tuple[str, Sequence[tuple[Any, ...]]]]:
        """See `World.dump`."""
        logs = [self._logs[key] for key in sorted(self._logs) if run_id in (None, key)]
        # All of it at once: between two batches others may append.
        batches = [(table, list(self._rows(table, logs, run_id))) for table in tables]
        for batch in batches:
            yield batch

    def _rows(self, table: str, logs: list[_Log], run_id: str | None) -> Iterator[tuple[Any, ...]]:
        match table:
            case "run":
                yield from (log.run for log in logs)
            case "event":
                yield from (event for log in logs for event in log.events)
            case "refusal":
                rows = [(number, *row) for number, row in enumerate(self._refusals, start=1)]
                rows = [row for row in rows if run_id in (None, row[1])]
                yield from sorted(rows, key=lambda row: (row[1], row[0]))
            case "entity":
                yield from (log.entities[key] for log in logs for key in sorted(log.entities))
            case "message":
                yield from (row for row in self.queue.stored() if run_id in (None, row.run_id))

    async def close(self) -> None:
        """Nothing is held."""


def _takes_token(event_type: EventType) -> bool:
    return event_type is EventType.HOOK_CREATED


def _missing(log: _Log, expected: str) -> tuple[Event, ...] | None:
    """The events behind the one that a fence names; None if it names none, or there are too many."""
    known = 0
    if expected != "none":
        known = bisect_left(log.ids, expected) + 1
        if known > len(log.ids) or log.ids[known - 1] != expected:
            return None
    missing = log.events[known : known + MAX_MISSING + 1]
    return None if len(missing) > MAX_MISSING else tuple(missing)

"""A world in PostgreSQL: decided here on what this process remembers, committed there by one guarded statement."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString, Self

from auditor.errors import FenceConflict, NotFound, Refused, StoreUnavailable
from auditor.model.rows import Entity, Event, Refusal, Run
from auditor.world.base import MAX_MISSING, BaseWorld
from auditor.world.decision import Accepted, Repeated, RunState, decide, refusals
from auditor.world.draft import Request
from auditor.world.entities import Key, is_closed
from auditor.world.postgres import reads
from auditor.world.postgres.committer import Committer
from auditor.world.postgres.database import AGAIN, TIMEOUT_SECONDS, Connection, Database
from auditor.world.postgres.queue import PostgresQueue
from auditor.world.postgres.reads import columns
from auditor.world.postgres.streams import PostgresStreams
from auditor.world.protocol import MAX_DELIVERIES, Appended, Snapshot, StoredMessage

CONNECTIONS = 8
"""Connections of one process, unless a world is opened with another number."""

REMEMBERED_RUNS = 10_000
"""Runs whose end this process remembers."""

REMEMBERED_ENTITIES = 1_000
"""Open steps, waits and hooks that it remembers of one run."""

BATCH = 1_000
"""Rows in one batch of a dump."""

_SELECT_RUN: LiteralString = f"SELECT {columns(Run)} FROM run WHERE run_id = %s"
_DUMPS: dict[str, LiteralString] = {
    "run": f'SELECT {columns(Run)} FROM run {{where}} ORDER BY run_id COLLATE "C"',
    "event": f'SELECT {columns(Event)} FROM event {{where}} ORDER BY run_id COLLATE "C", "position"',
    "refusal": f"SELECT refusal_no, {columns(Refusal)} FROM refusal {{where}} "
    'ORDER BY run_id COLLATE "C", refusal_no',
    "entity": f'SELECT {columns(Entity)} FROM entity {{where}} ORDER BY run_id COLLATE "C", kind COLLATE "C", '
    'correlation_id COLLATE "C"',
    "message": "SELECT CAST(message_id AS TEXT), run_id, kind, correlation_id, key, state, ready_at "
    'FROM message {where} ORDER BY run_id COLLATE "C", message_id',
}


@dataclass(slots=True)
class _Known:
    """What this process remembers of a run. One append of it at a time: two would only refuse each other."""

    run: Run | None = None
    entities: dict[Key, Entity] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def state(self) -> RunState:
        return RunState(self.run, self.entities)

    def learn(self, accepted: Accepted) -> None:
        self.run = accepted.run
        for rows in (accepted.change.created, accepted.change.updated):
            for key, entity in rows.items():
                if is_closed(entity):
                    self.entities.pop(key, None)
                else:
                    self.entities[key] = entity
        if accepted.ended or len(self.entities) > REMEMBERED_ENTITIES:
            self.entities.clear()

    def forget(self) -> None:
        self.run = None
        # Not cleared: the state that is being committed has them, and brings them back.
        self.entities = {}


class _Clock:
    """The server's clock as this process knows it: never ahead of it, and behind it by a round trip at most."""

    def __init__(self) -> None:
        self._offset_us: int | None = None

    def learn(self, server_ms: int) -> None:
        """Take note of the time that the server had a moment ago."""
        self._offset_us = server_ms * 1000 - _uptime_us()

    def now(self) -> int | None:
        """The server's time in ms since 1970, or None if it is not known yet."""
        return None if self._offset_us is None else (self._offset_us + _uptime_us()) // 1000


def _uptime_us() -> int:
    return time.monotonic_ns() // 1000


class PostgresWorld(BaseWorld):
    """A world in the schema `auditor` of a database.

    `timeout_seconds` bounds a call, in which a lost connection is replaced and the request is sent again: it is in
    the log once, however often it was sent. Opened by `PostgresWorld.open`.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = CONNECTIONS,
        timeout_seconds: float = TIMEOUT_SECONDS,
        max_deliveries: int = MAX_DELIVERIES,
    ) -> None:
        self._database = Database(url, connections, timeout_seconds)
        self._clock = _Clock()
        self._committer = Committer(self._database, self._clock.learn)
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self.queue = PostgresQueue(self._database, max_deliveries)
        self.streams = PostgresStreams(self._database)

    @classmethod
    async def open(cls, url: str, **options: Any) -> Self:
        """The world at a URL. Raises NotAWorld or StoreUnavailable."""
        world = cls(url, **options)
        await world._database.open()
        return world

    async def _append(self, request: Request) -> Appended:
        known = self._remember(request.append.run_id)
        async with known.lock:
            return await self._decided(request, known)

    def _remember(self, run_id: str) -> _Known:
        known = self._known.get(run_id)
        if known is None:
            known = self._known[run_id] = _Known()
            while len(self._known) > REMEMBERED_RUNS:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(run_id)
        return known

    async def _decided(self, request: Request, known: _Known) -> Appended:
        """Decide, commit, and decide again whenever the run has moved on in between."""
        deadline = self._database.deadline()
        state: RunState | None = known.state() if reads.is_warm(request, known.state()) else None
        now = self._clock.now() if state is not None else None
        sent: int | None = None
        tries = 0
        while True:
            is_loaded = state is None or now is None
            if state is None or now is None:
                state, now, mine = await self._load(request, sent, deadline)
                if mine is not None:
                    return await self._read_back(request, *mine, repeated=False)
            decision = decide(state, request, now, secrets.randbits)
            if isinstance(decision, Refused):
                if is_loaded:
                    raise await self._journaled(state, request, decision, now)
                state = None
                continue
            if isinstance(decision, Repeated):
                return await self._read_back(request, decision.first, decision.last, repeated=True)
            known.forget()
            error: Exception | None = None
            try:
                number = await self._committer.commit(decision, now)
            except AGAIN as again:
                number, error = None, again
            except StoreUnavailable as unavailable:
                if not unavailable.outcome_unknown:
                    raise
                number, error, sent = None, unavailable, decision.before if sent is None else sent
            if number is not None:
                return await self._done(request, decision, number, state, known)
            state = None
            tries += 1
            if tries > 1 and not await self._database.patience(tries, deadline):
                raise _given_up(error)

    async def _load(
        self, request: Request, sent: int | None, deadline: float
    ) -> tuple[RunState, int, tuple[int, int] | None]:
        state, now, mine = await self._database.call(lambda con: reads.load(con, request, sent), deadline)
        self._clock.learn(now)
        return state, now, mine

    async def _done(
        self, request: Request, decision: Accepted, number: int, state: RunState, known: _Known
    ) -> Appended:
        known.entities.update(state.entities)
        known.learn(decision)
        events = tuple(event._replace(commit_seq=number) for event in decision.events)
        return Appended(events, since=await self._since(request))

    async def _since(self, request: Request) -> tuple[Event, ...]:
        since = request.append.since
        return () if since is None else await self._read(request.append.run_id, max(since, 0))

    async def _read(self, run_id: str, after: int, limit: int | None = None) -> tuple[Event, ...]:
        return await self._database.call(lambda con: reads.read(con, run_id, after, limit))

    async def _read_back(self, request: Request, first: int, last: int, *, repeated: bool) -> Appended:
        events = await self._read(request.append.run_id, first - 1, last - first + 1)
        return Appended(events, repeated, await self._since(request))

    async def _journaled(self, state: RunState, request: Request, refused: Refused, now: int) -> Refused:
        """The refusal, written down, with what its writer has missed."""

        async def work(con: Connection) -> None:
            if isinstance(refused, FenceConflict) and state.run is not None:
                refused.missing = await reads.missing(con, refused, state.run, MAX_MISSING)
            if rows := list(refusals(state, request, refused, now)):
                await reads.journal(con, rows)

        await self._database.call(work)
        return refused

    async def events(self, run_id: str, after: int = 0, limit: int | None = None) -> Snapshot:
        """See `World.events`."""

        async def work(con: Connection) -> Snapshot:
            # Run and events of one moment, in one round trip.
            async with con.pipeline(), con.transaction():
                await con.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                one = await con.execute(_SELECT_RUN, (run_id,))
                many = await con.execute(reads.SELECT_EVENTS, (run_id, after, limit))
            row = await one.fetchone()
            if row is None:
                raise NotFound(f"there is no run {run_id}", reason="no_such_run")
            run = Run._make(row)
            events = tuple(Event._make(event) for event in await many.fetchall())
            last = events[-1].position if events else after
            return Snapshot(run, after, events, last >= run.version)

        return await self._database.call(work)

    async def run(self, run_id: str) -> Run | None:
        """See `World.run`."""
        rows = await self._rows(_SELECT_RUN, (run_id,))
        return Run._make(rows[0]) if rows else None

    async def runs(self, status: str | None = None, after: str | None = None, limit: int = 100) -> list[Run]:
        """See `World.runs`."""
        rows = await self._rows(
            f'SELECT {columns(Run)} FROM run WHERE run_id COLLATE "C" > %s AND coalesce(status = %s, TRUE) '
            'ORDER BY run_id COLLATE "C" LIMIT %s',
            (after or "", status, limit),
        )
        return [Run._make(row) for row in rows]

    async def entities(self, run_id: str, kind: str | None = None) -> list[Entity]:
        """See `World.entities`."""
        rows = await self._rows(
            f"SELECT {columns(Entity)} FROM entity WHERE run_id = %s AND coalesce(kind = %s, TRUE) "
            'ORDER BY kind COLLATE "C", correlation_id COLLATE "C"',
            (run_id, kind),
        )
        return [Entity._make(row) for row in rows]

    async def hook_by_token(self, token: str) -> Entity | None:
        """See `World.hook_by_token`."""
        rows = await self._rows(
            f"SELECT {columns(Entity, 'entity.')} FROM entity JOIN token USING (run_id, correlation_id) "
            "WHERE kind = 'hook' AND token.token = %s AND until IS NULL",
            (token,),
        )
        return Entity._make(rows[0]) if rows else None

    async def now(self) -> int:
        """See `World.now`."""
        return int((await self._rows("SELECT now_ms()", ()))[0][0])

    async def _rows(self, query: LiteralString, values: Sequence[object]) -> list[tuple[Any, ...]]:
        return await self._database.rows(query, values)

    async def dump(
        self, tables: Sequence[str], run_id: str | None = None
    ) -> AsyncIterator[tuple[str, Sequence[tuple[Any, ...]]]]:
        """See `World.dump`."""
        where: LiteralString = "" if run_id is None else "WHERE run_id = %s"
        async with self._database.snapshot() as con:
            for table in tables:
                async with con.cursor(name=f"dump_{table}") as cursor:
                    await cursor.execute(
                        _DUMPS[table].replace("{where}", where), () if run_id is None else (run_id,)
                    )
                    while rows := await cursor.fetchmany(BATCH):
                        yield table, [StoredMessage._make(row) for row in rows] if table == "message" else rows

    async def close(self) -> None:
        """Let go of all connections. What was acknowledged stays."""
        await self._committer.close()
        await self._database.close()


def _given_up(error: Exception | None) -> StoreUnavailable:
    if isinstance(error, StoreUnavailable):
        return error
    return StoreUnavailable("the run changed faster than this request could be decided; nothing was written")

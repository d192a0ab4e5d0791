"""What a world can be asked, and what it answers. Every store answers the same; `tests/world` holds them to it."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from ulid import ULID

from auditor.model.events import EventType
from auditor.model.ids import milliseconds
from auditor.model.rows import Entity, Event, Run
from auditor.world.fences import Fence


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that a writer wants in the log. Its id, position and time are the world's to give.

    `data` is a JSON object in the SDK's words: `workflowName` of a run_created, `stepName` of a step_created,
    `resumeAt` (ISO 8601 or ms) of a wait_created, `token` of a hook_created, `retryAfter` of a step_retrying.
    `resume_id` names one delivery to a hook: repeated, it gives the first event again. `occurred_at` is the
    writer's own clock, in ms since 1970 (UTC).
    """

    event_type: EventType
    correlation_id: str | None = None
    data: Mapping[str, Any] | None = None
    resume_id: str | None = None
    occurred_at: int | None = None
    spec_version: int | None = None


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: the process, the tick that decided, the place in its code, and which try of its tick it is."""

    writer_id: str
    tick_id: str | None = None
    site: str | None = None
    attempt: int = 1


class MessageKind(StrEnum):
    """What a message asks for: a tick of a run, or the execution of a step."""

    RUN = "run"
    STEP = "step"


ALL_KINDS = tuple(MessageKind)
"""Both kinds of message."""


@dataclass(frozen=True, slots=True)
class Wake:
    """A tick of the run that an append asks for beyond those the world sends by itself; at once if `at` is None.

    `at` is in ms since 1970 (UTC). Two waiting messages of a run with one `key` are one message, due at the
    earlier of both times.
    """

    at: int | None = None
    key: str = "wake"


class Append(NamedTuple):
    """One request to append: all of its events or none, at consecutive positions."""

    run_id: str
    events: tuple[NewEvent, ...]
    fence: Fence | None
    writer: Writer
    idempotency_key: str | None
    wake: tuple[Wake, ...]
    since: int | None
    request_id: str


class Appended(NamedTuple):
    """What an append came to.

    `repeated`: these events were in the log already (same idempotency key, or same resume id). `since` holds every
    event behind the position that the request named, those of others and its own, if it named one.
    """

    events: tuple[Event, ...]
    repeated: bool = False
    since: tuple[Event, ...] = ()

    @property
    def tail(self) -> str:
        """The id of the last of these events; of a first append, the run's tail."""
        return self.events[-1].event_id


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A prefix of a run's log, as it was at one moment, from behind position `after`.

    `complete` is False where a limit cut it off. `as_of` is the value for an `as_of` fence: the first millisecond
    that no event of this snapshot, and every event committed later, has in its id.
    """

    run: Run
    after: int
    events: tuple[Event, ...]
    complete: bool = True

    @property
    def tail(self) -> str | None:
        """The id of the last event, if this snapshot reaches it; else of the last that was read."""
        return self.events[-1].event_id if self.events else self.run.tail

    @property
    def as_of(self) -> int:
        """The value for an `as_of` fence on this snapshot, in ms since 1970."""
        return after_tail(self.tail)


def after_tail(tail: str | None) -> int:
    """The first millisecond that no id up to the tail carries; every later append has this one or a later one."""
    moment = milliseconds(tail) if tail is not None else None
    return 0 if moment is None else moment + 1


class Message(NamedTuple):
    """A message as it is sent. `key` names it among the *waiting* messages of its run; times in ms since 1970."""

    kind: MessageKind
    run_id: str
    key: str
    deliver_at: int
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that is leased until `lease_until` (ms since 1970). `attempt` is 1 at its first delivery.

    `memo` is what the last holder left with `nack`: a count of divergences, say.
    """

    message_id: str
    kind: MessageKind
    run_id: str
    correlation_id: str | None
    key: str
    attempt: int
    lease: str
    lease_until: int
    memo: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was delivered too often and is delivered no more until it is sent again."""

    message_id: str
    kind: MessageKind
    run_id: str
    correlation_id: str | None
    attempt: int
    died_at: int
    memo: str | None = None


class StoredMessage(NamedTuple):
    """A message as it lies in the store; `state` is waiting, leased or dead."""

    message_id: str
    run_id: str
    kind: str
    correlation_id: str | None
    key: str
    state: str
    deliver_at: int


class Queue(Protocol):
    """Durable, at least once, in no promised order. A lease that runs out is a new delivery."""

    async def send(self, message: Message) -> None:
        """Send one message; a waiting one with its key stays one message, due at the earlier of both times."""

    async def receive(
        self, kinds: Sequence[MessageKind] = ALL_KINDS, *, limit: int = 1, lease_ms: int = 30_000
    ) -> list[Delivery]:
        """Lease messages that are due, the longest due first. One delivered too often dies instead."""

    async def extend(self, delivery: Delivery, lease_ms: int) -> Delivery:
        """Hold the lease for so much longer from now. Raises LeaseLost."""

    async def ack(self, delivery: Delivery) -> None:
        """The message is done. Raises LeaseLost if it was given to somebody else meanwhile."""

    async def nack(self, delivery: Delivery, delay_ms: int = 0, memo: str | None = None) -> None:
        """Give the message back, to be delivered again after a delay. Raises LeaseLost."""

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """Messages that died, the oldest first."""

    async def redrive(self, message_id: str) -> bool:
        """Send a dead letter again, as if for the first time; False if there is none of this id."""

    async def depth(self) -> Mapping[str, int]:
        """How many messages are `waiting`, `due`, `leased` and `dead`."""

    async def next_due(self) -> int | None:
        """When the next message is due or a lease runs out, in ms since 1970; None if there is none."""

    async def lease_run(self, run_id: str, owner: str, lease_ms: int = 30_000) -> bool:
        """Take or keep the lease of a run; False if another owner has it. For throughput: safety is the fence."""

    async def release_run(self, run_id: str, owner: str) -> None:
        """Give the lease of a run back, if it is this owner's."""


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A stream: how many chunks it has, how many bytes, and whether it can grow."""

    name: str
    length: int
    size: int
    closed: bool


class Streams(Protocol):
    """Bytes that a run shows before it ends: chunks, dense from index 0, for as many readers as like."""

    async def append(self, run_id: str, name: str, chunk: bytes) -> int:
        """Add one chunk and return its index. Raises StreamClosed, and NotFound if there is no such run."""

    async def read(self, run_id: str, name: str, index: int = 0, limit: int = 1_000) -> list[bytes]:
        """The chunks from an index on; fewer than `limit` if there are no more yet."""

    async def info(self, run_id: str, name: str) -> StreamInfo | None:
        """Where the stream ends now, or None if nobody has written to it."""

    async def names(self, run_id: str) -> list[str]:
        """The streams of a run, by name."""

    async def close(self, run_id: str, name: str) -> None:
        """End the stream; closing it twice is no error. Raises NotFound if there is no such run."""


class World(Protocol):
    """An event store in which a decision made on a stale snapshot cannot be committed."""

    @property
    def queue(self) -> Queue:
        """Messages that wake runs and dispatch steps."""

    @property
    def streams(self) -> Streams:
        """What runs show before they end."""

    async def append(
        self,
        run_id: str,
        events: Sequence[NewEvent],
        fence: Fence | None,
        *,
        writer: Writer,
        idempotency_key: str | None = None,
        wake: Sequence[Wake] = (),
        since: int | None = None,
        request_id: str | None = None,
    ) -> Appended:
        """Append all events or none, if the fence holds; what they wake is sent with them.

        `fence` None means that the writer sent nothing: it is accepted, and an audit will say so.
        `idempotency_key` makes a repeated request give the first accepted result. `since` is a position: the
        result then holds all events behind it. Raises Refused (the checks stand in `auditor.world.decision`) or
        StoreUnavailable.
        """

    async def events(self, run_id: str, after: int = 0, limit: int | None = None) -> Snapshot:
        """The events of a run behind a position, with the run as it was at that moment. Raises NotFound."""

    async def run(self, run_id: str) -> Run | None:
        """One run, or None."""

    async def runs(self, status: str | None = None, after: str | None = None, limit: int = 100) -> list[Run]:
        """Runs by id, behind the id `after`, of one status or all."""

    async def entities(self, run_id: str, kind: str | None = None) -> list[Entity]:
        """The steps, waits and hooks of a run, by correlation id."""

    async def hook_by_token(self, token: str) -> Entity | None:
        """The open hook that holds a token, or None."""

    async def now(self) -> int:
        """The store's clock, in ms since 1970 (UTC)."""

    def dump(
        self, tables: Sequence[str], run_id: str | None = None
    ) -> AsyncIterator[tuple[str, Sequence[tuple[Any, ...]]]]:
        """The rows of these tables, in batches, all as of one moment: of one run, or of all.

        A table is one of `run`, `event`, `refusal`, `entity`, `message`; its rows are tuples of
        `auditor.model.rows` (a refusal with its number before it) or of `StoredMessage`, by run, events by
        position.
        """

    async def close(self) -> None:
        """Let go of files and connections. What was acknowledged stays."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


MAX_DELIVERIES = 100
"""How often a message is delivered before it is a dead letter, unless a world is opened with another number."""


def new_run_id() -> str:
    """A run id in the SDK's form."""
    return f"wrun_{ULID()}"


def new_request_id() -> str:
    """A request id; the events of one append share it."""
    return f"req_{secrets.token_hex(10)}"


def this_process() -> str:
    """A writer id that no other process has."""
    return f"{os.uname().nodename}-{os.getpid()}"

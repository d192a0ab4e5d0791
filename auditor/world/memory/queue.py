"""The queue of a world in memory."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from auditor.errors import LeaseLost
from auditor.world.protocol import ALL_KINDS, DeadLetter, Delivery, Message, MessageKind, StoredMessage

WAITING, LEASED, DEAD = "waiting", "leased", "dead"


@dataclass(slots=True)
class _Held:
    """A message and its state; `ready_at` is when it is due, when its lease ends, or when it died."""

    number: int
    message: Message
    ready_at: int
    state: str = WAITING
    attempt: int = 0
    lease: str = ""
    memo: str | None = None

    @property
    def name(self) -> tuple[str, str]:
        return self.message.run_id, self.message.key


class MemoryQueue:
    """See `auditor.world.protocol.Queue`. Dedupes against waiting messages only, never against a leased one."""

    def __init__(
        self,
        now: Callable[[], int],
        draw: Callable[[int], int],
        point: Callable[[str, str], Awaitable[None]],
        max_deliveries: int,
    ) -> None:
        self._now = now
        self._draw = draw
        self._point = point
        self._max_deliveries = max_deliveries
        self._number = 0
        self._messages: dict[int, _Held] = {}
        self._waiting: dict[tuple[str, str], _Held] = {}
        self._by_run: dict[str, dict[int, _Held]] = {}
        self._due: list[tuple[int, int]] = []
        self._runs: dict[str, tuple[str, int]] = {}

    def put(self, message: Message) -> None:
        """Store a message; a waiting one with its key becomes due at the earlier of both times."""
        waiting = self._waiting.get((message.run_id, message.key))
        if waiting is not None:
            if message.deliver_at < waiting.ready_at:
                self._schedule(waiting, message.deliver_at)
            return
        self._number += 1
        held = _Held(self._number, message, message.deliver_at)
        self._messages[held.number] = held
        self._by_run.setdefault(message.run_id, {})[held.number] = held
        self._waiting[held.name] = held
        self._schedule(held, held.ready_at)

    def is_leased(self, message: Message) -> bool:
        """Whether one of its kind, about the same run and entity, is being worked on."""
        held = self._by_run.get(message.run_id, {}).values()
        about = message.kind, message.correlation_id if message.kind is MessageKind.STEP else None
        return any(
            one.state == LEASED and about == (one.message.kind, one.message.correlation_id if about[1] else None)
            for one in held
        )

    def drop_waiting(self, run_id: str) -> None:
        """Remove the waiting messages of a run that has ended."""
        for held in list(self._by_run.get(run_id, {}).values()):
            if held.state == WAITING:
                self._remove(held)

    def stored(self) -> Iterator[StoredMessage]:
        """Every message, as `World.dump` gives them."""
        for held in sorted(self._messages.values(), key=lambda held: (held.message.run_id, held.number)):
            message = held.message
            yield StoredMessage(
                str(held.number),
                message.run_id,
                message.kind.value,
                message.correlation_id,
                message.key,
                held.state,
                held.ready_at,
            )

    async def send(self, message: Message) -> None:
        """See `Queue.send`."""
        await self._point("before", "send")
        self.put(message)
        await self._point("after", "send")

    async def receive(
        self, kinds: Sequence[MessageKind] = ALL_KINDS, *, limit: int = 1, lease_ms: int = 30_000
    ) -> list[Delivery]:
        """See `Queue.receive`."""
        await self._point("before", "receive")
        now = self._now()
        deliveries: list[Delivery] = []
        passed: list[tuple[int, int]] = []
        while self._due and self._due[0][0] <= now and len(deliveries) < limit:
            ready_at, number = heapq.heappop(self._due)
            held = self._messages.get(number)
            if held is None or held.ready_at != ready_at or held.state == DEAD:
                continue
            if held.message.kind not in kinds:
                passed.append((ready_at, number))
            elif held.attempt >= self._max_deliveries:
                self._leave_waiting(held)
                held.state, held.ready_at = DEAD, now
            else:
                deliveries.append(self._leased(held, now + lease_ms))
        for entry in passed:
            heapq.heappush(self._due, entry)
        await self._point("after", "receive")
        return deliveries

    async def extend(self, delivery: Delivery, lease_ms: int) -> Delivery:
        """See `Queue.extend`."""
        await self._point("before", "extend")
        held = self._own(delivery)
        self._schedule(held, self._now() + lease_ms)
        return _delivery(held)

    async def ack(self, delivery: Delivery) -> None:
        """See `Queue.ack`."""
        await self._point("before", "ack")
        self._remove(self._own(delivery))
        await self._point("after", "ack")

    async def nack(self, delivery: Delivery, delay_ms: int = 0, memo: str | None = None) -> None:
        """See `Queue.nack`."""
        await self._point("before", "nack")
        held = self._own(delivery)
        held.memo = memo
        self._wait_again(held, self._now() + delay_ms)
        await self._point("after", "nack")

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """See `Queue.dead_letters`."""
        dead = sorted(
            (held for held in self._messages.values() if held.state == DEAD),
            key=lambda held: (held.ready_at, held.number),
        )
        return [
            DeadLetter(
                str(held.number),
                held.message.kind,
                held.message.run_id,
                held.message.correlation_id,
                held.attempt,
                held.ready_at,
                held.memo,
            )
            for held in dead[:limit]
        ]

    async def redrive(self, message_id: str) -> bool:
        """See `Queue.redrive`."""
        held = self._messages.get(int(message_id)) if message_id.isdecimal() else None
        if held is None or held.state != DEAD:
            return False
        held.attempt, held.memo = 0, None
        self._wait_again(held, self._now())
        return True

    async def depth(self) -> dict[str, int]:
        """See `Queue.depth`."""
        now = self._now()
        states = Counter(held.state for held in self._messages.values())
        due = sum(held.state == WAITING and held.ready_at <= now for held in self._messages.values())
        return {"waiting": states[WAITING], "due": due, "leased": states[LEASED], "dead": states[DEAD]}

    async def next_due(self) -> int | None:
        """See `Queue.next_due`."""
        return min((held.ready_at for held in self._messages.values() if held.state != DEAD), default=None)

    @property
    def soonest(self) -> int | None:
        """A time before which no message is due and no lease runs out, at no cost; None if there is none."""
        return self._due[0][0] if self._due else None

    async def lease_run(self, run_id: str, owner: str, lease_ms: int = 30_000) -> bool:
        """See `Queue.lease_run`."""
        await self._point("before", "lease_run")
        now = self._now()
        holder, until = self._runs.get(run_id, (owner, 0))
        if holder != owner and until > now:
            return False
        self._runs[run_id] = owner, now + lease_ms
        return True

    async def release_run(self, run_id: str, owner: str) -> None:
        """See `Queue.release_run`."""
        if self._runs.get(run_id, ("", 0))[0] == owner:
            del self._runs[run_id]

    def _leased(self, held: _Held, until: int) -> Delivery:
        self._leave_waiting(held)
        held.state, held.attempt, held.lease = LEASED, held.attempt + 1, f"{self._draw(64):016x}"
        self._schedule(held, until)
        return _delivery(held)

    def _own(self, delivery: Delivery) -> _Held:
        held = self._messages.get(int(delivery.message_id))
        if held is None or held.state != LEASED or held.lease != delivery.lease:
            raise LeaseLost(
                f"the lease of message {delivery.message_id} was lost: it was delivered again, or died"
            )
        return held

    def _wait_again(self, held: _Held, ready_at: int) -> None:
        waiting = self._waiting.get(held.name)
        if waiting is not None:
            self._remove(held)
            waiting.attempt, waiting.memo = max(waiting.attempt, held.attempt), held.memo
            held, ready_at = waiting, min(waiting.ready_at, ready_at)
        held.state, held.lease = WAITING, ""
        self._waiting[held.name] = held
        self._schedule(held, ready_at)

    def _schedule(self, held: _Held, ready_at: int) -> None:
        held.ready_at = ready_at
        heapq.heappush(self._due, (ready_at, held.number))

    def _leave_waiting(self, held: _Held) -> None:
        if held.state == WAITING:
            del self._waiting[held.name]

    def _remove(self, held: _Held) -> None:
        self._leave_waiting(held)
        del self._messages[held.number]
        of_run = self._by_run[held.message.run_id]
        del of_run[held.number]
        if not of_run:
            del self._by_run[held.message.run_id]


def _delivery(held: _Held) -> Delivery:
    message = held.message
    return Delivery(
        str(held.number),
        message.kind,
        message.run_id,
        message.correlation_id,
        message.key,
        held.attempt,
        held.lease,
        held.ready_at,
        held.memo,
    )

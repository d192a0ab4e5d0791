"""The queue of a SQLite world: rows of `message`, changed in the transactions of the appends."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from auditor.errors import LeaseLost
from auditor.world.protocol import ALL_KINDS, DeadLetter, Delivery, Message, MessageKind
from auditor.world.sqlite.appends import send
from auditor.world.sqlite.committer import Committer, Tx

_DUE = """
SELECT message_id, kind, run_id, correlation_id, key, attempt, memo
FROM message
WHERE state <> 'dead' AND ready_at <= ? AND kind IN ({kinds})
ORDER BY ready_at, message_id
LIMIT ?
"""
# The clock of the world never goes back, whatever that of the host does.
_NOW = "max(?, (SELECT at FROM last_commit))"
_ANY_READY = f"SELECT 1 FROM message WHERE state <> 'dead' AND ready_at <= {_NOW} LIMIT 1"
_OWN = "SELECT run_id, key, attempt FROM message WHERE message_id = ? AND state = 'leased' AND lease = ?"
_DEPTH = f"""
SELECT
    count(*) FILTER (WHERE state = 'waiting'),
    count(*) FILTER (WHERE state = 'waiting' AND ready_at <= {_NOW}),
    count(*) FILTER (WHERE state = 'leased'),
    count(*) FILTER (WHERE state = 'dead')
FROM message
"""

Reader = Callable[..., Any]


class SqliteQueue:
    """See `auditor.world.protocol.Queue`. Dedupes against waiting messages only, never against a leased one."""

    def __init__(self, committer: Committer, read: Reader, clock: Callable[[], int], max_deliveries: int) -> None:
        self._committer = committer
        self._read = read
        self._clock = clock
        self._max_deliveries = max_deliveries

    async def send(self, message: Message) -> None:
        """See `Queue.send`."""
        await self._committer.run(lambda tx: send(tx.con, message))

    async def receive(
        self, kinds: Sequence[MessageKind] = ALL_KINDS, *, limit: int = 1, lease_ms: int = 30_000
    ) -> list[Delivery]:
        """See `Queue.receive`."""
        # A worker that polls an empty queue must not cost a commit.
        if not await self._read(_ANY_READY, (self._clock(),)):
            return []
        return await self._committer.run(lambda tx: self._receive(tx, kinds, limit, lease_ms))

    def _receive(self, tx: Tx, kinds: Sequence[MessageKind], limit: int, lease_ms: int) -> list[Delivery]:
        deliveries: list[Delivery] = []
        sql = _DUE.format(kinds=", ".join("?" * len(kinds)))
        while len(deliveries) < limit:
            rows = tx.con.execute(
                sql, (tx.now, *(kind.value for kind in kinds), limit - len(deliveries))
            ).fetchall()
            if not rows:
                break
            for number, kind, run_id, entity, key, attempt, memo in rows:
                if attempt >= self._max_deliveries:
                    tx.con.execute(
                        "UPDATE message SET state = 'dead', lease = NULL, ready_at = ? WHERE message_id = ?",
                        (tx.now, number),
                    )
                    continue
                lease, until = secrets.token_hex(8), tx.now + lease_ms
                tx.con.execute(
                    "UPDATE message SET state = 'leased', lease = ?, ready_at = ?, attempt = attempt + 1 "
                    "WHERE message_id = ?",
                    (lease, until, number),
                )
                deliveries.append(
                    Delivery(str(number), MessageKind(kind), run_id, entity, key, attempt + 1, lease, until, memo)
                )
        return deliveries

    async def extend(self, delivery: Delivery, lease_ms: int) -> Delivery:
        """See `Queue.extend`."""

        def work(tx: Tx) -> Delivery:
            _own(tx, delivery)
            until = tx.now + lease_ms
            tx.con.execute(
                "UPDATE message SET ready_at = ? WHERE message_id = ?", (until, int(delivery.message_id))
            )
            return replace(delivery, lease_until=until)

        return await self._committer.run(work)

    async def ack(self, delivery: Delivery) -> None:
        """See `Queue.ack`."""

        def work(tx: Tx) -> None:
            _own(tx, delivery)
            tx.con.execute("DELETE FROM message WHERE message_id = ?", (int(delivery.message_id),))

        await self._committer.run(work)

    async def nack(self, delivery: Delivery, delay_ms: int = 0, memo: str | None = None) -> None:
        """See `Queue.nack`."""

        def work(tx: Tx) -> None:
            run_id, key, attempt = _own(tx, delivery)
            _wait_again(tx, int(delivery.message_id), run_id, key, tx.now + delay_ms, attempt, memo)

        await self._committer.run(work)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """See `Queue.dead_letters`."""
        rows = await self._read(
            "SELECT message_id, kind, run_id, correlation_id, attempt, ready_at, memo FROM message "
            "WHERE state = 'dead' ORDER BY ready_at, message_id LIMIT ?",
            (limit,),
        )
        return [DeadLetter(str(row[0]), MessageKind(row[1]), *row[2:]) for row in rows]

    async def redrive(self, message_id: str) -> bool:
        """See `Queue.redrive`."""

        def work(tx: Tx) -> bool:
            row = tx.con.execute(
                "SELECT message_id, run_id, key FROM message WHERE message_id = ? AND state = 'dead'",
                (message_id,),
            ).fetchone()
            if row is None:
                return False
            _wait_again(tx, row[0], row[1], row[2], tx.now, 0, None)
            return True

        return await self._committer.run(work)

    async def depth(self) -> dict[str, int]:
        """See `Queue.depth`."""
        rows = await self._read(_DEPTH, (self._clock(),))
        return dict(zip(("waiting", "due", "leased", "dead"), rows[0], strict=True))

    async def next_due(self) -> int | None:
        """See `Queue.next_due`."""
        rows = await self._read("SELECT min(ready_at) FROM message WHERE state <> 'dead'", ())
        due = rows[0][0]
        return None if due is None else int(due)

    async def lease_run(self, run_id: str, owner: str, lease_ms: int = 30_000) -> bool:
        """See `Queue.lease_run`."""

        def work(tx: Tx) -> bool:
            done = tx.con.execute(
                "INSERT INTO run_lease VALUES (?1, ?2, ?3) ON CONFLICT (run_id) DO UPDATE "
                "SET owner = ?2, until = ?3 WHERE owner = ?2 OR until <= ?4",
                (run_id, owner, tx.now + lease_ms, tx.now),
            )
            return done.rowcount == 1

        return await self._committer.run(work)

    async def release_run(self, run_id: str, owner: str) -> None:
        """See `Queue.release_run`."""

        def work(tx: Tx) -> None:
            tx.con.execute("DELETE FROM run_lease WHERE run_id = ? AND owner = ?", (run_id, owner))

        await self._committer.run(work)


def _own(tx: Tx, delivery: Delivery) -> tuple[str, str, int]:
    row = tx.con.execute(_OWN, (int(delivery.message_id), delivery.lease)).fetchone()
    if row is None:
        raise LeaseLost(f"the lease of message {delivery.message_id} was lost: it was delivered again, or died")
    return row[0], row[1], row[2]


def _wait_again(tx: Tx, number: int, run_id: str, key: str, ready_at: int, attempt: int, memo: str | None) -> None:
    """Put a message back; if another one waits under its key, that one carries on for both."""
    waiting = tx.con.execute(
        "SELECT message_id, ready_at, attempt FROM message WHERE run_id = ? AND key = ? AND state = 'waiting'",
        (run_id, key),
    ).fetchone()
    if waiting is not None:
        tx.con.execute("DELETE FROM message WHERE message_id = ?", (number,))
        number, ready_at, attempt = waiting[0], min(waiting[1], ready_at), max(waiting[2], attempt)
    tx.con.execute(
        "UPDATE message SET state = 'waiting', lease = NULL, ready_at = ?, attempt = ?, memo = ? "
        "WHERE message_id = ?",
        (ready_at, attempt, memo, number),
    )

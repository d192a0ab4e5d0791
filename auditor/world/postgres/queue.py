"""The queue of a PostgreSQL world. Who receives skips what others are about to take, so nobody waits."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from auditor.errors import LeaseLost
from auditor.world.postgres.database import Connection, Database
from auditor.world.protocol import ALL_KINDS, DeadLetter, Delivery, Message, MessageKind

_SEND = """
INSERT INTO message (run_id, kind, correlation_id, key, state, ready_at) VALUES (%s, %s, %s, %s, 'waiting', %s)
ON CONFLICT (run_id, key) WHERE state = 'waiting'
    DO UPDATE SET ready_at = least(message.ready_at, excluded.ready_at)
"""
_RECEIVE = """
WITH due AS (
    SELECT message_id, ready_at AS since
    FROM message
    WHERE state <> 'dead' AND ready_at <= now_ms() AND kind = ANY(%(kinds)s)
    ORDER BY ready_at, message_id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
),
taken AS (
    UPDATE message SET
        state = CASE WHEN attempt >= %(most)s THEN 'dead' ELSE 'leased' END,
        lease = CASE WHEN attempt >= %(most)s THEN NULL ELSE %(lease)s || message.message_id END,
        ready_at = now_ms() + CASE WHEN attempt >= %(most)s THEN 0 ELSE %(lease_ms)s END,
        attempt = attempt + CASE WHEN attempt >= %(most)s THEN 0 ELSE 1 END
    FROM due
    WHERE message.message_id = due.message_id
    RETURNING message.message_id, kind, run_id, correlation_id, key, attempt, lease, ready_at, memo, since
)
SELECT message_id, kind, run_id, correlation_id, key, attempt, lease, ready_at, memo
FROM taken
ORDER BY since, message_id
"""
_DEPTH = """
SELECT
    count(*) FILTER (WHERE state = 'waiting'),
    count(*) FILTER (WHERE state = 'waiting' AND ready_at <= now_ms()),
    count(*) FILTER (WHERE state = 'leased'),
    count(*) FILTER (WHERE state = 'dead')
FROM message
"""
_LEASE_RUN = """
INSERT INTO run_lease VALUES (%(run_id)s, %(owner)s, now_ms() + %(lease_ms)s)
ON CONFLICT (run_id) DO UPDATE SET owner = excluded.owner, until = excluded.until
    WHERE run_lease.owner = excluded.owner OR run_lease.until <= now_ms()
"""


class PostgresQueue:
    """See `auditor.world.protocol.Queue`. Dedupes against waiting messages only, never against a leased one."""

    def __init__(self, database: Database, max_deliveries: int) -> None:
        self._database = database
        self._max_deliveries = max_deliveries

    async def send(self, message: Message) -> None:
        """See `Queue.send`."""
        values = (message.run_id, message.kind.value, message.correlation_id, message.key, message.deliver_at)
        await self._database.execute(_SEND, values)

    async def receive(
        self, kinds: Sequence[MessageKind] = ALL_KINDS, *, limit: int = 1, lease_ms: int = 30_000
    ) -> list[Delivery]:
        """See `Queue.receive`."""
        deliveries: list[Delivery] = []
        while len(deliveries) < limit:
            values = {
                "kinds": [kind.value for kind in kinds],
                "limit": limit - len(deliveries),
                "most": self._max_deliveries,
                "lease": secrets.token_hex(8),
                "lease_ms": lease_ms,
            }
            rows = await self._database.rows(_RECEIVE, values)
            if not rows:
                break
            # A message without a lease has died just now; there may be others behind it.
            deliveries += [
                Delivery(str(row[0]), MessageKind(row[1]), *row[2:]) for row in rows if row[6] is not None
            ]
        return deliveries

    async def extend(self, delivery: Delivery, lease_ms: int) -> Delivery:
        """See `Queue.extend`."""
        rows = await self._database.rows(
            "UPDATE message SET ready_at = now_ms() + %s "
            "WHERE message_id = %s AND lease = %s AND state = 'leased' RETURNING ready_at",
            (lease_ms, int(delivery.message_id), delivery.lease),
        )
        if not rows:
            raise _lost(delivery)
        return replace(delivery, lease_until=rows[0][0])

    async def ack(self, delivery: Delivery) -> None:
        """See `Queue.ack`."""
        tries = 0

        async def work(con: Connection) -> None:
            nonlocal tries
            tries += 1
            cursor = await con.execute(
                "DELETE FROM message WHERE message_id = %s AND lease = %s AND state = 'leased'",
                (int(delivery.message_id), delivery.lease),
            )
            # After a broken connection the first try may have done it.
            if cursor.rowcount == 0 and (tries == 1 or await _exists(con, delivery)):
                raise _lost(delivery)

        await self._database.call(work)

    async def nack(self, delivery: Delivery, delay_ms: int = 0, memo: str | None = None) -> None:
        """See `Queue.nack`."""
        tries = 0

        async def work(con: Connection) -> None:
            nonlocal tries
            tries += 1
            async with con.transaction():
                row = await (
                    await con.execute(
                        "SELECT run_id, key, attempt FROM message "
                        "WHERE message_id = %s AND lease = %s AND state = 'leased' FOR UPDATE",
                        (int(delivery.message_id), delivery.lease),
                    )
                ).fetchone()
                if row is None:
                    if tries > 1:
                        return  # an earlier try may have given it back, and somebody may have taken it
                    raise _lost(delivery)
                await _wait_again(con, int(delivery.message_id), row[0], row[1], delay_ms, row[2], memo)

        await self._database.call(work)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """See `Queue.dead_letters`."""
        rows = await self._database.rows(
            "SELECT message_id, kind, run_id, correlation_id, attempt, ready_at, memo FROM message "
            "WHERE state = 'dead' ORDER BY ready_at, message_id LIMIT %s",
            (limit,),
        )
        return [DeadLetter(str(row[0]), MessageKind(row[1]), *row[2:]) for row in rows]

    async def redrive(self, message_id: str) -> bool:
        """See `Queue.redrive`."""
        if not message_id.isdecimal():
            return False

        async def work(con: Connection) -> bool:
            async with con.transaction():
                row = await (
                    await con.execute(
                        "SELECT run_id, key FROM message WHERE message_id = %s AND state = 'dead' FOR UPDATE",
                        (int(message_id),),
                    )
                ).fetchone()
                if row is None:
                    return False
                await _wait_again(con, int(message_id), row[0], row[1], 0, 0, None)
                return True

        return await self._database.call(work)

    async def depth(self) -> dict[str, int]:
        """See `Queue.depth`."""
        rows = await self._database.rows(_DEPTH, ())
        return dict(zip(("waiting", "due", "leased", "dead"), rows[0], strict=True))

    async def next_due(self) -> int | None:
        """See `Queue.next_due`."""
        rows = await self._database.rows("SELECT min(ready_at) FROM message WHERE state <> 'dead'", ())
        due = rows[0][0]
        return None if due is None else int(due)

    async def lease_run(self, run_id: str, owner: str, lease_ms: int = 30_000) -> bool:
        """See `Queue.lease_run`."""
        values = {"run_id": run_id, "owner": owner, "lease_ms": lease_ms}
        return await self._database.execute(_LEASE_RUN, values) == 1

    async def release_run(self, run_id: str, owner: str) -> None:
        """See `Queue.release_run`."""
        await self._database.execute("DELETE FROM run_lease WHERE run_id = %s AND owner = %s", (run_id, owner))


async def _wait_again(
    con: Connection, number: int, run_id: str, key: str, delay_ms: int, attempt: int, memo: str | None
) -> None:
    """Put a message back; if another one waits under its key, that one carries on for both.

    One that begins to wait at the same moment breaks the key, and the caller looks again.
    """
    row = await (
        await con.execute(
            "SELECT message_id FROM message WHERE run_id = %s AND key = %s AND state = 'waiting' FOR UPDATE",
            (run_id, key),
        )
    ).fetchone()
    if row is None:
        await con.execute(
            "UPDATE message SET state = 'waiting', lease = NULL, ready_at = now_ms() + %s, attempt = %s, "
            "memo = %s WHERE message_id = %s",
            (delay_ms, attempt, memo, number),
        )
        return
    await con.execute("DELETE FROM message WHERE message_id = %s", (number,))
    await con.execute(
        "UPDATE message SET ready_at = least(ready_at, now_ms() + %s), attempt = greatest(attempt, %s), memo = %s "
        "WHERE message_id = %s",
        (delay_ms, attempt, memo, row[0]),
    )


async def _exists(con: Connection, delivery: Delivery) -> bool:
    cursor = await con.execute("SELECT 1 FROM message WHERE message_id = %s", (int(delivery.message_id),))
    return await cursor.fetchone() is not None


def _lost(delivery: Delivery) -> LeaseLost:
    return LeaseLost(f"the lease of message {delivery.message_id} was lost: it was delivered again, or died")

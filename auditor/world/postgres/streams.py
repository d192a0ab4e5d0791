"""The streams of a PostgreSQL world."""

from __future__ import annotations

from auditor.errors import NotFound, StreamClosed
from auditor.world.postgres.database import Connection, Database
from auditor.world.protocol import StreamInfo

_APPEND = """
WITH grown AS (
    INSERT INTO stream (run_id, name, length, size, closed)
    SELECT run_id, %(name)s, 1, octet_length(%(chunk)s), FALSE FROM run WHERE run_id = %(run_id)s
    ON CONFLICT (run_id, name) DO UPDATE SET length = stream.length + 1, size = stream.size + excluded.size
        WHERE NOT stream.closed
    RETURNING run_id, name, length - 1 AS number
)
INSERT INTO chunk (run_id, name, number, data)
SELECT run_id, name, number, %(chunk)s FROM grown
RETURNING number
"""
_CLOSE = """
INSERT INTO stream (run_id, name, length, size, closed)
SELECT run_id, %(name)s, 0, 0, TRUE FROM run WHERE run_id = %(run_id)s
ON CONFLICT (run_id, name) DO UPDATE SET closed = TRUE
"""


class PostgresStreams:
    """See `auditor.world.protocol.Streams`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, run_id: str, name: str, chunk: bytes) -> int:
        """See `Streams.append`. Sent once: if the connection breaks, nobody knows whether the chunk is in."""
        values = {"run_id": run_id, "name": name, "chunk": chunk}

        async def work(con: Connection) -> int | None:
            row = await (await con.execute(_APPEND, values, binary=True)).fetchone()
            return None if row is None else int(row[0])

        number = await self._database.once(work)
        if number is None:
            if await self.info(run_id, name) is None:
                raise NotFound(f"there is no run {run_id}", reason="no_such_run")
            raise StreamClosed(f"the stream {name} of {run_id} is closed")
        return number

    async def read(self, run_id: str, name: str, index: int = 0, limit: int = 1_000) -> list[bytes]:
        """See `Streams.read`."""
        rows = await self._database.rows(
            "SELECT data FROM chunk WHERE run_id = %s AND name = %s AND number >= %s ORDER BY number LIMIT %s",
            (run_id, name, max(index, 0), limit),
        )
        return [bytes(row[0]) for row in rows]

    async def info(self, run_id: str, name: str) -> StreamInfo | None:
        """See `Streams.info`."""
        rows = await self._database.rows(
            "SELECT name, length, size, closed FROM stream WHERE run_id = %s AND name = %s", (run_id, name)
        )
        return StreamInfo(rows[0][0], rows[0][1], rows[0][2], rows[0][3]) if rows else None

    async def names(self, run_id: str) -> list[str]:
        """See `Streams.names`."""
        rows = await self._database.rows(
            'SELECT name FROM stream WHERE run_id = %s ORDER BY name COLLATE "C"', (run_id,)
        )
        return [row[0] for row in rows]

    async def close(self, run_id: str, name: str) -> None:
        """See `Streams.close`."""
        if await self._database.execute(_CLOSE, {"run_id": run_id, "name": name}) == 0:
            raise NotFound(f"there is no run {run_id}", reason="no_such_run")

"""The streams of a SQLite world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from auditor.errors import NotFound, StreamClosed
from auditor.world.protocol import StreamInfo
from auditor.world.sqlite.committer import Committer, Tx


class SqliteStreams:
    """See `auditor.world.protocol.Streams`."""

    def __init__(self, committer: Committer, read: Callable[..., Any]) -> None:
        self._committer = committer
        self._read = read

    async def append(self, run_id: str, name: str, chunk: bytes) -> int:
        """See `Streams.append`."""

        def work(tx: Tx) -> int:
            length, closed = _opened(tx, run_id, name)
            if closed:
                raise StreamClosed(f"the stream {name} of {run_id} is closed")
            tx.con.execute("INSERT INTO chunk VALUES (?, ?, ?, ?)", (run_id, name, length, chunk))
            tx.con.execute(
                "UPDATE stream SET length = length + 1, size = size + ? WHERE run_id = ? AND name = ?",
                (len(chunk), run_id, name),
            )
            return length

        return await self._committer.run(work)

    async def read(self, run_id: str, name: str, index: int = 0, limit: int = 1_000) -> list[bytes]:
        """See `Streams.read`."""
        rows = await self._read(
            "SELECT data FROM chunk WHERE run_id = ? AND name = ? AND number >= ? ORDER BY number LIMIT ?",
            (run_id, name, max(index, 0), limit),
        )
        return [bytes(row[0]) for row in rows]

    async def info(self, run_id: str, name: str) -> StreamInfo | None:
        """See `Streams.info`."""
        rows = await self._read(
            "SELECT name, length, size, closed FROM stream WHERE run_id = ? AND name = ?", (run_id, name)
        )
        return StreamInfo(rows[0][0], rows[0][1], rows[0][2], bool(rows[0][3])) if rows else None

    async def names(self, run_id: str) -> list[str]:
        """See `Streams.names`."""
        rows = await self._read("SELECT name FROM stream WHERE run_id = ? ORDER BY name", (run_id,))
        return [row[0] for row in rows]

    async def close(self, run_id: str, name: str) -> None:
        """See `Streams.close`."""

        def work(tx: Tx) -> None:
            _opened(tx, run_id, name)
            tx.con.execute("UPDATE stream SET closed = 1 WHERE run_id = ? AND name = ?", (run_id, name))

        await self._committer.run(work)


def _opened(tx: Tx, run_id: str, name: str) -> tuple[int, bool]:
    """Length of a stream and whether it is closed; it is made if its run exists."""
    row = tx.con.execute(
        "SELECT length, closed FROM stream WHERE run_id = ? AND name = ?", (run_id, name)
    ).fetchone()
    if row is not None:
        return row[0], bool(row[1])
    if tx.con.execute("SELECT 1 FROM run WHERE run_id = ?", (run_id,)).fetchone() is None:
        raise NotFound(f"there is no run {run_id}", reason="no_such_run")
    tx.con.execute("INSERT INTO stream VALUES (?, ?, 0, 0, 0)", (run_id, name))
    return 0, False

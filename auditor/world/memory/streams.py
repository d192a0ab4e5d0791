"""The streams of a world in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from auditor.errors import NotFound, StreamClosed
from auditor.world.protocol import StreamInfo


@dataclass(slots=True)
class _Stream:
    chunks: list[bytes] = field(default_factory=list)
    closed: bool = False


class MemoryStreams:
    """See `auditor.world.protocol.Streams`. `exists` says whether there is a run of an id."""

    def __init__(self, point: Callable[[str, str], Awaitable[None]], exists: Callable[[str], bool]) -> None:
        self._point = point
        self._exists = exists
        self._streams: dict[tuple[str, str], _Stream] = {}

    async def append(self, run_id: str, name: str, chunk: bytes) -> int:
        """See `Streams.append`."""
        await self._point("before", "stream")
        stream = self._open(run_id, name)
        if stream.closed:
            raise StreamClosed(f"the stream {name} of {run_id} is closed")
        stream.chunks.append(bytes(chunk))
        return len(stream.chunks) - 1

    async def read(self, run_id: str, name: str, index: int = 0, limit: int = 1_000) -> list[bytes]:
        """See `Streams.read`."""
        stream = self._streams.get((run_id, name))
        return [] if stream is None else stream.chunks[max(index, 0) : max(index, 0) + limit]

    async def info(self, run_id: str, name: str) -> StreamInfo | None:
        """See `Streams.info`."""
        stream = self._streams.get((run_id, name))
        if stream is None:
            return None
        return StreamInfo(name, len(stream.chunks), sum(map(len, stream.chunks)), stream.closed)

    async def names(self, run_id: str) -> list[str]:
        """See `Streams.names`."""
        return sorted(name for of_run, name in self._streams if of_run == run_id)

    async def close(self, run_id: str, name: str) -> None:
        """See `Streams.close`."""
        await self._point("before", "stream")
        self._open(run_id, name).closed = True

    def _open(self, run_id: str, name: str) -> _Stream:
        if not self._exists(run_id):
            raise NotFound(f"there is no run {run_id}", reason="no_such_run")
        return self._streams.setdefault((run_id, name), _Stream())

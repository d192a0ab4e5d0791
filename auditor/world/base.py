"""What the worlds have in common: the shape of a call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from auditor.world.draft import Request, drafted
from auditor.world.fences import Fence
from auditor.world.protocol import Append, Appended, NewEvent, Wake, Writer, new_request_id

MAX_MISSING = 10_000
"""Events that a fence conflict brings along; a writer that misses more reads the log again."""


class BaseWorld(ABC):
    """A world as a context manager, whose appends are drafted before any store sees them."""

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
        """See `World.append`."""
        append = Append(
            run_id,
            tuple(events),
            fence,
            writer,
            idempotency_key,
            tuple(wake),
            since,
            request_id or self.new_request_id(),
        )
        return await self._append(drafted(append))

    def new_request_id(self) -> str:
        """An id for a request that brings none."""
        return new_request_id()

    @abstractmethod
    async def _append(self, request: Request) -> Appended: ...

    @abstractmethod
    async def close(self) -> None:
        """Let go of files and connections. What was acknowledged stays."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

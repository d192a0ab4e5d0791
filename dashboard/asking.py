"""SQL of visitors: a few at a time, as each takes a process and its memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from auditor import QueryFailed

_AT_ONCE = threading.BoundedSemaphore(2)


@contextmanager
def turn(seconds: float) -> Iterator[None]:
    """Wait for a turn, at most so long. Raises QueryFailed if others take longer."""
    if not _AT_ONCE.acquire(timeout=seconds):
        raise QueryFailed("others are asking at the moment; try again")
    try:
        yield
    finally:
        _AT_ONCE.release()

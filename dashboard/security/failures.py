"""Guessing tokens is slow."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

_ADDRESSES = 10_000
"""Whose failures are remembered; the rest is forgotten, oldest first, so that guessing costs no memory."""


class Failures:
    """Counts wrong tokens by address, over the last minute."""

    def __init__(self, most: int = 10, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def count(self, address: str) -> None:
        """Somebody there gave a wrong token."""
        times = self._times.setdefault(address, deque(maxlen=self._most))
        times.append(self._clock())
        self._times.move_to_end(address)
        if len(self._times) > _ADDRESSES:
            self._times.popitem(last=False)

    def wait(self, address: str) -> int:
        """Seconds until somebody there may try again; 0: now."""
        times = self._times.get(address)
        if times is None or len(times) < self._most:
            return 0
        left = times[0] + self._seconds - self._clock()
        return int(left) + 1 if left > 0 else 0

"""Chance: every decision of a simulation is drawn from one seed, the same on every Python and every machine."""

from __future__ import annotations

import random
from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """A stream of random numbers of its own, named by a seed and by what it is for.

    Only `getrandbits` is drawn from: what `random` makes of it in other ways may change between versions.
    """

    def __init__(self, *name: object) -> None:
        text = "/".join(str(part) for part in name)
        self.bits = random.Random(int.from_bytes(sha256(text.encode()).digest(), "big")).getrandbits  # noqa: S311

    def below(self, limit: int) -> int:
        """A number from 0 up to, but not including, a limit of at least 1."""
        width = limit.bit_length()
        while (drawn := self.bits(width)) >= limit:
            pass
        return drawn

    def between(self, first: int, last: int) -> int:
        """A number from `first` to `last`, both included."""
        return first + self.below(last - first + 1)

    def one_in(self, number: int) -> bool:
        """True once in so many times."""
        return self.below(number) == 0

    def one_of(self, things: Sequence[T]) -> T:
        """One of these."""
        return things[self.below(len(things))]

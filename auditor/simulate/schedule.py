"""The schedule: who goes on next, and what time it is. No event loop, no clock, no thread.

The world's calls are the schedule: each of them is a point before it takes effect and a point behind it, and at a
point any other actor may go on. Time is a number; it passes when a move says so, and when everybody sleeps.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple, Protocol

from auditor.errors import AuditorError

MAX_MOVES = 60_000
"""Moves after which a simulation is taken for endless."""

NEVER = float("inf")


class EndlessSimulation(AuditorError):
    """A simulation that did not come to rest: its actors keep each other busy for ever."""


class PowerCut(BaseException):
    """Everything stops here, in the middle of what it does."""


class Turn(NamedTuple):
    """What an actor awaits to let others pass: for so many ms, or, `idle`, until a message is due.

    `when` and `what` name the point it stands at: before or after a call of the world.
    """

    ms: int = 0
    idle: bool = False
    when: str = ""
    what: str = ""

    def __await__(self) -> Generator[Turn, None, None]:
        yield self


_NOW = Turn()


@cache
def _point(when: str, what: str) -> Turn:
    return Turn(when=when, what=what)


class Move(NamedTuple):
    """One step of a schedule: who went on, and how many ms passed before."""

    actor: str
    ms: int


@dataclass(slots=True)
class Actor:
    """Somebody who goes on when the schedule says so. `wake` is the time in ms until which it sleeps."""

    name: str
    life: Coroutine[Any, Any, None]
    wake: float = 0
    at: Turn = _NOW
    context: Context = field(default_factory=copy_context)
    """Of its own: what one actor sets, as the attempt of a step that it runs, no other one sees."""


class Strategy(Protocol):
    """Who goes on next."""

    def choose(self, ready: Sequence[Actor]) -> Actor:
        """One of those who can go on, of which there is at least one."""

    def passes(self) -> int:
        """How many ms pass before the next move."""


class Schedule:
    """Plays actors to their rest, one move at a time, and keeps the moves.

    `due` gives the time at which the next message is due, or None; an idle actor wakes then.
    """

    def __init__(self, strategy: Strategy, start_ms: int) -> None:
        self.ms = start_ms
        self.moves: list[Move] = []
        self.due: Callable[[], int | None] = lambda: None
        self._strategy = strategy
        self._actors: list[Actor] = []

    def now(self) -> int:
        """The time in ms since 1970."""
        return self.ms

    def point(self, when: str, what: str) -> Turn:
        """A scheduling point of the world."""
        return _point(when, what)

    def pause(self, seconds: float) -> Turn:
        """Wait as a runtime waits."""
        return Turn(round(seconds * 1000))

    def add(self, name: str, life: Coroutine[Any, Any, None]) -> None:
        """Somebody more who takes part."""
        self._actors.append(Actor(name, life, self.ms))

    def play(self) -> None:
        """Until nobody can go on any more, or the power is cut. Raises EndlessSimulation."""
        try:
            while ready := self._ready():
                if len(self.moves) >= MAX_MOVES:
                    raise EndlessSimulation(f"no rest after {MAX_MOVES} moves")
                self._move(ready)
        except PowerCut:
            pass
        finally:
            for actor in self._actors:
                actor.context.run(actor.life.close)
            self._actors.clear()

    def _ready(self) -> list[Actor]:
        due = self.due()
        first = NEVER if due is None else due
        soonest = NEVER
        ready = []
        for actor in self._actors:
            wake = first if actor.at.idle else actor.wake
            if wake <= self.ms:
                ready.append(actor)
            elif wake < soonest:
                soonest = wake
        if ready or soonest == NEVER:
            return ready
        self.ms = int(soonest)
        return self._ready()

    def _move(self, ready: Sequence[Actor]) -> None:
        actor = self._strategy.choose(ready)
        passed = self._strategy.passes()
        self.ms += passed
        self.moves.append(Move(actor.name, passed))
        try:
            actor.at = actor.context.run(actor.life.send, None)
        except StopIteration:
            self._actors.remove(actor)
        else:
            actor.wake = self.ms + actor.at.ms

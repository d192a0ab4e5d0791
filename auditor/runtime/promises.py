"""Promises, and the tasks that wait for them: coroutines that are driven here, without any event loop.

A task runs until it waits for a promise that is open. Tasks whose promise was settled run in the order in which
they became ready, one at a time, so what a workflow does is a function of the order in which promises are settled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any, Generic, TypeVar

from auditor.errors import ForeignAwaitable

T = TypeVar("T")


class Promise(Generic[T]):
    """A value that is not there yet. Settled once; awaited as often as one likes."""

    __slots__ = ("_error", "_followers", "_value", "done")

    def __init__(self) -> None:
        self.done = False
        self._value: T
        self._error: BaseException | None = None
        self._followers: list[Callable[[], None]] = []

    def resolve(self, value: T) -> None:
        """Settle it with a value; a settled promise stays as it is."""
        if not self.done:
            self._value = value
            self._settle()

    def reject(self, error: BaseException) -> None:
        """Settle it with an error; a settled promise stays as it is."""
        if not self.done:
            self._error = error
            self._settle()

    def result(self) -> T:
        """The value of a settled promise. Raises the error that it was rejected with."""
        if self._error is not None:
            raise self._error
        return self._value

    def then(self, follower: Callable[[], None]) -> None:
        """Call when settled, in the order of asking; at once if it is."""
        if self.done:
            follower()
        else:
            self._followers.append(follower)

    def __await__(self) -> Generator[Promise[Any], None, T]:
        if not self.done:
            yield self
        return self.result()

    def _settle(self) -> None:
        self.done = True
        followers, self._followers = self._followers, []
        for follower in followers:
            follower()


class Task(Promise[T]):
    """A coroutine on its way; settled with what it returns or raises."""

    __slots__ = ("_coroutine", "_loop", "_mistake")

    def __init__(self, loop: Loop, coroutine: Coroutine[Any, Any, T]) -> None:
        super().__init__()
        self._loop = loop
        self._coroutine = coroutine
        self._mistake: ForeignAwaitable | None = None
        self.wake()

    def wake(self) -> None:
        """Let it go on when those that became ready before it have."""
        self._loop.ready.append(self)

    def advance(self) -> None:
        """Run until it waits or ends."""
        mistake, self._mistake = self._mistake, None
        try:
            waited = self._coroutine.send(None) if mistake is None else self._coroutine.throw(mistake)
        except StopIteration as stop:
            self.resolve(stop.value)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever a workflow raises is its result
            self.reject(error)
        else:
            if isinstance(waited, Promise):
                waited.then(self.wake)
                return
            self._mistake = ForeignAwaitable(
                f"a workflow can only wait for its context (step, sleep, hook, race, gather), not for {waited!r}: "
                "what others bring is not in the log and is lost at the next replay. Put it into a step"
            )
            self.wake()

    def close(self) -> None:
        """Leave it where it waits."""
        # Code in its `finally` that waits again is told so by Python.
        with suppress(Exception):
            self._coroutine.close()


class Loop:
    """Runs tasks first in, first out, until all of them wait."""

    def __init__(self) -> None:
        self.ready: deque[Task[Any]] = deque()
        self._tasks: list[Task[Any]] = []

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> Task[T]:
        """Begin a task; it runs when those that are ready have run."""
        task = Task(self, coroutine)
        self._tasks.append(task)
        return task

    def run(self) -> None:
        """Run until every task waits or has ended."""
        while self.ready:
            self.ready.popleft().advance()

    def close(self) -> None:
        """Leave all tasks where they wait."""
        self.ready.clear()
        for task in self._tasks:
            if not task.done:
                task.close()
        self._tasks.clear()

"""What a workflow is given: everything it may do that has to come out the same at every replay."""

from __future__ import annotations

import datetime as dt
import hashlib
import inspect
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from random import Random
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar, overload

from auditor.errors import UsageError
from auditor.model.events import EntityKind
from auditor.model.ids import milliseconds, ulid
from auditor.runtime.promises import Loop, Promise
from auditor.runtime.registry import step_of
from auditor.runtime.values import must_be_json
from auditor.world.draft import MAX_ID

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_SLEEP = 100 * 365 * 24 * 3600
"""Seconds that a sleep takes at most."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(slots=True)
class Allocation:
    """One entity that a replay has created: the ordinal-th draw of the run's sequence of ids.

    `name` is that of a step. `data` is what its creation says in the log, where it `is_written`. `promise` is
    settled by its outcome; a hook has deliveries instead.
    """

    ordinal: int
    kind: EntityKind
    correlation_id: str
    name: str | None
    data: dict[str, Any]
    promise: Promise[Any] = field(default_factory=Promise)
    hook: Hook | None = None
    is_written: bool = False
    is_closed: bool = False

    def described(self) -> str:
        """In one line, for an error."""
        return f"{self.kind} {self.correlation_id}" + (f" ({self.name})" if self.name else "")


class Winner(NamedTuple, Generic[T]):
    """What won a race: its place among the arguments, from 0, and its value."""

    place: int
    value: T


class Hook:
    """Something that the outside can deliver payloads to, by its token.

    Awaiting it gives the next payload; what arrives while nobody waits is kept. `async for` gives one after
    another.
    """

    def __init__(self, token: str) -> None:
        self.token = token
        self.disposed = False
        self._payloads: deque[Any] = deque()
        self._claims: deque[Promise[Any]] = deque()
        self._error: Exception | None = None

    def dispose(self) -> None:
        """Take no more deliveries, and let the token go. Payloads that have arrived can still be read."""
        self.disposed = True

    def claim(self) -> Promise[Any]:
        """A promise of the next payload."""
        claim: Promise[Any] = Promise()
        if self._payloads:
            claim.resolve(self._payloads.popleft())
        elif self._error is not None:
            claim.reject(self._error)
        else:
            self._claims.append(claim)
        return claim

    def withdraw(self, claim: Promise[Any]) -> None:
        """Give a claim back that has lost a race, so that it takes no payload from those who come after."""
        if claim in self._claims:
            self._claims.remove(claim)

    def deliver(self, payload: Any) -> None:
        """A payload has come: it goes to who waited first."""
        if self._claims:
            self._claims.popleft().resolve(payload)
        else:
            self._payloads.append(payload)

    def fail(self, error: Exception) -> None:
        """Nothing will ever come."""
        self._error = error
        claims, self._claims = self._claims, deque()
        for claim in claims:
            claim.reject(error)

    def __await__(self) -> Generator[Any, None, Any]:
        return self.claim().__await__()

    # No generator: an event loop around the replay would take charge of one that is left.
    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        return await self


Waited = Promise[T] | Hook | Coroutine[Any, Any, T]
"""What can be raced and gathered: what the context gives, and calls of other `async def` that use it."""


class Context:
    """The first argument of a workflow. Nothing that it gives depends on anything but the run's log."""

    def __init__(self, run_id: str, loop: Loop) -> None:
        self.run_id = run_id
        self.allocations: list[Allocation] = []
        self.by_id: dict[str, Allocation] = {}
        self.now_ms = 0
        self._loop = loop
        self._seed = hashlib.sha256(run_id.encode()).digest()
        # Half of the random part: no run can draw so much that it would carry into the time.
        self._first = (milliseconds(run_id) or 0) << 80 | int.from_bytes(self._seed[:10], "big") >> 1

    @overload
    def step(
        self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> Promise[T]: ...

    @overload
    def step(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Promise[T]: ...

    def step(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Promise[Any]:
        """Begin a step; awaiting it gives its result. Raises StepFailed there when it has failed for good.

        It begins here, not at the `await`. Arguments and result travel as JSON. Raises UsageError if the function
        is no step, or an argument no JSON.
        """
        made = step_of(function)
        taken = {"args": list(args), "kwargs": kwargs}
        must_be_json(taken, f"an argument of the step {made.name}")
        return self._allocate(EntityKind.STEP, {"stepName": made.name, "input": taken}, made.name).promise

    def sleep(self, duration: float | dt.timedelta) -> Promise[None]:
        """A promise that is settled after so many seconds. It begins here, not at the `await`."""
        seconds = duration.total_seconds() if isinstance(duration, dt.timedelta) else float(duration)
        if not 0 <= seconds <= LONGEST_SLEEP:
            raise UsageError(f"a sleep takes 0 seconds to a hundred years, not {duration!r}")
        resume_at = self.now_ms + round(seconds * 1000)
        return self._allocate(EntityKind.WAIT, {"resumeAt": resume_at}).promise

    def hook(self, token: str | None = None) -> Hook:
        """Something that the outside can deliver to, by its token; by default its correlation id, which follows
        from the run's id: where that is no secret, give a token that is.

        While it is open no other hook has the token: awaiting one that asked too late raises HookConflict.
        Raises UsageError if no world takes it for a token.
        """
        if token is not None and not (0 < len(token) <= MAX_ID and token.isprintable()):
            raise UsageError(f"a token is a text of 1 to {MAX_ID} printable characters, not {token[:40]!r}")
        made = self._allocate(EntityKind.HOOK, {})
        made.hook = Hook(made.correlation_id if token is None else token)
        made.data["token"] = made.hook.token
        return made.hook

    def race(self, *contenders: Waited[Any]) -> Promise[Winner[Any]]:
        """The first that is settled, and its place. The losers go on, and what is delivered to a hook is kept.

        Of several that are settled already the first argument wins. The error of a winner is raised.
        """
        if not contenders:
            raise UsageError("a race needs somebody who runs in it")
        won: Promise[Winner[Any]] = Promise()
        claims: list[tuple[Hook, Promise[Any]]] = []

        def settle(index: int, promise: Promise[Any]) -> None:
            if won.done:
                return
            try:
                value = promise.result()
            except Exception as error:  # noqa: BLE001 - whatever it is, the race ends with it
                won.reject(error)
            else:
                won.resolve(Winner(index, value))
            for hook, claim in claims:
                hook.withdraw(claim)

        for index, contender in enumerate(contenders):
            if isinstance(contender, Hook) and won.done:
                continue
            promise = self._promise(contender)
            if isinstance(contender, Hook):
                claims.append((contender, promise))
            promise.then(partial(settle, index, promise))
        return won

    def gather(self, *all_of: Waited[Any]) -> Promise[list[Any]]:
        """All values, in the order of the arguments. The first error is raised; the others go on."""
        promises = [self._promise(one) for one in all_of]
        gathered: Promise[list[Any]] = Promise()
        left = len(promises)

        def settle(promise: Promise[Any]) -> None:
            nonlocal left
            left -= 1
            try:
                promise.result()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where all are awaited
                gathered.reject(error)
            if left == 0 and not gathered.done:
                gathered.resolve([one.result() for one in promises])

        for promise in promises:
            promise.then(partial(settle, promise))
        if not promises:
            gathered.resolve([])
        return gathered

    def now(self) -> dt.datetime:
        """The time of the last event that this workflow has seen (UTC): it stands still between events."""
        return _EPOCH + dt.timedelta(milliseconds=self.now_ms)

    def random(self) -> float:
        """A number from 0 up to 1; the same at every replay."""
        return self._random.getrandbits(53) / (1 << 53)

    def uuid(self) -> uuid.UUID:
        """A UUID; the same at every replay."""
        return uuid.UUID(int=self._random.getrandbits(128), version=4)

    @cached_property
    def _random(self) -> Random:
        return Random(int.from_bytes(self._seed[10:], "big"))  # noqa: S311 - has to come out the same

    def _promise(self, waited: Waited[Any]) -> Promise[Any]:
        if isinstance(waited, Promise):
            return waited
        if isinstance(waited, Hook):
            return waited.claim()
        if inspect.iscoroutine(waited):
            return self._loop.spawn(waited)
        raise UsageError(
            f"a workflow can wait for what its context gives and for calls of `async def`, not {waited!r}"
        )

    def _allocate(self, kind: EntityKind, data: dict[str, Any], name: str | None = None) -> Allocation:
        ordinal = len(self.allocations)
        made = Allocation(ordinal, kind, f"{kind}_{_drawn(self._first + ordinal)}", name, data)
        self.allocations.append(made)
        self.by_id[made.correlation_id] = made
        return made


# Every replay of a run draws the same ids again.
_drawn = lru_cache(maxsize=4_096)(ulid)

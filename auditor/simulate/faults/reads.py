"""Readers that are given another log than there is, and code that is not what it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from auditor.model.events import EventType
from auditor.runtime import Context, step
from auditor.runtime.policy import FencePolicy
from auditor.runtime.registry import Workflow
from auditor.runtime.tick import Store
from auditor.simulate.clients import Client
from auditor.simulate.draws import Draws
from auditor.simulate.faults.base import Fault
from auditor.world import Appended, Fence, NewEvent, Snapshot, World

T = EventType
_CREATES = frozenset({T.STEP_CREATED, T.WAIT_CREATED, T.HOOK_CREATED})


class _Holed(Client):
    """Misses a signal while it is not the last event, and nothing was created behind it yet."""

    async def events(self, run_id: str, after: int = 0, limit: int | None = None) -> Snapshot:
        """See `World.events`."""
        snapshot = await super().events(run_id, after, limit)
        types = [event.event_type for event in snapshot.events]
        created = max((place for place, kind in enumerate(types) if kind in _CREATES), default=-1)
        kept = tuple(
            event
            for place, event in enumerate(snapshot.events)
            if event.event_type != T.HOOK_RECEIVED or place < created or place == len(types) - 1
        )
        return replace(snapshot, events=kept)


class ReadWithAHole(Fault):
    """A reader is given the tail, and not a signal that stands before it: its fence holds, its decision is wrong.

    Seen in vercel/workflow#3145 and #2475. No fence can show it: the tail says that all was read.
    """

    rules = ("replay-divergence", "terminal-not-reproducible", "unusual-branch", "runtime-verdict-unexplained")
    roots = 2
    scenarios = ("noted-door", "race")
    replays = True

    def client(self, world: World) -> Store:
        """See `Fault.client`."""
        return _Holed(world)


class StaleBranchAlone(Fault):
    """A read with a hole where the log records no fences and nobody has the code: only the order shows it.

    Mechanism E of the corpora: the branch of the sleep goes on behind a signal that came before, and no second
    decision was ever written. Other runs of the workflow say what is usual.
    """

    rules = ("unusual-branch", "runtime-verdict-unexplained")
    roots = 2
    scenarios = ("noted-door",)
    dialect = "stock"
    controls = 15

    def client(self, world: World) -> Store:
        """See `Fault.client`."""
        return _Holed(world)


class _Lags(Client):
    """Reads a log that ends before a signal, the first time that it stands at its end."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._seen: set[str] = set()

    async def events(self, run_id: str, after: int = 0, limit: int | None = None) -> Snapshot:
        """See `World.events`."""
        snapshot = await super().events(run_id, after, limit)
        signals = {event.event_id for event in snapshot.events if event.event_type == T.HOOK_RECEIVED}
        unseen = signals - self._seen
        self._seen |= signals
        if snapshot.events and snapshot.events[-1].event_id in unseen:
            return replace(snapshot, events=snapshot.events[:-1])
        return snapshot


class StaleRead(Fault):
    """A reader is given an older prefix of the log, and no write carries a fence: the bug that fences cure.

    vercel/workflow#2113, mechanisms A, B and E of the corpora.
    """

    rules = ("ordinal-collision", "unusual-branch", "runtime-verdict-unexplained", "orphaned-wait", "stalled-run")
    roots = 2
    scenarios = ("door",)
    policy = FencePolicy.OFF
    dialect = "stock"
    controls = 10

    def client(self, world: World) -> Store:
        """See `Fault.client`."""
        return _Lags(world)


class _Wavers:
    """A context that draws one id more before its n-th step."""

    def __init__(self, ctx: Context, place: int) -> None:
        self._ctx = ctx
        self._left = place

    def step(self, function: Callable[..., Any], *args: Any) -> Any:
        """See `Context.step`."""
        self._left -= 1
        if self._left == 0:
            self._ctx.sleep(0.001)
        return self._ctx.step(function, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)


class PrefixDependentDraws(Fault):
    """The code draws its ids in an order that is not a function of the log: each replay begins with another one.

    Seen in vercel/workflow#3137 and #3552: the order in which promises wake depends on caches and hops.
    """

    rules = ("replay-divergence", "unusual-branch", "runtime-verdict-unexplained")
    roots = 2
    scenarios = ("race", "stress", "sequential")
    replays = True

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self._replays = count(draws.below(3))

    def workflow(self, workflow: Workflow) -> Workflow:
        """See `Fault.workflow`."""

        async def drawn(ctx: Context, *taken: Any) -> Any:
            wavers = next(self._replays) % 3 == 0
            return await workflow.function(_Wavers(ctx, self._left) if wavers else ctx, *taken)

        return Workflow(workflow.name, drawn)


class _EndsOtherwise(Client):
    """Writes another result than the code came to."""

    async def append(self, run_id: str, events: Sequence[NewEvent], fence: Fence | None, **more: Any) -> Appended:
        """See `World.append`."""
        ended = [
            replace(event, data={"output": "something else"}) if event.event_type == T.RUN_COMPLETED else event
            for event in events
        ]
        return await super().append(run_id, ended, fence, **more)


class WrongCompletion(Fault):
    """An engine that does not compare names resolves the wrong call: the run completes, with a wrong result.

    Seen in vercel/workflow#3453.
    """

    rules = ("terminal-not-reproducible",)
    scenarios = ("sequential", "race", "parallel")
    replays = True

    def client(self, world: World) -> Store:
        """See `Fault.client`."""
        return _EndsOtherwise(world)


@step(name="step//./simulate@2//react")
async def react_2(number: int, payload: Any) -> str:
    """What follows on a signal, in the next version."""
    return f"{number} {payload}"


class _Renames:
    """A context that gives every step but its second version's name."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def step(self, function: Callable[..., Any], *args: Any) -> Any:
        """See `Context.step`."""
        return self._ctx.step(react_2 if function.__name__ == "react" else function, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)


class TwoVersionsOfCode(Fault):
    """Two deployments work on one run: in the newer one a step has another name.

    Seen in eve#2866: runs fail in bulk after an upgrade.
    """

    rules = ("code-version-skew", "replay-divergence", "terminal-not-reproducible", "runtime-verdict-unexplained")
    scenarios = ("race", "stress", "cancelled")
    replays = True

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self._workers = count()

    def workflow(self, workflow: Workflow) -> Workflow:
        """See `Fault.workflow`."""

        async def renamed(ctx: Context, *taken: Any) -> Any:
            return await workflow.function(_Renames(ctx), *taken)

        return workflow if next(self._workers) == 0 else Workflow(workflow.name, renamed)

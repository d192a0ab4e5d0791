"""A tick: load the log of a run, complete elapsed waits, replay, and append what the workflow wants next.

A decision that a fence refuses is never sent again. The events that it had not seen are merged, the replay goes on
with them and decides anew; what was decided on the old snapshot is forgotten. To re-send it would commit exactly
the corruption that the fence exists to stop.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from auditor.errors import (
    Divergence,
    EntityConflict,
    FenceConflict,
    Nondeterminism,
    PreconditionFailed,
    RunTerminal,
)
from auditor.model.events import EventType
from auditor.model.rows import Event
from auditor.runtime.decisions import Decision, decide
from auditor.runtime.history import History
from auditor.runtime.metrics import Metrics
from auditor.runtime.policy import FencePolicy, Fencing
from auditor.runtime.registry import Workflow
from auditor.runtime.replayer import Replay
from auditor.runtime.values import error_data
from auditor.world import Appended, Fence, NewEvent, Snapshot, Writer

logger = logging.getLogger(__name__)

T = EventType
MAX_CONFLICTS = 5
"""Times that one tick decides again after a fence conflict; then it goes back to the queue."""

BACKOFF_SECONDS = 0.025
"""After its first conflict a tick decides again at once, with what the refusal brings; after the n-th it first
pauses n - 1 times so long, and reads again."""

MAX_DIVERGENCES = 3
"""Ticks of a run in a row that may diverge; the next one that does fails the run."""

CORRUPTED = "CORRUPTED_EVENT_LOG"
"""The errorCode of a run whose log its code does not replay."""


class Result(StrEnum):
    """What a tick came to.

    done: nothing is left to write. conflicts: others were faster too often, tick again later. diverged: the replay
    left the history. corrupted: so often that the run was failed.
    """

    DONE = "done"
    CONFLICTS = "conflicts"
    DIVERGED = "diverged"
    CORRUPTED = "corrupted"


class Store(Protocol):
    """The part of a world that a tick speaks to."""

    async def append(
        self, run_id: str, events: Sequence[NewEvent], fence: Fence | None, *, writer: Writer
    ) -> Appended:
        """See `World.append`."""

    async def events(self, run_id: str, after: int = 0) -> Snapshot:
        """See `World.events`."""

    async def now(self) -> int:
        """See `World.now`."""


class Ticked(NamedTuple):
    """The result of a tick, and after how many divergences in a row."""

    result: Result
    divergences: int = 0


def _in_full(longest: float) -> float:
    return longest


@dataclass(slots=True)
class Ticker:
    """Ticks runs of a world. `pause` waits for seconds; `jitter` gives a time up to the one it is given."""

    world: Store
    pause: Callable[[float], Awaitable[None]]
    writer_id: str
    policy: Fencing = FencePolicy.FULL
    jitter: Callable[[float], float] = _in_full
    metrics: Metrics = field(default_factory=Metrics)
    new_id: Callable[[], str] = lambda: secrets.token_hex(8)

    async def tick(
        self, workflow: Workflow, run_id: str, events: tuple[Event, ...], divergences: int = 0
    ) -> Ticked:
        """One tick, on the events of the run that were just read, after so many divergences in a row.

        Raises Refused (a run that is gone) and StoreUnavailable.
        """
        history = History()
        history.merge(events)
        with Replay(workflow, run_id) as replay:
            work = _Work(self, run_id, history, replay)
            try:
                result = await work.until_nothing_is_left()
            except (Nondeterminism, Divergence) as error:
                ticked = await self._diverged(work, error, divergences + 1)
            else:
                ticked = Ticked(result)
        self.metrics.ticks.labels(ticked.result).inc()
        return ticked

    async def _diverged(self, work: _Work, error: Nondeterminism | Divergence, times: int) -> Ticked:
        self.metrics.divergences.inc()
        said = {"run_id": work.run_id, "tick_id": work.tick_id, "times": times, "why": str(error)}
        if isinstance(error, Nondeterminism):
            said |= {"around_log": error.around_log, "around_replay": error.around_replay}
        logger.warning("replay diverged", extra=said)
        if times <= MAX_DIVERGENCES:
            return Ticked(Result.DIVERGED, times)
        message = f"the replay diverged {times} times in a row: {error}"
        failed = NewEvent(
            T.RUN_FAILED, data={"errorCode": CORRUPTED, "error": {**error_data(error), "message": message}}
        )
        try:
            await work.append(Decision("divergence", (failed,)))
        except (FenceConflict, PreconditionFailed):
            return Ticked(Result.DIVERGED, MAX_DIVERGENCES)
        except RunTerminal:
            return Ticked(Result.DONE)
        return Ticked(Result.CORRUPTED, times)


class _Work:
    """The work of one tick."""

    def __init__(self, ticker: Ticker, run_id: str, history: History, replay: Replay) -> None:
        self.run_id = run_id
        self.tick_id = f"tick_{ticker.new_id()}"
        self._ticker = ticker
        self._history = history
        self._replay = replay
        self._settled: set[tuple[EventType, str | None]] = set()
        self._conflicts = 0

    async def until_nothing_is_left(self) -> Result:
        # Only a wait asks what time it is; one that is created from now on is woken by a message of its own.
        now = await self._ticker.world.now() if self._history.has_open_waits else 0
        while True:
            # The times of events that were committed meanwhile are the store's clock, too.
            now = max(now, self._history.events[-1].created_at if self._history.events else 0)
            decision = decide(self._history, self._replay, now, self._settled)
            if decision is None:
                return Result.DONE
            if not self._ticker.policy.batches:
                decision = decision._replace(events=decision.events[:1])
            try:
                await self.append(decision)
            except (FenceConflict, PreconditionFailed) as conflict:
                if not await self._catch_up(decision, conflict):
                    return Result.CONFLICTS
            except Divergence:
                raise
            except EntityConflict as conflict:
                # Only a decision without a fence comes here. Whoever sends none cannot know whether somebody did
                # this very thing or another one under its name, and takes it for done.
                first = decision.events[0]
                self._settled.add((first.event_type, first.correlation_id))
                self._tell("taken for done", decision, why=str(conflict))
            except RunTerminal:
                return Result.DONE

    async def append(self, decision: Decision) -> None:
        """Append a decision under the fence of what is known, and take note of its events."""
        ticker = self._ticker
        appended = await ticker.world.append(
            self.run_id,
            decision.events,
            ticker.policy.fence(decision.events[0].event_type, self._history.tail),
            writer=Writer(ticker.writer_id, self.tick_id, decision.site, 1 + self._conflicts),
        )
        ticker.metrics.appends.labels(decision.site).inc()
        self._history.merge(appended.events)

    async def _catch_up(self, decision: Decision, conflict: FenceConflict | PreconditionFailed) -> bool:
        """Merge what was missing, to decide again; False if this tick has tried often enough."""
        ticker, site = self._ticker, decision.site
        ticker.metrics.conflicts.labels(site).inc()
        missing = conflict.missing if isinstance(conflict, FenceConflict) else None
        self._conflicts += 1
        self._tell(
            "fence conflict",
            decision,
            expected=conflict.expected,
            actual=conflict.actual,
            missing=None if missing is None else len(missing),
        )
        if self._conflicts > MAX_CONFLICTS:
            ticker.metrics.exhausted.labels(site).inc()
            self._tell("retries exhausted", decision)
            return False
        ticker.metrics.retries.labels(site).inc()
        self._history.merge(missing or ())
        if missing is None or self._conflicts > 1:
            # Who waits has to look again: under many signals, what was missing is old after a few milliseconds.
            await ticker.pause(ticker.jitter(BACKOFF_SECONDS * (self._conflicts - 1)))
            self._history.merge((await ticker.world.events(self.run_id, self._history.unbroken)).events)
        return True

    def _tell(self, what: str, decision: Decision, **more: object) -> None:
        logger.info(
            what,
            extra={
                "run_id": self.run_id,
                "tick_id": self.tick_id,
                "site": decision.site,
                "events": [event.event_type.value for event in decision.events],
                "attempt": self._conflicts,
                **more,
            },
        )

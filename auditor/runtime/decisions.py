"""What a tick writes next, as a function of the events that it knows."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from auditor.model.events import EventType
from auditor.runtime.context import Allocation
from auditor.runtime.history import History
from auditor.runtime.replayer import CREATIONS, Replay, Returned
from auditor.world import NewEvent
from auditor.world.draft import MAX_EVENTS

T = EventType
_CREATION = {entity: event_type for event_type, entity in CREATIONS.items()}

Settled = Collection[tuple[EventType, str | None]]


class Decision(NamedTuple):
    """Events to append under one fence, and the place in the code that decided on them."""

    site: str
    events: tuple[NewEvent, ...]


def decide(history: History, replay: Replay, now: int, settled: Settled = ()) -> Decision | None:
    """What to write next; None if the run waits for others, or has ended.

    Elapsed waits are completed first, then the replay goes on with what it has not seen. `settled` names events
    that somebody else is taken to have written. Raises Nondeterminism.
    """
    if history.is_ended:
        return None
    if not history.is_started:
        return _events("start", [NewEvent(T.RUN_STARTED)], settled)
    if elapsed := _events("elapsed waits", [NewEvent(T.WAIT_COMPLETED, w) for w in history.elapsed(now)], settled):
        return elapsed
    replay.deliver_all(history.events[replay.delivered :])
    outcome = replay.outcome
    if outcome is not None:
        kind = T.RUN_COMPLETED if isinstance(outcome, Returned) else T.RUN_FAILED
        return Decision("terminal", (NewEvent(kind, data=outcome.data),))
    return _events("suspension", _wanted(replay, settled), settled)


def _wanted(replay: Replay, settled: Settled) -> list[NewEvent]:
    """What a suspension disposes of and creates: what was let go of first, so that its token is free."""
    wanted = [NewEvent(T.HOOK_DISPOSED, made.correlation_id) for made in replay.disposals]
    for made in replay.missing:
        creation = _creation(made)
        wanted.append(creation)
        let_go = made.hook is not None and made.hook.disposed
        if let_go and (creation.event_type, creation.correlation_id) not in settled:
            # Whether it got its token, and so has one to let go of, is for the log to say.
            break
    return wanted


def _events(site: str, events: list[NewEvent], settled: Settled) -> Decision | None:
    left = [event for event in events if (event.event_type, event.correlation_id) not in settled]
    return Decision(site, tuple(left[:MAX_EVENTS])) if left else None


def _creation(made: Allocation) -> NewEvent:
    return NewEvent(_CREATION[made.kind], made.correlation_id, made.data)

"""The workflow that the writers run: what is to be appended next, as a function of the log alone.

Two phases of two steps and a short wait each, then a signal must have come, then the run is over. Every run that
was not lost on the way therefore ends with the same entities, whoever wrote which part of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from ulid import ULID

from auditor.model.events import EventType
from auditor.model.ids import milliseconds
from auditor.model.rows import Event
from auditor.world import NewEvent
from auditor.world.draft import milliseconds_of

T = EventType
PHASES = 2
STEPS = 2
WAIT_MS = 15
OUTCOMES = {T.STEP_COMPLETED, T.STEP_FAILED}

Named = tuple[str, str | None]


def created() -> NewEvent:
    context = {"workflowCoreVersion": "4.8.9"}
    return NewEvent(T.RUN_CREATED, data={"workflowName": "workflow//./flows//order", "executionContext": context})


def entity(run_id: str, kind: str, ordinal: int) -> str:
    """The ordinal-th draw of the run's sequence."""
    body = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:9], "big")
    value = (milliseconds(run_id) or 0) << 80 | body + ordinal
    return f"{kind}_{ULID(value.to_bytes(16, 'big'))}"


def hook(run_id: str) -> str:
    return entity(run_id, "hook", 0)


def decide(run_id: str, log: Sequence[Event], now: int) -> list[NewEvent]:
    """The next batch; nothing if the run waits for somebody else."""
    seen: set[Named] = {(event.event_type, event.correlation_id) for event in log}
    if (T.RUN_COMPLETED, None) in seen:
        return []
    if (T.RUN_STARTED, None) not in seen:
        token = {"token": f"token of {run_id}"}
        return [
            NewEvent(T.RUN_STARTED),
            NewEvent(T.HOOK_CREATED, hook(run_id), token),
            *_phase(run_id, 0, now),
        ]
    for phase in range(PHASES):
        steps, wait = _names(run_id, phase)
        if (T.WAIT_CREATED, wait) not in seen:
            return _phase(run_id, phase, now)
        if (T.WAIT_COMPLETED, wait) not in seen:
            (made,) = (e for e in log if (e.event_type, e.correlation_id) == (T.WAIT_CREATED, wait))
            return [NewEvent(T.WAIT_COMPLETED, wait)] if now >= _over(made) else []
        if not all((T.STEP_COMPLETED, step) in seen for step in steps):
            return []
    if (T.HOOK_RECEIVED, hook(run_id)) not in seen:
        return []
    return [NewEvent(T.HOOK_DISPOSED, hook(run_id)), NewEvent(T.RUN_COMPLETED, data={"output": "done"})]


def _over(wait: Event) -> int:
    """When a wait is over; the world wakes the run at this time, and once only."""
    return milliseconds_of(json.loads(wait.data or "{}")["resumeAt"], "resumeAt") or 0


def _phase(run_id: str, phase: int, now: int) -> list[NewEvent]:
    steps, wait = _names(run_id, phase)
    made = [NewEvent(T.STEP_CREATED, step, {"stepName": f"step//charge-{n}"}) for n, step in enumerate(steps)]
    return [*made, NewEvent(T.WAIT_CREATED, wait, {"resumeAt": now + WAIT_MS})]


def _names(run_id: str, phase: int) -> tuple[list[str], str]:
    first = 1 + phase * (STEPS + 1)
    return [entity(run_id, "step", first + n) for n in range(STEPS)], entity(run_id, "wait", first + STEPS)

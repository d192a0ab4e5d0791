"""Event types of the Workflow SDK's log, and what kind of write each of them is.

Source: the SDK's persisted event envelope (`DOMAIN` section 0) and the roles of section 2.1 there.
"""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """Every event type that the SDK, from spec 1 to 9, puts into a log."""

    RUN_CREATED = "run_created"
    RUN_STARTED = "run_started"
    RUN_COMPLETED = "run_completed"
    RUN_FAILED = "run_failed"
    RUN_CANCELLED = "run_cancelled"
    ATTR_SET = "attr_set"
    STEP_CREATED = "step_created"
    STEP_STARTED = "step_started"
    STEP_RETRYING = "step_retrying"
    STEP_COMPLETED = "step_completed"
    STEP_FAILED = "step_failed"
    HOOK_CREATED = "hook_created"
    HOOK_RECEIVED = "hook_received"
    HOOK_DISPOSED = "hook_disposed"
    HOOK_CONFLICT = "hook_conflict"
    WAIT_CREATED = "wait_created"
    WAIT_COMPLETED = "wait_completed"
    NOOP = "noop"


TYPE_NAMES = {kind: kind.value for kind in EventType}
"""Each type as plain text."""


class EntityKind(StrEnum):
    """What a correlation id can name."""

    STEP = "step"
    WAIT = "wait"
    HOOK = "hook"


class WriteRole(StrEnum):
    """Why a write was made, which decides whether it must carry a fence.

    A `decision` follows from the snapshot its writer had read, so a stale snapshot makes it wrong.
    A `signal` comes from outside and must never be dropped. An `outcome` reports what a step did.
    `envelope` is the bookkeeping of a run.
    """

    DECISION = "decision"
    SIGNAL = "signal"
    OUTCOME = "outcome"
    ENVELOPE = "envelope"


ROLE: dict[EventType, WriteRole] = {
    EventType.RUN_CREATED: WriteRole.ENVELOPE,
    EventType.RUN_STARTED: WriteRole.ENVELOPE,
    EventType.RUN_COMPLETED: WriteRole.DECISION,
    EventType.RUN_FAILED: WriteRole.DECISION,
    EventType.RUN_CANCELLED: WriteRole.SIGNAL,
    EventType.ATTR_SET: WriteRole.ENVELOPE,
    EventType.STEP_CREATED: WriteRole.DECISION,
    EventType.STEP_STARTED: WriteRole.ENVELOPE,
    EventType.STEP_RETRYING: WriteRole.ENVELOPE,
    EventType.STEP_COMPLETED: WriteRole.OUTCOME,
    EventType.STEP_FAILED: WriteRole.OUTCOME,
    EventType.HOOK_CREATED: WriteRole.DECISION,
    EventType.HOOK_RECEIVED: WriteRole.SIGNAL,
    EventType.HOOK_DISPOSED: WriteRole.DECISION,
    EventType.HOOK_CONFLICT: WriteRole.ENVELOPE,
    EventType.WAIT_CREATED: WriteRole.DECISION,
    EventType.WAIT_COMPLETED: WriteRole.DECISION,
    EventType.NOOP: WriteRole.ENVELOPE,
}


class FenceKind(StrEnum):
    """The condition a write carried ("append only if ...").

    `tail` alone proves that nothing was missed. `as_of`, `state_updated_at` and `count` are the
    weaker fences of earlier protocols; `unfenced` is an explicit choice with a reason. A write that
    sent nothing has no fence at all (null), which is not a kind.
    """

    TAIL = "tail"
    AS_OF = "as_of"
    STATE_UPDATED_AT = "state_updated_at"
    COUNT = "count"
    UNFENCED = "unfenced"

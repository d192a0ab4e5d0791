"""The rows of a world: an event, a run, an entity and a refusal, with the columns of `auditor schema world`.

Each is a tuple in the order of its table, so a store binds and returns it as it is. Times are milliseconds since
1970 (UTC); `data` and `fence` are JSON text, because a digest speaks of bytes.
"""

from __future__ import annotations

from typing import NamedTuple

NONE = "none"
"""What stands for the tail of a run without events."""


class Event(NamedTuple):
    """One committed event: what it says, and the write that made it."""

    run_id: str
    position: int
    event_id: str
    event_type: str
    correlation_id: str | None
    created_at: int
    occurred_at: int | None
    spec_version: int | None
    resume_id: str | None
    data: str | None
    data_sha256: str | None
    fence: str | None
    tail_at_commit: str
    commit_seq: int | None
    request_id: str
    tick_id: str | None
    writer_id: str | None
    site: str | None
    write_attempt: int | None
    prev_hash: str | None
    hash: str | None


class Run(NamedTuple):
    """What the world believes of a run, and the end of its log."""

    run_id: str
    workflow_name: str | None
    deployment_id: str | None
    core_version: str | None
    spec_version: int | None
    status: str
    created_at: int
    updated_at: int
    started_at: int | None
    completed_at: int | None
    error_code: str | None
    version: int
    tail: str | None
    hash: str | None
    marker: int


class Entity(NamedTuple):
    """What the world believes of a step, a wait or a hook."""

    run_id: str
    kind: str
    correlation_id: str
    status: str
    created_at: int
    updated_at: int
    started_at: int | None = None
    completed_at: int | None = None
    resume_at: int | None = None
    retry_after: int | None = None
    step_name: str | None = None
    attempt: int | None = None
    token: str | None = None
    token_retention_until: int | None = None


class Refusal(NamedTuple):
    """One write that was refused. Its number is given by the store."""

    run_id: str
    event_type: str
    correlation_id: str | None
    fence: str | None
    tail_at_refusal: str
    code: str
    reason: str | None
    expected: str | None
    actual: str | None
    request_id: str
    tick_id: str | None
    writer_id: str | None
    site: str | None
    write_attempt: int | None
    refused_at: int

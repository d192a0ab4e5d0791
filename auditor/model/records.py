"""The rows of a world as records of auditor.log/v1: which column becomes which key.

The list of fields below is all there is. The export of a world, and the reading of its tables in either store, are
made from it, so no two of them can come to say different things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LOG_SCHEMA = "auditor.log/v1"
"""The format of the records; what the manifest of a log says."""

WORLD_SCHEMA = "auditor.world/v1"
"""The format of the tables; what the table `meta` of a world says."""

FIRST_MOMENT, LAST_MOMENT = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999 in milliseconds since 1970; a time beyond them cannot be written as one."""


@dataclass(frozen=True, slots=True)
class Record:
    """One kind of record and the table it is read from.

    `fields` are (key of the record, column, what it holds); it holds text, a number, a time, json, a tail, or the
    core version, which stands in an object of its own. `fixed` are keys whose value is one for all rows. `number`
    is the column that names a row within its run; None where the run and the ids in the row do.
    """

    table: str
    fixed: Mapping[str, str]
    number: str | None
    fields: tuple[tuple[str, str, str], ...]


_WRITE = (
    ("runId", "run_id", "text"),
    ("eventType", "event_type", "text"),
    ("correlationId", "correlation_id", "text"),
    ("fence", "fence", "json"),
    ("requestId", "request_id", "text"),
    ("tickId", "tick_id", "text"),
    ("writerId", "writer_id", "text"),
    ("site", "site", "text"),
    ("writeAttempt", "write_attempt", "number"),
)
_LIFE = (
    ("runId", "run_id", "text"),
    ("status", "status", "text"),
    ("createdAt", "created_at", "time"),
    ("updatedAt", "updated_at", "time"),
    ("startedAt", "started_at", "time"),
    ("completedAt", "completed_at", "time"),
)

EVENT = Record(
    "event",
    {"record": "event"},
    "position",
    (
        *_WRITE,
        ("eventId", "event_id", "text"),
        ("createdAt", "created_at", "time"),
        ("occurredAt", "occurred_at", "time"),
        ("specVersion", "spec_version", "number"),
        ("resumeId", "resume_id", "text"),
        ("eventData", "data", "json"),
        ("dataSha256", "data_sha256", "text"),
        ("position", "position", "number"),
        ("commitSeq", "commit_seq", "number"),
        ("tailAtCommit", "tail_at_commit", "text"),
        ("prevHash", "prev_hash", "text"),
        ("hash", "hash", "text"),
    ),
)
REFUSAL = Record(
    "refusal",
    {"record": "refusal"},
    "refusal_no",
    (
        *_WRITE,
        ("tailAtRefusal", "tail_at_refusal", "text"),
        ("code", "code", "text"),
        ("reason", "reason", "text"),
        ("expected", "expected", "text"),
        ("actual", "actual", "text"),
        ("at", "refused_at", "time"),
    ),
)
RUN = Record(
    "run",
    {"record": "entity", "kind": "run"},
    None,
    (
        *_LIFE,
        ("workflowName", "workflow_name", "text"),
        ("deploymentId", "deployment_id", "text"),
        ("executionContext", "core_version", "core"),
        ("specVersion", "spec_version", "number"),
        ("errorCode", "error_code", "text"),
    ),
)
ENTITY = Record(
    "entity",
    {"record": "entity"},
    None,
    (
        *_LIFE,
        ("kind", "kind", "text"),
        ("correlationId", "correlation_id", "text"),
        ("resumeAt", "resume_at", "time"),
        ("retryAfter", "retry_after", "time"),
        ("stepName", "step_name", "text"),
        ("attempt", "attempt", "number"),
        ("token", "token", "text"),
        ("tokenRetentionUntil", "token_retention_until", "time"),
    ),
)
HEAD = Record(
    "run",
    {"record": "head"},
    None,
    (
        ("runId", "run_id", "text"),
        ("tail", "tail", "tail"),
        ("events", "version", "number"),
        ("hash", "hash", "text"),
    ),
)

ALL = (EVENT, REFUSAL, RUN, ENTITY, HEAD)
"""Every kind of record, in the order of a log."""

PLAIN_DATA = (
    "workflowName",
    "deploymentId",
    "executionContext",
    "stepName",
    "attempt",
    "ownerMessageId",
    "resumeAt",
    "retryAfter",
    "tokenRetentionUntil",
    "conflictingRunId",
    "forceClaimedBy",
    "errorCode",
    "sealed",
)
"""Keys of an event's data that are no payload and no credential: all that an audit reads of it in the clear."""

"""Logs of other shapes: NDJSON, JSON, CSV or Parquet whose columns the user names with `--map column=field`.

A column is also taken without being named if it is called as the field is, in the SDK's spelling (`runId`) or in
that of a table (`run_id`). Whatever else a row holds is not read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from auditor.errors import InputError
from auditor.ingest.intake import Intake
from auditor.ingest.json_rows import BadRow, plain, storable, written
from auditor.ingest.staging import Origin
from auditor.model.judgement import Capability

# fmt: off
FIELDS = (
    "runId", "eventId", "eventType", "correlationId", "createdAt", "occurredAt", "specVersion",
    "resumeId", "eventData", "workflowName", "deploymentId", "workflowCoreVersion", "stepName",
    "attempt", "resumeAt", "retryAfter", "token", "errorCode", "error", "input", "output", "result",
    "payload", "position", "commitSeq", "fence", "lastKnownEventId", "asOfTimestamp", "stateUpdatedAt",
    "stateEventCount", "eventCount", "awaitingCorrelationIds", "inBand", "expectedSeqInBand",
    "tailAtCommit", "requestId", "tickId", "writerId", "site",
    "writeAttempt", "prevHash", "hash", "dataSha256", "record", "tailAtRefusal", "code", "expected",
    "actual", "at", "tail", "events", "kind", "status", "stepId", "hookId", "waitId", "updatedAt",
    "startedAt", "completedAt", "expiredAt", "tokenSha256", "tokenRetentionUntil", "executionContext",
    "params",
)
# fmt: on
"""Every field that a column can be mapped to."""

REQUIRED = ("runId", "eventId", "eventType")
"""Without these a row says nothing about a log."""

_OBJECTS = ("eventData", "fence", "params", "executionContext")
_PAYLOADS = ("input", "result", "payload")
_EVENT_PAYLOADS = (*_PAYLOADS, "output", "error")
"""A row of a run or a step has an output and an error of its own; those of an event are its data."""


def field_of(column: str) -> str | None:
    """The field that a column holds by its name alone."""
    name = re.sub(r"_([a-z0-9])", lambda match: match.group(1).upper(), column)
    return name if name in FIELDS else None


def missing(columns: Collection[str], fields: Mapping[str, str]) -> list[str]:
    """The required fields that no column gives."""
    given = {field_of(column) for column in columns} | set(fields.values())
    return [name for name in REQUIRED if name not in given]


def require(name: str, columns: Collection[str], fields: Mapping[str, str]) -> None:
    """Raise InputError, saying what to do, if no column gives a required field."""
    known = _listed(columns)
    unknown = [column for column, field in fields.items() if field in REQUIRED and not _has(columns, column)]
    if unknown:
        raise InputError(name, f"has no column {unknown[0]!r}, which --map names; its columns are {known}")
    if lacking := missing(columns, fields):
        raise InputError(
            name, f"no column gives {', '.join(lacking)}; its columns are {known}; use --map COLUMN={lacking[0]}"
        )


def _has(columns: Collection[str], path: str) -> bool:
    return path in columns or path.split(".", maxsplit=1)[0] in columns


def _listed(columns: Iterable[str]) -> str:
    return storable(", ".join(sorted(columns)[:20])) or "none"


def translated(row: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """A foreign row with our fields only. Raises BadRow."""
    ours = {name: plain(value) for column, value in row.items() if (name := field_of(column)) is not None}
    ours |= {name: plain(_dig(row, column)) for column, name in fields.items()}
    for name in _OBJECTS:
        if isinstance(text := ours.get(name), str):
            ours[name] = _object(name, text)
    names = _EVENT_PAYLOADS if ours.get("eventType") else _PAYLOADS
    if payloads := {name: ours.pop(name) for name in names if ours.get(name) is not None}:
        data = ours.get("eventData")
        if not isinstance(data, dict | None):
            raise BadRow("eventData is not an object")
        ours["eventData"] = (data or {}) | payloads
    return {name: value for name, value in ours.items() if value != ""}


def _run_id(row: Mapping[str, Any] | BadRow, fields: Mapping[str, str]) -> str | None:
    if isinstance(row, BadRow):
        return None
    names = {name: column for column, name in fields.items()}
    found = _dig(row, names["runId"]) if "runId" in names else row.get("runId", row.get("run_id"))
    return found if isinstance(found, str) else None


def _dig(row: Mapping[str, Any], path: str) -> Any:
    if path in row:
        return row[path]
    value: Any = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _object(name: str, text: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadRow(f"{name} is text that is not JSON") from None


def load(
    name: str,
    format: str,
    rows: Iterable[tuple[int, Mapping[str, Any] | BadRow]],
    columns: Collection[str],
    intake: Intake,
) -> None:
    """Load foreign rows, each with its line.

    `columns` are those of all rows, or of the first ones. Raises InputError if they do not give the required
    fields, and, when all is read, if no row had a column that `--map` names.
    """
    fields = intake.options.fields
    require(name, columns, fields)
    given = {field_of(column) for column in columns} | set(fields.values())
    export = intake.export(name, format, {_CAPABILITY[field] for field in given if field in _CAPABILITY})
    source_id = intake.source(export, name)
    unseen = {column for column in fields if not _has(columns, column)}
    for line, row in rows:
        origin = Origin(source_id, line)
        try:
            if isinstance(row, BadRow):
                raise row
            if unseen:
                unseen = {column for column in unseen if not _has(row, column)}
            intake.pack("log", origin, written(translated(row, fields)))
        except BadRow as bad:
            intake.reject(origin, bad.run_id or _run_id(row, fields), str(bad))
    if unseen:
        column, known = min(unseen), _listed(columns)
        raise InputError(name, f"has no column {column!r}, which --map names; its columns are {known}")


# fmt: off
FENCE_FIELDS = (
    "fence", "lastKnownEventId", "asOfTimestamp", "stateUpdatedAt", "stateEventCount", "eventCount",
    "awaitingCorrelationIds", "inBand", "expectedSeqInBand",
)
# fmt: on
"""The names of a fence and of what belongs to it, on an event or under its `params`."""

_CAPABILITY = {**dict.fromkeys(FENCE_FIELDS, Capability.FENCES), "hash": Capability.HASHES}

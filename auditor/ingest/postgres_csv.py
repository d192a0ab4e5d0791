"""Tables of the SDK's Postgres world as CSV (`COPY ... CSV HEADER`), re-written in the SDK's JSON shape.

An event's data is CBOR in `payload_cbor` (dates as CBOR dates, bytes as tag 64), or JSON in `payload` on old
rows. Timestamps have no zone and are UTC. Written out as JSON, the rows go the way of every other format, so
that the same event gives the same columns and the same digest whichever world exported it.
"""

from __future__ import annotations

import base64
import csv
import datetime as dt
import io
import json
import math
from collections.abc import Callable, Iterator
from typing import IO, Any

import cbor2

from auditor.ingest.json_rows import BadRow

MAX_FIELD = 64 * 1024 * 1024
"""The longest field of a CSV row, in characters."""

_TABLES: dict[str, frozenset[str]] = {
    "event": frozenset({"id", "type", "correlation_id", "run_id", "payload_cbor"}),
    "run": frozenset({"id", "status", "name", "deployment_id", "execution_context_cbor"}),
    "step": frozenset({"run_id", "step_id", "step_name", "status"}),
    "hook": frozenset({"run_id", "hook_id", "token"}),
    "wait": frozenset({"wait_id", "run_id", "status", "resume_at"}),
}
_STREAMS = frozenset({"stream_id", "data", "eof"})


def table_of(header: str) -> str | None:
    """What a CSV holds by its first line: `event`, `run`, `step`, `hook`, `wait`, `stream`, or None."""
    if "," not in header or header.startswith(("{", "[")):
        return None
    columns = set(next(csv.reader([header]), []))
    for record, needed in _TABLES.items():
        if needed <= columns:
            return record
    return "stream" if columns >= _STREAMS else None


def rows(record: str, stream: IO[bytes]) -> Iterator[tuple[int, bytes | BadRow, str | None]]:
    """Each row as (1-based line, one line of JSON or why it is bad, its run id)."""
    csv.field_size_limit(MAX_FIELD)
    text = io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="")
    reader = csv.DictReader(text)
    columns = reader.fieldnames  # read now, so that the first row stands on the line after the header
    convert = _CONVERT[record]
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
            if row is None:
                break
            if None in row or None in row.values() or not columns:
                raise BadRow("the number of columns is not that of the header")
            value = convert(row)
            yield line, json.dumps(value, ensure_ascii=False).encode("utf-8"), value.get("runId")
        except csv.Error as error:
            yield line, BadRow(f"not CSV: {error}"), None
        except BadRow as bad:
            yield line, bad, (row or {}).get("run_id")
        except UnicodeEncodeError:
            yield line, BadRow("not UTF-8"), None
        except (ValueError, RecursionError) as error:
            yield line, BadRow(f"a value that cannot be read: {type(error).__name__}"), None
    text.detach()


def _event(row: dict[str, str]) -> dict[str, Any]:
    data = _decoded(row["payload_cbor"]) if row["payload_cbor"] else _json(row.get("payload"))
    if not isinstance(data, dict | None):
        raise BadRow("payload_cbor does not hold a map")
    return {
        "runId": row["run_id"],
        "eventId": row["id"],
        "eventType": row["type"],
        "correlationId": row["correlation_id"] or None,
        "createdAt": _utc(row.get("created_at")),
        "specVersion": row.get("spec_version") or None,
        "resumeId": row.get("resume_id") or None,
        "eventData": data,
    }


def _run(row: dict[str, str]) -> dict[str, Any]:
    context = _decoded(row["execution_context_cbor"]) or _json(row.get("execution_context"))
    version = context.get("workflowCoreVersion") if isinstance(context, dict) else None
    error = _decoded(row.get("error_cbor", "")) or row.get("error") or None
    return {
        **_common(row),
        "runId": row["id"],
        "workflowName": row["name"],
        "deploymentId": row["deployment_id"],
        "executionContext": {"workflowCoreVersion": version},
        "errorCode": row.get("error_code") or None,
        "error": error,
    }


def _entity(row: dict[str, str]) -> dict[str, Any]:
    return {
        **_common(row),
        "runId": row["run_id"],
        "stepId": row.get("step_id"),
        "hookId": row.get("hook_id"),
        "waitId": row.get("wait_id"),
        "stepName": row.get("step_name"),
        "attempt": row.get("attempt"),
        "token": row.get("token"),
        "resumeAt": _utc(row.get("resume_at")),
    }


def _common(row: dict[str, str]) -> dict[str, Any]:
    times = ("created_at", "updated_at", "started_at", "completed_at")
    created, updated, started, completed = (_utc(row.get(name)) for name in times)
    return {
        "status": row.get("status") or None,
        "specVersion": row.get("spec_version") or None,
        "createdAt": created,
        "updatedAt": updated,
        "startedAt": started,
        "completedAt": completed,
    }


_CONVERT: dict[str, Callable[[dict[str, str]], dict[str, Any]]] = {
    "event": _event,
    "run": _run,
    "step": _entity,
    "hook": _entity,
    "wait": _entity,
}


def _utc(timestamp: str | None) -> str | None:
    return f"{timestamp}Z" if timestamp else None


def _json(text: str | None) -> Any:
    return json.loads(text) if text else None


def _decoded(field: str) -> Any:
    """A CBOR column (`\\x...`) as JSON values: bytes as the SDK writes them to JSON, dates as text."""
    if not field:
        return None
    if not field.startswith("\\x"):
        raise BadRow("a CBOR column is not hexadecimal (\\x...)")
    try:
        value = cbor2.loads(bytes.fromhex(field[2:]))
    except (cbor2.CBORDecodeError, ValueError, RecursionError, OverflowError, MemoryError) as error:
        raise BadRow(f"a CBOR column cannot be decoded: {type(error).__name__}") from None
    return _plain(value)


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {str(key): _plain(part) for key, part in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(part) for part in value]
        case bytes():
            return {"__type": "Uint8Array", "data": base64.b64encode(value).decode("ascii")}
        case cbor2.CBORTag():
            return _plain(value.value)
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
        case str() | bool() | int() | None:
            return value
        case float():
            return value if math.isfinite(value) else None
    return None if value is cbor2.undefined else str(value)

"""Tables of the SDK's Postgres world, from CSV (`COPY ... CSV HEADER`), Parquet or a live server, as SDK JSON.

An event's data is CBOR in `payload_cbor` (dates as CBOR dates, bytes as tag 64), or JSON in `payload` on old
rows. Timestamps have no zone and are UTC. Written out as JSON, the rows go the way of every other format, so
that the same event gives the same columns and the same digest whichever world exported it.

Where a table comes from decides what a value is: text in CSV, typed elsewhere; both are read.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any

import cbor2

from auditor.ingest.intake import Intake, folder_of
from auditor.ingest.json_rows import BadRow, plain
from auditor.ingest.members import Member
from auditor.ingest.staging import Origin
from auditor.model.judgement import Capability

FORMAT = "postgres-world"

Row = Mapping[str, Any]

MAX_LINE = 64 * 1024 * 1024
"""The longest line of a CSV, in bytes."""

MAX_FIELD = 34 * 1024 * 1024
"""The longest field of a CSV, in characters: the hexadecimal digits of the longest row that is read."""

_TABLES: dict[str, frozenset[str]] = {
    "event": frozenset({"id", "type", "correlation_id", "run_id", "payload_cbor"}),
    "run": frozenset({"id", "status", "name", "deployment_id", "execution_context_cbor"}),
    "step": frozenset({"run_id", "step_id", "step_name", "status"}),
    "hook": frozenset({"run_id", "hook_id", "token"}),
    "wait": frozenset({"wait_id", "run_id", "status", "resume_at"}),
}
_STREAMS = frozenset({"stream_id", "data", "eof"})


def table_of(columns: Iterable[str]) -> str | None:
    """What a table holds by its columns: `event`, `run`, `step`, `hook`, `wait`, `stream`, or None."""
    names = set(columns)
    for record, needed in _TABLES.items():
        if needed <= names:
            return record
    return "stream" if names >= _STREAMS else None


def columns_of(line: str) -> list[str]:
    """The columns that the first line of a CSV names; none if it is no such line."""
    if "," not in line or line.startswith(("{", "[")):
        return []
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


def read_csv(record: str, member: Member, intake: Intake) -> None:
    """Read one table from a CSV."""
    load(record, member.name, csv_rows(member.stream), intake, folder_of(member.name))


def load(
    record: str, name: str, rows: Iterable[tuple[int | None, Row | BadRow]], intake: Intake, export_name: str
) -> None:
    """Load the rows of one table, each with its line in the source called `name`."""
    records = {Capability.ALL_RUNS, Capability.DIGESTS} | ({Capability.ENTITIES} if record != "event" else set())
    export = intake.export(export_name, FORMAT, records)
    source_id = intake.source(export, name)
    for line, row in rows:
        origin = Origin(source_id, line)
        try:
            if isinstance(row, BadRow):
                raise row
            intake.pack(record, origin, as_json(record, row))
        except BadRow as bad:
            run_id = None if isinstance(row, BadRow) else row.get("run_id")
            intake.reject(origin, run_id if isinstance(run_id, str) else None, str(bad))


def csv_rows(stream: IO[bytes]) -> Iterator[tuple[int, Row | BadRow]]:
    """Each row of a CSV with a header as (1-based line, its columns or why it is bad)."""
    csv.field_size_limit(MAX_FIELD)
    lines = _Lines(stream)
    reader = csv.reader(lines)
    columns: list[str] | None = None
    while True:
        line = lines.read + 1
        try:
            row = next(reader, None)
            if row is None:
                return
            if columns is None:
                columns = row
            elif row and len(row) != len(columns):
                raise BadRow("the number of columns is not that of the header")
            elif row:
                yield line, dict(zip(columns, row, strict=True))
        except csv.Error as error:
            yield line, BadRow(f"not CSV: {error}")
        except BadRow as bad:
            yield line, bad


class _Lines:
    """The lines of a CSV as text. One that is too long is a BadRow, after which the next one can be read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.read = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._stream.readline(MAX_LINE + 1)
        if not raw:
            raise StopIteration
        self.read += 1
        if len(raw) > MAX_LINE:
            while raw and not raw.endswith(b"\n"):
                raw = self._stream.readline(MAX_LINE)
            raise BadRow(f"a line longer than {MAX_LINE // 1024**2} MiB")
        return raw.decode("utf-8-sig" if self.read == 1 else "utf-8", "surrogateescape")


def as_json(record: str, row: Row) -> bytes:
    """A row as one line of JSON in the SDK's shape. Raises BadRow."""
    try:
        return json.dumps(_CONVERT[record](row), ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise BadRow("not UTF-8") from None
    except BadRow:
        raise
    except (ValueError, RecursionError, TypeError, KeyError, ArithmeticError) as error:
        raise BadRow(f"a value that cannot be read: {type(error).__name__}") from None


def _event(row: Row) -> dict[str, Any]:
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


def _run(row: Row) -> dict[str, Any]:
    context = _decoded(row["execution_context_cbor"]) or _json(row.get("execution_context"))
    version = context.get("workflowCoreVersion") if isinstance(context, dict) else None
    error = _decoded(row.get("error_cbor")) or row.get("error") or None
    return {
        **_common(row),
        "runId": row["id"],
        "workflowName": row["name"],
        "deploymentId": row["deployment_id"],
        "executionContext": {"workflowCoreVersion": version},
        "errorCode": row.get("error_code") or None,
        "error": error,
    }


def _entity(row: Row) -> dict[str, Any]:
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


def _common(row: Row) -> dict[str, Any]:
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


_CONVERT: dict[str, Callable[[Row], dict[str, Any]]] = {
    "event": _event,
    "run": _run,
    "step": _entity,
    "hook": _entity,
    "wait": _entity,
}


def _utc(moment: str | dt.datetime | None) -> str | None:
    if isinstance(moment, dt.datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC).isoformat()
    return f"{moment}Z" if moment else None


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value else value or None


def _decoded(field: str | bytes | None) -> Any:
    """A CBOR column (bytes, or `\\x...` in text) as JSON values."""
    if not field:
        return None
    if isinstance(field, str):
        if not field.startswith("\\x"):
            raise BadRow("a CBOR column is not hexadecimal (\\x...)")
        try:
            field = bytes.fromhex(field[2:])
        except ValueError:
            raise BadRow("a CBOR column cannot be decoded: not hexadecimal") from None
    try:
        value = cbor2.loads(field)
    except (cbor2.CBORDecodeError, ValueError, RecursionError, ArithmeticError, MemoryError) as error:
        raise BadRow(f"a CBOR column cannot be decoded: {type(error).__name__}") from None
    return plain(value)

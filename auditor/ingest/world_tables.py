"""Our own world's tables (`auditor schema world`) as records of auditor.log/v1, from SQLite and PostgreSQL alike.

Both dialects are made from the fields of `auditor.model.records`. A SELECT gives, for every row, its number (of an
event its position), the record as JSON, and beside it the columns that are JSON themselves: those are the world's
own bytes, and are looked at before they become a part of the record.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.errors import InputError
from auditor.ingest.intake import Intake
from auditor.ingest.json_rows import BadRow, parsed, run_id_of
from auditor.ingest.staging import Batch, Origin, Origins
from auditor.model.judgement import Capability
from auditor.model.records import ALL, FIRST_MOMENT, LAST_MOMENT, WORLD_SCHEMA, Record

RECORDS = {
    Capability.FENCES,
    Capability.REFUSALS,
    Capability.ENTITIES,
    Capability.HASHES,
    Capability.DIGESTS,
    Capability.ALL_RUNS,
}
"""What a world of ours records: its tables are all of its runs, and all of every run."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the stores say in different words: a JSON object; the value of a column of numbers, or of times."""

    json_object: str
    number: Callable[[str], str]
    moment: Callable[[str], str]


# A column of SQLite holds whatever was put there: what is no number stays as it is, to be seen in the audit.
SQLITE = Dialect(
    "json_object",
    lambda column: f"CASE typeof({column}) WHEN 'integer' THEN {column} ELSE CAST({column} AS TEXT) END",
    lambda column: f"strftime('%Y-%m-%dT%H:%M:%fZ', {column} / 1000.0, 'unixepoch')",
)
# Seconds and milliseconds apart: a moment as one floating-point number of seconds would not be exact.
POSTGRES = Dialect(
    "json_build_object",
    lambda column: column,
    lambda column: (
        f"to_char((to_timestamp({column} / 1000) + {column} % 1000 * interval '1 ms') AT TIME ZONE 'UTC', "
        '\'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')'
    ),
)


def select(record: Record, dialect: Dialect, schema: str | None = None) -> str:
    """The SELECT that gives (number, record as JSON, then the columns that hold json, in their order)."""
    pairs = [f"'{key}', '{value}'" for key, value in record.fixed.items()]
    raw = []
    for key, name, holds in record.fields:
        column = f'"{name}"'
        if holds == "json":
            raw.append(f"CAST({column} AS TEXT)")
        else:
            pairs.append(f"'{key}', {_value(holds, column, dialect)}")
    number = f'"{record.number}"' if record.number else "NULL"
    row = f"CAST({dialect.json_object}({', '.join(pairs)}) AS TEXT)"
    table = f'"{schema}"."{record.table}"' if schema else f'"{record.table}"'
    return f"SELECT {', '.join([number, row, *raw])} FROM {table}"


def _value(holds: str, column: str, dialect: Dialect) -> str:
    text = f"CAST({column} AS TEXT)"
    match holds:
        case "number":
            return dialect.number(column)
        case "time":
            known = f"{column} BETWEEN {FIRST_MOMENT} AND {LAST_MOMENT}"
            return f"CASE WHEN {known} THEN {dialect.moment(column)} ELSE {text} END"
        case "core":
            return f"{dialect.json_object}('workflowCoreVersion', {text})"
        case "tail":
            return f"coalesce({text}, 'none')"
    return text


def write(record: Record, rows: Iterable[Sequence[Any]], source_id: int, intake: Intake) -> Batch:
    """Write the rows of a SELECT, their text as bytes, to a file of JSON lines; what is broken is rejected."""
    path = intake.file(f"{record.table}.ndjson")
    keys = [key for key, _, holds in record.fields if holds == "json"]
    origins = Origins()
    with path.open("wb") as out:
        for number, row, *texts in rows:
            origin = Origin(source_id, number if isinstance(number, int) else None)
            try:
                out.write(_joined(row, zip(keys, texts, strict=True)))
            except BadRow as bad:
                intake.reject(origin, run_id_of(row), str(bad))
            else:
                origins.append(origin)
    return Batch("log", path, source_id, origins)


def _joined(row: bytes, texts: Iterable[tuple[str, bytes | None]]) -> bytes:
    """The record as a line, with its JSON columns in it, their text as it is. Raises BadRow."""
    line = row[:-1]
    for key, text in texts:
        if text is not None:
            _must_be_object(key, text)
            # A line break inside JSON can only stand between its tokens.
            line += b',"%s":%s' % (key.encode(), text.replace(b"\n", b" ").replace(b"\r", b" "))
    return line + b"}\n"


def _must_be_object(key: str, text: bytes) -> None:
    """Raise BadRow unless a text is one JSON object: it could pass for more than the value of its key."""
    try:
        if isinstance(json.loads(text.decode("utf-8")), dict):
            return
    except (ValueError, RecursionError):
        pass
    try:
        parsed(text)
    except BadRow as bad:
        raise BadRow(f"{key}: {bad}") from None


def require(name: str, schema: str | None, tables: Mapping[str, Collection[str]]) -> None:
    """Raise InputError, saying what to do, unless these tables (their columns, by name) are a world of ours.

    `schema` is what its table `meta` says; None: nothing.
    """
    if schema is None:
        raise InputError(
            name,
            f"is no world of auditor: its table meta does not say so (schema = {WORLD_SCHEMA}; "
            "`auditor schema world`)",
        )
    if schema != WORLD_SCHEMA:
        known = schema.startswith("auditor.world/")
        raise InputError(
            name,
            f"was written as {schema}, this auditor reads {WORLD_SCHEMA}: pip install --upgrade workflow-auditor"
            if known
            else f"is no world of auditor: its table meta says {schema!r}, not {WORLD_SCHEMA!r}",
        )
    for table, columns in needed().items():
        if table not in tables:
            raise InputError(name, f"is a damaged world: it has no table {table} (`auditor schema world`)")
        if lacking := [column for column in columns if column not in tables[table]]:
            raise InputError(
                name, f"is a damaged world: its table {table} has no column {lacking[0]} (`auditor schema world`)"
            )


def needed() -> dict[str, list[str]]:
    """The columns that are read, by table."""
    tables: dict[str, list[str]] = {"meta": ["key", "value"]}
    for record in ALL:
        names = [name for _, name, _ in record.fields] + ([record.number] if record.number else [])
        known = tables.setdefault(record.table, [])
        known += [name for name in names if name not in known]
    return tables


def opened(name: str, prefix: str, intake: Intake) -> dict[str, int]:
    """Open the export called `name`, with one source a table; the sources by table."""
    export = intake.export(name, WORLD_SCHEMA, RECORDS)
    return {table: intake.source(export, prefix + table) for table in dict.fromkeys(r.table for r in ALL)}

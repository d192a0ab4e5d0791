"""Parquet: the tables of auditor.log/v1, those of the SDK's Postgres world, or any log with `--map`.

Rows of our own shape go through DuckDB alone; the CBOR of the SDK's tables and mapped columns pass through Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from auditor.database import REFUSED, quoted
from auditor.errors import InputError
from auditor.ingest import auditor_log, foreign, sdk_tables
from auditor.ingest.intake import Intake, folder_of
from auditor.ingest.json_rows import BadRow
from auditor.ingest.members import Member
from auditor.ingest.staging import Batch

MAGIC = b"PAR1"

_TABLES = {"refusals": "refusal", "entities": "entity", "heads": "head"}
"""Files of auditor.log/v1 whose name says what they hold, where no column `record` does."""

_OBJECTS = ("eventData", "fence", "params", "executionContext")


def read(member: Member, intake: Intake) -> None:
    """Read one Parquet file. Raises InputError if it is damaged or no log."""
    path = intake.on_disk(member)
    try:
        file = pq.read_metadata(path)
        schema, rows = file.schema.to_arrow_schema(), file.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(member.name, f"is damaged Parquet: {_first_line(error)}") from None
    if rows > (size := path.stat().st_size):
        # Ids do not compress to less than a byte; only a bomb does.
        raise InputError(member.name, f"is Parquet with {rows} rows in {size} bytes, as no log has")
    record = sdk_tables.table_of(schema.names)
    if record == "stream":
        intake.skipped += 1
    elif record is not None:
        sdk_tables.load(record, member.name, _rows(path), intake, folder_of(member.name))
    elif intake.options.fields:
        foreign.load(member.name, "parquet", _rows(path), schema.names, intake)
    else:
        _columns(member, path, schema, intake)


def _columns(member: Member, path: Path, schema: pa.Schema, intake: Intake) -> None:
    record = _TABLES.get(member.name.rpartition("/")[2].partition(".")[0])
    if record is None:
        foreign.require(member.name, schema.names, {})
    fields = {name: field for name in schema.names if (field := foreign.field_of(name)) is not None}
    records = {auditor_log.FIELD_CAPABILITY[f] for f in fields.values() if f in auditor_log.FIELD_CAPABILITY}
    export = intake.export(folder_of(member.name), "parquet", records)
    columns = [_as_json(schema.field(name), field) for name, field in fields.items()]
    if record is not None and "record" not in fields.values():
        columns.append(f"{quoted(record)} AS record")
    target = intake.file("parquet.ndjson")
    try:
        intake.ledger.con.execute(
            f"COPY (SELECT {', '.join(columns)} FROM read_parquet({quoted(str(path))})) "
            f"TO {quoted(str(target))} (FORMAT json)"
        ).fetchall()
    except REFUSED as error:
        raise InputError(member.name, f"is damaged Parquet: {_first_line(error)}") from None
    intake.load(Batch("log", target, intake.source(export, member.name)))


def _as_json(field: pa.Field, name: str) -> str:
    column = '"' + field.name.replace('"', '""') + '"'
    kind = field.type
    if pa.types.is_timestamp(kind):
        value = f"strftime(CAST({column} AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%fZ')"
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        value = f"CASE WHEN {column} IS NOT NULL THEN {{'__type': 'Uint8Array', 'data': base64({column})}} END"
    elif name in _OBJECTS and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        # Text that is no JSON stays text, and the row is rejected for it with its line.
        value = f"coalesce(TRY_CAST({column} AS JSON), to_json({column}))"
    else:
        value = column
    return f'{value} AS "{name}"'


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | BadRow]]:
    line = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=10_000):
            for row in batch.to_pylist():
                line += 1
                yield line, row
    except (pa.ArrowException, OSError, ValueError, ArithmeticError) as error:
        yield line + 1, BadRow(f"is damaged Parquet: {_first_line(error)}; nothing behind it was read")


def _first_line(error: Exception | duckdb.Error) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]

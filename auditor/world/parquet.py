"""The tables of an export as Parquet: the records of auditor.log/v1 in typed columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from auditor.errors import WorldError
from auditor.model.records import ENTITY, EVENT, FIRST_MOMENT, HEAD, LAST_MOMENT, REFUSAL, RUN, Record
from auditor.model.rows import NONE
from auditor.world.to_log import COLUMNS, OF_TABLE, Row, plain_data, token_digest

GROUP_ROWS = 50_000
GROUP_BYTES = 64 << 20
"""Rows, or bytes of them, that are held before they become one row group."""

_TYPES = {
    "text": pa.string(),
    "number": pa.int64(),
    "time": pa.timestamp("ms", tz="UTC"),
    "json": pa.string(),
    "tail": pa.string(),
    "core": pa.string(),
}
_FILES = {"events": (EVENT,), "refusals": (REFUSAL,), "entities": (RUN, ENTITY), "heads": (HEAD,)}
_FILE_OF = {id(record): name for name, records in _FILES.items() for record in records}


class ParquetFolder:
    """A folder of Parquet tables and a manifest; complete at the end of the `with` block.

    A value that its column cannot hold, which no world writes by itself, raises WorldError.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any], *, payloads: bool) -> None:
        folder.mkdir()
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
        self._tables = {
            name: _Table(folder / f"{name}.parquet", records, payloads=payloads)
            for name, records in _FILES.items()
        }

    def write(self, table: str, rows: Sequence[Row]) -> None:
        """See `Sink.write`."""
        for record in OF_TABLE[table]:
            self._tables[_FILE_OF[id(record)]].add(record, rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for table in self._tables.values():
            table.close(whole=kind is None)


class _Table:
    """One file. Rows are held until they make a row group."""

    def __init__(self, path: Path, records: Sequence[Record], *, payloads: bool) -> None:
        self._payloads = payloads
        fixed = {key: pa.string() for record in records for key in record.fixed if key != "record"}
        holds = {self._key(key): _TYPES[holds] for record in records for key, _, holds in record.fields}
        self._schema = pa.schema(fixed | holds)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._held: list[Any] = []

    def add(self, record: Record, rows: Sequence[Row]) -> None:
        columns = dict(zip(COLUMNS[record.table], zip(*rows, strict=True), strict=True))
        arrays = {}
        for key, value in record.fixed.items():
            arrays[key] = pa.array([value] * len(rows), pa.string())
        for key, column, holds in record.fields:
            values = self._converted(key, holds, columns[column])
            arrays[self._key(key)] = _array(values, holds, record.table, column)
        empty = {field.name: pa.nulls(len(rows), field.type) for field in self._schema}
        self._held.append(
            pa.record_batch([arrays.get(name, empty[name]) for name in self._schema.names], self._schema)
        )
        if (
            sum(batch.num_rows for batch in self._held) >= GROUP_ROWS
            or sum(batch.nbytes for batch in self._held) >= GROUP_BYTES
        ):
            self._flush()

    def close(self, *, whole: bool) -> None:
        if whole:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(pa.Table.from_batches(self._held))
            self._held.clear()

    def _key(self, key: str) -> str:
        return "tokenSha256" if key == "token" and not self._payloads else key

    def _converted(self, key: str, holds: str, values: Sequence[Any]) -> Sequence[Any]:
        convert: Callable[[Any], Any] | None = None
        if key == "token" and not self._payloads:
            convert = token_digest
        elif key == "eventData" and not self._payloads:
            convert = plain_data
        elif holds == "core":
            convert = _core
        if convert is not None:
            return [None if value is None else convert(value) for value in values]
        return [NONE if value is None else value for value in values] if holds == "tail" else values


def _core(version: object) -> str:
    return json.dumps({"workflowCoreVersion": version})


def _array(values: Sequence[Any], holds: str, table: str, column: str) -> Any:
    try:
        if holds == "time" and not all(_is_time(value) for value in values):
            raise pa.ArrowInvalid(f"a time is milliseconds since 1970, between {FIRST_MOMENT} and {LAST_MOMENT}")
        return pa.array(values, _TYPES[holds])
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise WorldError(
            f"the column {column} of the table {table} holds what does not belong there ({error}); "
            "`auditor world verify` says where, and an export to NDJSON keeps it as it is"
        ) from None


def _is_time(value: object) -> bool:
    return value is None or (type(value) is int and FIRST_MOMENT <= value <= LAST_MOMENT)

"""Worlds behind a URL: on a live PostgreSQL server, or in a SQLite file by the URL that names it to a world.

A server may hold the tables of the SDK's Postgres world (schema `workflow`), of our own (schema `auditor`), or
both: whatever is there is read, in one snapshot. The rows stream to the scratch folder, and the transaction ends
before anything is made of them: a busy server is not kept from tidying up while an audit thinks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from auditor.errors import InputError, UsageError
from auditor.ingest import sdk_tables, server, sqlite_world, world_tables
from auditor.ingest.intake import Intake
from auditor.ingest.members import Member
from auditor.ingest.server import Snapshot
from auditor.model import records

SQLITE = "sqlite:///"

SDK, OURS = "workflow", "auditor"
"""The schemas in which the tables of the SDK's world, and of our own, stand."""

_SDK_TABLES = {
    "workflow_events": "event",
    "workflow_runs": "run",
    "workflow_steps": "step",
    "workflow_hooks": "hook",
    "workflow_waits": "wait",
}
_SDK_NEEDED = {
    "event": ("id", "type", "run_id", "correlation_id", "created_at"),
    "run": ("id", "name", "deployment_id", "status"),
    "step": ("run_id", "step_id", "status"),
    "hook": ("run_id", "hook_id", "token"),
    "wait": ("run_id", "wait_id", "status"),
}
_SDK_MAY_LACK = {"event": ("payload_cbor",), "run": ("execution_context_cbor",)}
"""Columns that the tables have only since some release."""

_UNREAD = {"input", "input_cbor", "output", "output_cbor", "metadata", "metadata_cbor"}
"""Payloads of entities, which no audit reads: they stay on the server."""

_COLUMNS = f"""
SELECT
    CAST(nspname AS text), CAST(relname AS text), CAST(attname AS text), format_type(atttypid, NULL),
    has_schema_privilege(pg_namespace.oid, 'USAGE') AND has_column_privilege(pg_class.oid, attnum, 'SELECT')
FROM pg_namespace
JOIN pg_class ON relnamespace = pg_namespace.oid
JOIN pg_attribute ON attrelid = pg_class.oid
WHERE nspname IN ('{SDK}', '{OURS}') AND relkind IN ('r', 'p', 'v', 'm', 'f')
    AND attnum > 0 AND NOT attisdropped
ORDER BY nspname, relname, attnum
"""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column on the server: its type, and whether this user may read it."""

    kind: str
    readable: bool


_Tables = dict[str, dict[str, _Column]]
_Load = Callable[[], object]


def is_url(path: str) -> bool:
    """Whether an input is the URL of a world: of a PostgreSQL server, or of a SQLite file."""
    return path.startswith((*server.SCHEMES, SQLITE))


def shown(url: str) -> str:
    """The URL without its password and whatever else in it may be secret; how it is stored in the audit."""
    return url if url.startswith(SQLITE) else server.shown(url)


def read(url: str, intake: Intake) -> None:
    """Read the world, or worlds, behind the URL.

    Raises InputError if there is none, or it cannot be read to its end: nothing is loaded then. Raises UsageError
    if the file does not exist, or the driver is not installed.
    """
    if url.startswith(SQLITE):
        _sqlite(Path(url.removeprefix(SQLITE)), intake)
        return
    for load in _fetched(url, intake):
        load()
    if not intake.rows:
        raise InputError("", "there is a world on this server, but no run in it yet")


def _sqlite(path: Path, intake: Intake) -> None:
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file (sqlite:///relative.db, sqlite:////absolute.db)")
    try:
        with path.open("rb") as stream:
            member = Member(path.name, stream, str(path))
            if not member.start().startswith(sqlite_world.MAGIC):
                raise InputError("", "is no SQLite file")
            sqlite_world.read(member, intake)
    except OSError as error:
        raise InputError("", f"cannot be read: {error.strerror or error}") from None


def _fetched(url: str, intake: Intake) -> list[_Load]:
    """Copy every table to the scratch folder; what is left to do with each of them."""
    with server.snapshot(url) as view:
        schemas: dict[str, _Tables] = {SDK: {}, OURS: {}}
        for schema, table, column, kind, readable in view.rows(_COLUMNS):
            schemas[schema].setdefault(table, {})[column] = _Column(kind, readable)
        loads: list[_Load] = []
        if "workflow_events" in schemas[SDK]:
            loads += _sdk(view, schemas[SDK], intake)
        if {"meta", "event"} <= schemas[OURS].keys():
            loads += _ours(view, schemas[OURS], intake)
        if not loads:
            raise InputError("", _nothing(view))
        return loads


def _nothing(view: Snapshot) -> str:
    ((database,),) = view.rows("SELECT CAST(current_database() AS text)")
    return (
        f"the database {database!r} holds no world: neither a table {SDK}.workflow_events (the SDK's Postgres "
        f"world) nor {OURS}.meta and {OURS}.event (auditor's own). Is it another database of this server?"
    )


def _permitted(view: Snapshot, schema: str, tables: _Tables) -> None:
    """Raise InputError, saying what to grant, if a column that is to be read may not be."""
    closed = [name for name, columns in tables.items() if not all(column.readable for column in columns.values())]
    if closed:
        ((user,),) = view.rows("SELECT CAST(current_user AS text)")
        raise InputError(
            "",
            f"the user {user!r} may not read {', '.join(f'{schema}.{name}' for name in closed)}. Grant it: "
            f"GRANT USAGE ON SCHEMA {schema} TO {user}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {user}",
        )


# The SDK's tables ---------------------------------------------------------------------------------------------


def _sdk(view: Snapshot, tables: _Tables, intake: Intake) -> list[_Load]:
    found = {
        name: {column: kind for column, kind in tables[name].items() if column not in _UNREAD}
        for name in _SDK_TABLES
        if name in tables
    }
    for name, columns in found.items():
        if lacking := [column for column in _SDK_NEEDED[_SDK_TABLES[name]] if column not in columns]:
            raise InputError("", f"{SDK}.{name} has no column {lacking[0]}: it is no table of the SDK's world")
    _permitted(view, SDK, found)
    return [_spooled(view, name, columns, intake) for name, columns in found.items()]


def _spooled(view: Snapshot, table: str, columns: Mapping[str, _Column], intake: Intake) -> _Load:
    """Copy one table to the scratch folder."""
    record = _SDK_TABLES[table]
    names = [_as_csv_has_it(name, column.kind) for name, column in columns.items()]
    names += [f"CAST(NULL AS bytea) AS {name}" for name in _SDK_MAY_LACK.get(record, ()) if name not in columns]
    path = intake.file(f"{table}.arrow")
    with (
        view.batches(f"SELECT {', '.join(names)} FROM {SDK}.{table}") as reader,
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_stream(file, reader.schema) as out,
    ):
        for batch in reader:
            out.write_batch(batch)
    return lambda: _load_spooled(path, record, f"{SDK}.{table}", intake)


def _as_csv_has_it(name: str, kind: str) -> str:
    """A column as COPY would write it, so that it is read the same; bytes as bytes.

    Times go as text, since the server's are wider than Python's (`infinity`, the year 10000).
    """
    column = '"' + name.replace('"', '""') + '"'
    if kind == "bytea":
        return column
    value = f"({column} AT TIME ZONE 'UTC')" if kind == "timestamp with time zone" else column
    return f"CAST({value} AS text) AS {column}"


def _load_spooled(path: Path, record: str, name: str, intake: Intake) -> None:
    with pa.OSFile(str(path), "rb") as file, pa.ipc.open_stream(file) as reader:
        sdk_tables.load(record, name, _rows(reader), intake, SDK)
    path.unlink()


def _rows(reader: pa.RecordBatchReader) -> Iterator[tuple[None, dict[str, Any]]]:
    """The rows of a table, without a line: the ids in a row say which it is."""
    names = reader.schema.names
    for batch in reader:
        for row in zip(*map(_texts, batch.columns), strict=True):
            yield None, dict(zip(names, row, strict=True))


def _texts(column: pa.Array) -> list[Any]:
    """The values of a column. What is no UTF-8, as some servers hold, is marked for the reader to refuse."""
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return [value if value is None else value.decode("utf-8", "surrogateescape") for value in _bytes(column)]


def _bytes(column: pa.Array) -> list[Any]:
    """The values of a column, text as the bytes that it is."""
    return list((column.cast(pa.binary()) if pa.types.is_string(column.type) else column).to_pylist())


# Our own tables -----------------------------------------------------------------------------------------------


def _ours(view: Snapshot, tables: _Tables, intake: Intake) -> list[_Load]:
    needed = world_tables.needed()
    read = {
        name: {column: tables[name][column] for column in columns if column in tables[name]}
        for name, columns in needed.items()
        if name in tables
    }
    _permitted(view, OURS, read)
    asked = f"SELECT CAST(value AS text) FROM {OURS}.meta WHERE key = 'schema'"
    meta = view.rows(asked) if len(read["meta"]) == len(needed["meta"]) else []
    world_tables.require(f"schema {OURS}", meta[0][0] if meta else None, tables)
    sources = world_tables.opened(OURS, f"{OURS}.", intake)
    return [_written(view, record, sources[record.table], intake) for record in records.ALL]


def _written(view: Snapshot, record: records.Record, source_id: int, intake: Intake) -> _Load:
    """Write one kind of record to the scratch folder."""
    with view.batches(world_tables.select(record, world_tables.POSTGRES, OURS)) as reader:
        rows = (row for batch in reader for row in zip(*map(_bytes, batch.columns), strict=True))
        batch = world_tables.write(record, rows, source_id, intake)
    return lambda: intake.load(batch)

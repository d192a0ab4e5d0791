"""The one place that knows how an audit file is opened, and the few calls of DuckDB that everyone needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from auditor import schemas
from auditor.errors import InputError, UsageError

REFUSED = (duckdb.Error, UnicodeDecodeError)
"""What DuckDB raises when it refuses data or a statement. The second, because its message may quote the data, cut
off in the middle of a character."""

STORAGE_VERSION = "v1.2.0"
"""The oldest DuckDB storage format that holds what we write, so that older CLIs open an audit."""


@contextmanager
def new_audit(path: Path, scratch: Path, memory_limit: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a new, empty audit file at `path`, with every table of its contract.

    Its tables are those of the database `audit`. Beside it stands `working`, which is never written to the file:
    a table there comes before one of the same name in `audit`. Spills go to `scratch`; `memory_limit` is DuckDB's
    (`2GB`). The file is complete, and detached, when the block ends. Raises UsageError if the file cannot be
    written or the limit is no size.
    """
    con = duckdb.connect(":memory:")
    try:
        con.execute("SET TimeZone = 'UTC'")
        con.execute("SET preserve_insertion_order = true")
        con.execute("SET enable_progress_bar = false")
        con.execute(f"SET temp_directory = {quoted(str(scratch))}")
        if memory_limit is not None:
            try:
                con.execute(f"SET memory_limit = {quoted(memory_limit)}")
            except duckdb.Error:
                raise UsageError(f"{memory_limit!r} is no size of memory such as 2GB") from None
        try:
            _attach(con, path)
        except duckdb.IOException:
            raise UsageError(f"{path}: the audit cannot be written there") from None
        con.execute("USE audit")
        con.execute("BEGIN; " + schemas.text("audit") + "; COMMIT")
        con.execute("ATTACH ':memory:' AS working")
        con.execute(_SEARCH_PATH)
        yield con
        con.execute("USE memory")
        con.execute("DETACH audit")
    finally:
        con.close()


def saved_audit(path: Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to an audit file, whoever it is from: nothing in it reaches a file or the network.

    Raises InputError if it cannot be opened, or defines a view or a macro that no audit has: that could stand in
    for a table of ours, or for a function of DuckDB.
    """
    try:
        con = duckdb.connect(str(path), read_only=True)
    except duckdb.Error:
        raise InputError(str(path), "is no audit file: DuckDB cannot open it") from None
    try:
        # Not at `connect`: nobody in this process could then open the file beside us in DuckDB's usual way.
        with suppress(duckdb.InvalidInputException):  # another connection of ours to it has locked them already
            con.execute(_CONFINED)
        foreign = _foreign(con)
    except BaseException:
        con.close()
        raise
    if foreign:
        con.close()
        raise InputError(str(path), f"is no audit file: it defines {foreign[0]}, which no audit does")
    return con


_CONFINED = """
    SET enable_external_access = false;
    SET autoload_known_extensions = false;
    SET autoinstall_known_extensions = false;
    SET allow_community_extensions = false;
    SET python_enable_replacements = false;
    SET GLOBAL TimeZone = 'UTC';
    SET lock_configuration = true;
"""

_VIEWS = {"event", "log", "witness_detail"}
_MACROS = {
    "core_rank",
    "crockford",
    "entity_witness",
    "fence_ms",
    "kind_of",
    "param",
    "refusal_witness",
    "short_id",
    "ulid_floor",
    "ulid_low",
    "witness",
}


def _foreign(con: duckdb.DuckDBPyConnection) -> list[str]:
    """What a file defines that an audit does not. DuckDB's own functions are asked, by their whole names."""
    views = con.execute("SELECT view_name FROM system.main.duckdb_views() WHERE NOT internal").fetchall()
    macros = con.execute("SELECT function_name FROM system.main.duckdb_functions() WHERE NOT internal").fetchall()
    return [
        *(f"the view {name!r}" for (name,) in views if name not in _VIEWS),
        *(f"the macro {name!r}" for (name,) in macros if name not in _MACROS),
    ]


_SEARCH_PATH = "SET search_path = 'working,audit'"


def _attach(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    # Until the file is complete nobody relies on it, and what is broken off is thrown away: no log is needed.
    con.execute(
        f"ATTACH {quoted(str(path))} AS audit (STORAGE_VERSION '{STORAGE_VERSION}', RECOVERY_MODE 'no_wal_writes')"
    )


@contextmanager
def released(con: duckdb.DuckDBPyConnection) -> Iterator[Path]:
    """The file of the audit that `con` makes, complete so far and free for another process to read.

    Meanwhile `con` has `working` alone; no other connection to the audit may be busy.
    """
    path = Path(scalar(con, "SELECT path FROM duckdb_databases() WHERE database_name = 'audit'"))
    con.execute("USE working")
    con.execute("DETACH audit")
    try:
        yield path
    finally:
        _attach(con, path)
        con.execute(_SEARCH_PATH)


def beside(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A second connection to the audit that `con` makes, for another thread."""
    cursor = con.cursor()
    cursor.execute("SET TimeZone = 'UTC'")
    cursor.execute("SET enable_progress_bar = false")
    cursor.execute(_SEARCH_PATH)
    return cursor


def quoted(text: str) -> str:
    """A string as an SQL literal, for the statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def scalar(con: duckdb.DuckDBPyConnection, sql: str, *values: Any) -> Any:
    """The first column of the first row; None if there is no row."""
    rows = con.execute(sql, list(values)).fetchall()
    return rows[0][0] if rows else None


def insert(con: duckdb.DuckDBPyConnection, table: str, arrow: pa.Table) -> None:
    """Append columns to a table of the same shape."""
    _with_rows(con, arrow, f"INSERT INTO {table} SELECT * FROM arrow_rows")


def create(con: duckdb.DuckDBPyConnection, table: str, arrow: pa.Table) -> None:
    """Make a table of these columns."""
    _with_rows(con, arrow, f"CREATE TABLE {table} AS SELECT * FROM arrow_rows")


def replace_temp(con: duckdb.DuckDBPyConnection, table: str, arrow: pa.Table) -> None:
    """Make a temporary table of these columns."""
    _with_rows(con, arrow, f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT * FROM arrow_rows")


def _with_rows(con: duckdb.DuckDBPyConnection, arrow: pa.Table, sql: str) -> None:
    con.register("arrow_rows", arrow)
    try:
        con.execute(sql).fetchall()
    finally:
        con.unregister("arrow_rows")

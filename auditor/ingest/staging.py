"""From rows of JSON, wherever they come from, to the ingested tables.

Every reader hands over `Batch`es: a file of JSON objects in the SDK's own shape and where each of them came
from. One vectorised read projects them onto the canonical columns, drops the payloads and keeps their size
and digest. A file that the vectorised reader refuses is cleaned row by row and read again.
"""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import duckdb
import pyarrow as pa

from auditor.database import REFUSED, insert, replace_temp, scalar
from auditor.errors import InputError
from auditor.ingest import json_rows, runtime_error


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one row came from: its source and, unless the source is one single record, its line."""

    source_id: int
    line: int | None


NO_LINE = -(2**63)
"""Stands for no line where lines are numbers; no world counts down to it."""


class Origins:
    """Where the rows of a file came from, in order. A file may have tens of millions, so they are numbers."""

    __slots__ = ("_lines", "_sources")

    def __init__(self) -> None:
        self._sources = array("i")
        self._lines = array("q")

    def append(self, origin: Origin) -> None:
        """Add the origin of the next row."""
        self._sources.append(origin.source_id)
        self._lines.append(NO_LINE if origin.line is None else origin.line)

    def __len__(self) -> int:
        return len(self._sources)

    def __iter__(self) -> Iterator[Origin]:
        for source_id, line in zip(self._sources, self._lines, strict=True):
            yield Origin(source_id, None if line == NO_LINE else line)

    def table(self) -> pa.Table:
        """The columns `row_no` (from 1), `source_id` and `line` (NO_LINE: none)."""
        return pa.table(
            {
                "row_no": pa.array(range(1, len(self) + 1), pa.int64()),
                "source_id": pa.Array.from_buffers(pa.int32(), len(self), [None, pa.py_buffer(self._sources)]),
                "line": pa.Array.from_buffers(pa.int64(), len(self), [None, pa.py_buffer(self._lines)]),
            }
        )


Reject = tuple[Origin, str | None, str]
"""A row that could not be read: where it stands, the run it belongs to if that is known, and why."""

REJECTS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Batch:
    """A file of JSON objects, one a line.

    `record` is what every row is (`event`, `run`, `step`, `hook`, `wait`), or `log` if each row says so
    itself, as in auditor.log/v1. `origins` has one entry a row, in order; None means that the file *is* the
    source `source_id` and the line is the row's own.
    """

    record: str
    path: Path
    source_id: int
    origins: Origins | None = None


def load(con: duckdb.DuckDBPyConnection, batch: Batch, scratch: Path, *, keep_payloads: bool = False) -> None:
    """Read one batch into the ingested tables; rows that cannot be read go to `reject`.

    Raises InputError if the rows that passed the tolerant reader are refused all the same; nothing is loaded then.
    """
    if _stage(con, batch, keep_payloads) != _expected_rows(batch):
        batch = _cleaned(con, batch, scratch)
        if _stage(con, batch, keep_payloads) != _expected_rows(batch):
            raise InputError(str(batch.path), "holds rows that could not be read, nor told from the others")
    _place(con, batch)
    _explain_failures(con)
    _distribute(con)


def _expected_rows(batch: Batch) -> int:
    """How many rows a well-formed file gives; with a blank line in it, lines and rows no longer agree."""
    if batch.origins is not None:
        return len(batch.origins)
    lines, last = 0, b"\n"
    with batch.path.open("rb") as file:
        while chunk := file.read(1 << 20):
            lines += chunk.count(b"\n")
            last = chunk[-1:]
    return lines + (last != b"\n")


def _stage(con: duckdb.DuckDBPyConnection, batch: Batch, keep_payloads: bool) -> int:
    """Project the file onto the relation `staged`; the number of rows, -1 if the reader refused the file."""
    try:
        sql = statement("stage.sql").replace("{keep_payloads}", str(keep_payloads).upper())
        con.execute(sql, {"path": str(batch.path), "record": batch.record})
    except duckdb.OutOfMemoryException:  # says nothing about the rows
        raise
    except REFUSED:
        return -1
    return int(scalar(con, "SELECT count(*) FROM staged"))


def _place(con: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    """Give every staged row its number in the file, its source and its line (relation `placed`)."""
    if batch.origins is None:
        origin, join = f"{batch.source_id} AS source_id, row_no AS line", ""
    else:
        replace_temp(con, "origin", batch.origins.table())
        origin = f"source_id, nullif(line, CAST('{NO_LINE}' AS BIGINT)) AS line"
        join = "JOIN origin USING (row_no)"
    con.execute(
        f"""
        CREATE OR REPLACE TEMP VIEW placed AS
        SELECT numbered.*, {origin}
        FROM (SELECT rowid + 1 AS row_no, * FROM staged) AS numbered
        {join}
        """
    ).fetchall()


def _explain_failures(con: duckdb.DuckDBPyConnection) -> None:
    """Read the stored errors of failed runs: rare rows, and no work for SQL."""
    failed = con.execute(
        "SELECT row_no, error_json, more ->> 'error_code' FROM placed WHERE error_json IS NOT NULL"
    ).fetchall()
    reports = [(row_no, runtime_error.parse(error, code)) for row_no, error, code in failed]
    found = [(row_no, report) for row_no, report in reports if report is not None]
    arrow = pa.table(
        {
            "row_no": pa.array([row_no for row_no, _ in found], pa.int64()),
            "signature": pa.array([report.signature for _, report in found], pa.string()),
            "named_event_id": pa.array([report.event_id for _, report in found], pa.string()),
            "named_correlation_id": pa.array([report.correlation_id for _, report in found], pa.string()),
        }
    )
    replace_temp(con, "corruption_report", arrow)


def _distribute(con: duckdb.DuckDBPyConnection) -> None:
    first = scalar(con, "SELECT coalesce(max(event_no), 0) FROM event_core")
    con.execute(statement("distribute.sql").replace("$first_event", str(first))).fetchall()


def _cleaned(con: duckdb.DuckDBPyConnection, batch: Batch, scratch: Path) -> Batch:
    """Re-write the batch with its good rows only; the bad ones become rejects."""
    origins = Origins()
    rejects: list[Reject] = []
    path = scratch / f"cleaned-{batch.path.name}"
    with path.open("wb") as out:
        for raw, origin in _rows(batch):
            try:
                out.write(json_rows.clean(raw) + b"\n")
                origins.append(origin)
            except json_rows.BadRow as bad:
                rejects.append((origin, json_rows.run_id_of(raw), str(bad)))
                if len(rejects) == REJECTS_AT_ONCE:
                    store_rejects(con, rejects)
    store_rejects(con, rejects)
    return Batch(batch.record, path, batch.source_id, origins)


def store_rejects(con: duckdb.DuckDBPyConnection, rejects: list[Reject]) -> None:
    """Write rejects to the audit file, and forget them. Row by row it would take a millisecond each."""
    columns = {
        "source_id": pa.array([origin.source_id for origin, _, _ in rejects], pa.int32()),
        "line": pa.array([origin.line for origin, _, _ in rejects], pa.int64()),
        "run_id": pa.array([run_id for _, run_id, _ in rejects], pa.string()),
        "reason": pa.array([reason for _, _, reason in rejects], pa.string()),
    }
    insert(con, "reject", pa.table(columns))
    rejects.clear()


def _rows(batch: Batch) -> Iterator[tuple[bytes, Origin]]:
    with batch.path.open("rb") as file:
        if batch.origins is not None:
            yield from zip((raw.rstrip(b"\n") for raw in file), batch.origins, strict=True)
        else:
            yield from ((raw, Origin(batch.source_id, line)) for line, raw in json_rows.lines(file))


SKIMMED = 64 * 1024**2
"""How much of a log without a manifest is looked at for a key that may be null in every line of it."""


@contextmanager
def skimmed(path: Path) -> Iterator[bytes | mmap.mmap]:
    """The first SKIMMED bytes of a file."""
    size = path.stat().st_size
    if size == 0:
        yield b""
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), min(size, SKIMMED), access=mmap.ACCESS_READ) as view:
        yield view


def lines_with(text: bytes | mmap.mmap, key: str) -> Iterator[bytes]:
    """The lines of a text that hold a JSON key, in order; nothing else of it is looked at."""
    name = f'"{key}"'.encode()
    at = text.find(name)
    while at >= 0:
        start = text.rfind(b"\n", 0, at) + 1
        end = text.find(b"\n", at)
        end = end if end >= 0 else len(text)
        yield text[start:end]
        at = text.find(name, end)


@cache
def statement(name: str) -> str:
    """The text of one of this package's SQL files."""
    return resources.files("auditor.ingest").joinpath(name).read_text("utf-8")

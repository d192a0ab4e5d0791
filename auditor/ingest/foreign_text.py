"""NDJSON and CSV of other shapes: their rows, and the lines they stand on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import IO, Any

from auditor.errors import InputError
from auditor.ingest import auditor_log, foreign, sdk_tables
from auditor.ingest.intake import Intake
from auditor.ingest.json_rows import BadRow, lines, parsed
from auditor.ingest.members import Member

SAMPLED = 100
"""Rows whose keys say what columns an NDJSON has."""


def read_csv(member: Member, intake: Intake) -> None:
    """Read a CSV with a header. Raises InputError if it does not give what an event needs."""
    columns = sdk_tables.columns_of(auditor_log.first_line(member.start()))
    if not columns:
        raise InputError(member.name, "has no header line with columns")
    foreign.load(member.name, "csv", sdk_tables.csv_rows(member.stream), columns, intake)


def read_ndjson(member: Member, intake: Intake) -> None:
    """Read JSON lines of any shape. Raises InputError if they do not give what an event needs."""
    rows = _rows(member.stream)
    head = list(islice(rows, SAMPLED))
    columns = sorted({key for _, row in head if not isinstance(row, BadRow) for key in row})
    foreign.load(member.name, "ndjson", chain(head, rows), columns, intake)


def _rows(stream: IO[bytes]) -> Iterator[tuple[int, Mapping[str, Any] | BadRow]]:
    for line, raw in lines(stream):
        try:
            yield line, parsed(raw)
        except BadRow as bad:
            yield line, bad

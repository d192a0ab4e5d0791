"""What a visitor's SELECT gave, as a page shows it, and as CSV and JSON hold it.

DuckDB writes it: it knows every value of its types, and Python has no date after the year 9999, nor has a browser
one after 275760.
"""

from __future__ import annotations

import json
import re
from typing import Any

import duckdb
import pyarrow as pa

_HAS_TIME = re.compile("timestamp|date")


def for_page(table: pa.Table) -> pa.Table:
    """The same table; a column with times in it is text."""
    timed = [at for at, type_ in enumerate(table.schema.types) if _HAS_TIME.search(str(type_))]
    rows = _ask(table, [f"CAST(c{at} AS VARCHAR)" for at in timed]) if timed else []
    for place, at in enumerate(timed):
        text = pa.array([row[place] for row in rows], pa.string())
        table = table.set_column(at, table.column_names[at], text)
    return table


def for_csv(table: pa.Table) -> list[tuple[Any, ...]]:
    """Its rows: numbers and truth values as they are, everything else as text."""
    return _ask(
        table, [_plain(name, type_) for name, type_ in zip(_names(table), table.schema.types, strict=True)]
    )


def for_json(table: pa.Table) -> list[dict[str, Any]]:
    """Its rows by the names of the columns; lists and structs stay what they are. JSON has no NaN nor Infinity."""
    rows = _ask(table, [f"to_json({name})" for name in _names(table)])
    return [
        {name: None if text is None else _read(text) for name, text in zip(table.column_names, row, strict=True)}
        for row in rows
    ]


def _read(text: str) -> Any:
    return json.loads(text, parse_constant=lambda _: None)


def _plain(name: str, type_: pa.DataType) -> str:
    number = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    return name if number or pa.types.is_boolean(type_) else f"CAST({name} AS VARCHAR)"


def _ask(table: pa.Table, columns: list[str]) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.register("answer", table.rename_columns(_names(table)))
        return con.execute(f"SELECT {', '.join(columns)} FROM answer").fetchall()


def _names(table: pa.Table) -> list[str]:
    return [f"c{at}" for at in range(table.num_columns)]

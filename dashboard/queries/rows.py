"""What a query gives, as dictionaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb


def rows(
    con: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Any] | Sequence[Any] = ()
) -> list[dict[str, Any]]:
    """The rows of a query, each by the names of its columns; `values` are its parameters, by name or place."""
    cursor = con.execute(sql, dict(values) if isinstance(values, Mapping) else list(values))
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

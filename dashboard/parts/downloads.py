"""Tables to take away."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def take_away(total: int, most: int) -> str:
    """What a button says that gives `total` rows as CSV, or the first `most` of them if there are more."""
    return "Download as CSV" if total <= most else f"Download the first {most:,} of {total:,} as CSV"


def csv_of(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """CSV in UTF-8. A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([_neutral(name) for name in columns])
    writer.writerows([_neutral(value) for value in row] for row in rows)
    return out.getvalue().encode()


def _neutral(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_STARTS_A_FORMULA):
        return f"'{value}"
    return value

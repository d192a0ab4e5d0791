"""Times of a log, which may be any that DuckDB holds; Python has no datetime for most of those."""

from __future__ import annotations

import datetime as dt

EARLIEST = dt.datetime(1970, 1, 1)
LATEST = dt.datetime(9999, 1, 1)
"""What an axis of time shows. The year 9999 says "never", and one event there would press all others together."""


def in_words(column: str) -> str:
    """SQL for the times of a column as text: `2026-11-22 12:00:03.000`, UTC."""
    return f"strftime({column}, '%Y-%m-%d %H:%M:%S.%g')"

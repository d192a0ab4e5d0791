"""What every text report is written with: words, numbers and lines.

Everything that comes from a log is untrusted: control characters are replaced before they reach a terminal.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

WIDTH = 80


def plain(text: Any) -> str:
    """A string from a log, safe for a terminal: control characters and line breaks become a visible mark."""
    return "".join(c if c.isprintable() else "\ufffd" for c in str(text))


def short(workflow: str | None) -> str:
    """The SDK names a workflow by its module and function; a person knows it by the function."""
    return (workflow or "").rsplit("//", 1)[-1]


def grouped(rows: Sequence[dict[str, Any]], *keys: str) -> Iterator[tuple[tuple[Any, ...], list[dict[str, Any]]]]:
    """Rows by the values of some keys, in order of first appearance."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in keys), []).append(row)
    yield from groups.items()


def wrapped(text: str, indent: str, hanging: str | None = None) -> list[str]:
    """Text as lines of at most WIDTH; `hanging` indents all but the first."""
    lines = textwrap.wrap(
        plain(text),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=hanging or indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return lines or [""]


def tally(names: Iterable[str]) -> str:
    """Names with how often each is there."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{name} x{number}" if number > 1 else name for name, number in counts.items())


def many(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

"""What every text report is written with: words, numbers and lines.

Everything that comes from a log is untrusted: control characters are replaced before they reach a terminal.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from auditor.model.judgement import Verdict

WIDTH = 80

COMMAND = re.compile(r"##(?=\[|vso\[)")
"""What begins a command to the runner of a CI job, anywhere in a line."""
_AT_THE_START = re.compile(r"^(\s*)::")

MEANING = {
    Verdict.CORRUPT: "an error is proven: do not trust or replay this history",
    Verdict.CANNOT_TELL: "the log does not hold enough to judge",
    Verdict.SUSPECT: "something is odd, nothing is proven",
    Verdict.SOUND: "no rule that could be evaluated found anything against it",
}
"""What a verdict says of a run."""


def plain(text: Any) -> str:
    """A string from a log, safe for a terminal and for the log of a CI job.

    Control characters and line breaks become a visible mark; `##[` begins a command to the runner anywhere.
    """
    shown = str(text)
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else "\ufffd" for c in shown)
    return COMMAND.sub("##\ufffd", shown)


def quiet(line: str) -> str:
    """A line that is no command to the runner of a CI job, as one that begins with `::` is to that of GitHub."""
    return _AT_THE_START.sub(r"\1: :", line)


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
    return [quiet(line) for line in lines] or [""]


def tally(names: Iterable[str]) -> str:
    """Names with how often each is there."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{name} x{number}" if number > 1 else name for name, number in counts.items())


def many(number: int, noun: str, plural: str | None = None) -> str:
    """A number of things; `plural` where an `s` does not make it."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"

"""Numbers and times in words."""

from __future__ import annotations

import datetime as dt
import re


def moment(ms: int) -> str:
    """A time (milliseconds since 1970) as a date and a minute, UTC."""
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def many(number: int, noun: str) -> str:
    """`1 event`, `1,234 events`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short(workflow: str) -> str:
    """A workflow by its function: the SDK adds the module, as in `workflow//./flows/order//approveOrder`."""
    return workflow.rsplit("//", 1)[-1]


_ADDRESS = re.compile(r"(://|www|@)([^\s])", re.IGNORECASE)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&^=@/])")


def escaped(text: str) -> str:
    """Text that stands for itself where Markdown is read: no link, image, colour or formula comes of it.

    What looks like an address is broken by a zero-width space, as those become links without any sign of Markdown.
    """
    unlinked = _ADDRESS.sub("\\1\u200b\\2", " ".join(text.split()))
    return _MARKDOWN.sub(r"\\\1", unlinked)

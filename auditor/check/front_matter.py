"""The YAML header of a rule file as plain text, lists and mappings.

A stranger may have written it, and whoever audits reads it. So it is bounded in size and depth, its values stay
text, because not every date and number of YAML is one of Python, and nothing in it may stand for something else: a
few lines of aliases can say more than fits in memory.
"""

from __future__ import annotations

from typing import Any

import yaml

LONGEST = 20_000
"""Characters of a header."""

DEEPEST = 10
"""Lists and mappings inside each other."""

_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # the C one reads the catalogue ten times as fast


class NotAHeader(ValueError):
    """Why a text is no header; `line` counts from 0 and is None where it is not known."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.line = line


def read(text: str) -> dict[str, Any]:
    """The mapping that a header is; a value is text, or a list or mapping of values. Raises NotAHeader."""
    if len(text) > LONGEST:
        raise NotAHeader(f"the header is longer than {LONGEST:,} characters", 0)
    try:
        _must_be_plain(text)
        header = yaml.load(text, Loader=_LOADER)  # noqa: S506 - it makes nothing but text, lists and mappings
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else None
        raise NotAHeader(f"the header is not YAML: {error.problem}", line) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, text.find(chr(error.character)))
        raise NotAHeader(f"the header is not YAML: it has the character {error.character:#04x}", line) from None
    except yaml.YAMLError as error:
        raise NotAHeader(f"the header is not YAML: {error}") from None
    if not isinstance(header, dict):
        raise NotAHeader("the header is not a YAML mapping", 0)
    return header


def _must_be_plain(text: str) -> None:
    """Raise NotAHeader for what no header may have, before any of it is built."""
    depth = 0
    event: Any
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        line = event.start_mark.line
        if depth > DEEPEST:
            raise NotAHeader(f"the header is nested more than {DEEPEST} deep", line)
        if getattr(event, "anchor", None) is not None:
            raise NotAHeader("a header has no anchors and aliases (& and *); quote the text that begins so", line)

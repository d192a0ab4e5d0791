"""Everything that can go wrong on purpose.

    AuditorError
    ├── UsageError            the call itself is wrong: unknown rule, bad option value, no such path
    │   └── UnknownRule       a rule id that no rule file has; carries near matches
    ├── InputError            an input cannot be read at all; names the file and what to do
    └── RuleFileError         a rule file is malformed; names the file and the line

Rows that cannot be read are not errors: they are *rejects*, counted, stored and shown, and the
audit goes on with the good ones.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class AuditorError(Exception):
    """Base of every error that is meant for the user: its text says what to do, no traceback."""


class UsageError(AuditorError):
    """The call is wrong; nothing was audited."""


class UnknownRule(UsageError):
    """A rule id or group that does not exist."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "`auditor rules` lists them."
        super().__init__(f"there is no rule or group called {name!r}; {hint}")
        self.near = near


class InputError(AuditorError):
    """An input that cannot be read at all."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class RuleFileError(AuditorError):
    """A rule file whose header, headings or SQL are not as a rule must be."""

    def __init__(self, path: Path | str, problem: str, line: int | None = None) -> None:
        where = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{where}: {problem}")

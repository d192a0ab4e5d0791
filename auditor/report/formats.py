"""The report formats by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from auditor.errors import UsageError
from auditor.result import Audit

_MODULES = {
    "text": "text",
    "concise": "concise",
    "json": "json_report",
    "jsonl": "jsonl",
    "sarif": "sarif",
    "junit": "junit",
    "github": "github",
    "gitlab": "gitlab",
    "markdown": "markdown",
    "html": "html",
}

FORMATS = tuple(_MODULES)
"""What `--format` and `--report` take; each renders the same findings."""


def renderer(name: str) -> Callable[[Audit], str]:
    """What makes the report of one of FORMATS; imported when it is asked for, as an audit needs one or two."""
    render: Callable[[Audit], str] = import_module(f"{__package__}.{_MODULES[name]}").render
    return render


def render(audit: Audit, format: str) -> str:
    """The report of an audit in one of FORMATS. Raises UsageError for another."""
    if format not in FORMATS:
        raise UsageError(f"there is no report format called {format!r}; there are {', '.join(FORMATS)}")
    return renderer(format)(audit)

"""The report formats by name."""

from __future__ import annotations

from collections.abc import Callable

from auditor.report import json_report, text
from auditor.result import Audit

FORMATS: dict[str, Callable[[Audit], str]] = {
    "text": text.render,
    "json": json_report.render,
}
"""What `--format` and `--report` take; each renders the same findings."""

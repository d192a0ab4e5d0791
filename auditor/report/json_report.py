"""`json`: the report as one JSON document, `auditor.report/v1`."""

from __future__ import annotations

from auditor.report.machine import as_json
from auditor.result import Audit


def render(audit: Audit) -> str:
    """The whole report, indented."""
    return as_json(audit.report, indent=2) + "\n"

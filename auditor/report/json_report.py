"""`json`: the report as one JSON document, `auditor.report/v1`."""

from __future__ import annotations

import json

from auditor.result import Audit


def render(audit: Audit) -> str:
    """The whole report, indented."""
    return json.dumps(audit.report, indent=2, ensure_ascii=False) + "\n"

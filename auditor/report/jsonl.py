"""`jsonl`: the report as JSON, one object a line, for pipes that read line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from auditor.report.machine import as_json
from auditor.result import Audit

RECORDS = {
    "inputs": "input",
    "rules": "rule",
    "runs": "run",
    "causes": "cause",
    "findings": "finding",
    "suppressions": "suppression",
    "rejects": "reject",
}
"""The lists of the report whose entries are lines of their own, and what `record` says on these lines."""


def render(audit: Audit) -> str:
    """The whole report and nothing else: a header with `"record": "report"`, then a line an entry of each list.

    In ASCII, so that no reader finds an end of line, or a terminal a command, inside a string.
    """
    return "".join(f"{as_json(line, ascii_only=True)}\n" for line in _lines(audit.report))


def _lines(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"record": "report"} | {key: value for key, value in report.items() if key not in RECORDS}
    for key, record in RECORDS.items():
        for entry in report[key]:
            yield {"record": record} | entry

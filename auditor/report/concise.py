"""`concise`: one line a finding, for `grep` and for editors that jump to `path:line`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from auditor.report.notes import configured
from auditor.report.standing import place, seat, standing, unlisted
from auditor.report.words import many, plain, quiet
from auditor.result import Audit


def render(audit: Audit) -> str:
    """`path:line: severity rule [state] run because (instance)` a line; the last line is the verdict.

    Folded findings are left out and counted.
    """
    return "".join(f"{quiet(plain(line))}\n" for line in _lines(audit.report))


def _lines(report: dict[str, Any]) -> Iterator[str]:
    for finding in standing(report):
        run = f" {finding['run_id']}" if finding["run_id"] is not None else ""
        yield (
            f"{place(seat(finding))}: {finding['severity']} {finding['rule']} [{finding['state']}]{run}"
            f" {finding['because']} ({finding['fingerprint']['instance']})"
        )
    for row in report["inputs"]:
        if row["problem"] or row["rejects"]:
            facts = [many(row["rejects"], "unreadable row")] if row["rejects"] else []
            facts += [row["problem"]] if row["problem"] else []
            yield f"{row['path']}: unreadable {'; '.join(facts)}"
    for rule in report["rules"]:
        if rule["outcome"] == "failed":
            yield f"rule {rule['id']} failed: {rule['reason']}"
    for note in configured(report):
        yield f"{note.kind}: {note.sentence}"
    folded = report["counts"]["states"]["folded"]
    more = [f"{many(number, noun)}" for number, noun in ((unlisted(report), "more finding"),) if number]
    more += [f"{many(folded, 'consequence')} of these"] if folded else []
    if more:
        yield f"not listed: {', '.join(more)}"
    yield f"{report['verdict'].replace('_', ' ')}, exit code {report['exit_code']}: {report['exit_because']}"

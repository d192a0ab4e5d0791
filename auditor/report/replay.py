"""What a cold replay has come to: text for a person, and one JSON document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from auditor.model.judgement import ReplayOutcome
from auditor.report.words import plain
from auditor.result import Audit

REPLAY_SCHEMA = "auditor.replay/v1"

SHOWN = 20
"""Runs of one outcome that the text shows; all are counted, and JSON has them all."""

_WORDS = {
    ReplayOutcome.REPRODUCED: "reproduced",
    ReplayOutcome.DIVERGED: "diverged",
    ReplayOutcome.OTHER_TERMINAL: "other terminal",
    ReplayOutcome.NOT_REPLAYED: "not replayed",
}
_SIDES = {"log": "the log", "code": "what the code creates"}


def document(audit: Audit) -> dict[str, Any]:
    """The outcomes as one JSON document; runs in the order of their ids, every key always present."""
    rows = _rows(
        audit,
        """
        SELECT run_id, workflow, outcome, reason, "position", event_id, expected, actual
        FROM replayed LEFT JOIN (SELECT event_no, event_id FROM event) USING (event_no)
        ORDER BY run_id
        """,
    )
    sides: dict[str, dict[str, list[dict[str, Any]]]] = {}
    lines = _rows(audit, "SELECT run_id, side, text, marked FROM replayed_line ORDER BY run_id, side, line")
    for line in lines:
        of_run = sides.setdefault(line.pop("run_id"), {"log": [], "code": []})
        of_run[line.pop("side")].append(line)
    counts = {outcome.value: 0 for outcome in ReplayOutcome}
    for row in rows:
        counts[row["outcome"]] += 1
        row.update(sides.get(row["run_id"], {"log": [], "code": []}))
    report = audit.report
    return {
        "schema": REPLAY_SCHEMA,
        "exit_code": int(audit.exit_code),
        "exit_because": report["exit_because"],
        "counts": {**counts, "skipped": len(report["runs"]) - len(rows)},
        "runs": rows,
        "findings": report["findings"],
        "inputs": report["inputs"],
        "rejects": report["rejects"],
    }


def render(audit: Audit) -> str:
    """The outcomes as text: those that matter run by run, the others as a number."""
    return "".join(f"{plain(line)}\n" for line in _text(document(audit)))


def _text(found: dict[str, Any]) -> Iterator[str]:
    for outcome in (ReplayOutcome.DIVERGED, ReplayOutcome.OTHER_TERMINAL, ReplayOutcome.NOT_REPLAYED):
        runs = [run for run in found["runs"] if run["outcome"] == outcome]
        for run in runs[:SHOWN]:
            yield f"{_WORDS[outcome].upper()}  {run['run_id']}  {run['workflow']}"
            yield from _run(run)
            yield ""
        if len(runs) > SHOWN:
            yield f"... and {len(runs) - SHOWN:,} more {_WORDS[outcome]}; --json has them all"
            yield ""
    for finding in found["findings"]:
        if finding["rule"] == "code-version-skew":
            yield f"{finding['severity'].upper()}  {finding['run_id']}  {finding['rule']}"
            yield f"  {finding['because']}"
            yield ""
    for row in found["inputs"]:
        if row["problem"]:
            yield f"! {row['path']} {row['problem']}"
    for reject in found["rejects"][:SHOWN]:
        line = f":{reject['line']}" if reject["line"] is not None else ""
        yield f"! {reject['source']}{line}: {reject['reason']}"
    if len(found["rejects"]) > SHOWN:
        yield f"! ... and {len(found['rejects']) - SHOWN:,} more unreadable rows"
    counts = found["counts"]
    yield ", ".join(f"{counts[outcome]:,} {word}" for outcome, word in _WORDS.items())
    corrupt = sum(
        run["outcome"] == ReplayOutcome.REPRODUCED and run["reason"] is not None for run in found["runs"]
    )
    if corrupt:
        yield f"{corrupt:,} of the reproduced were given up as corrupt by their runtime, and diverge"
    if counts["skipped"]:
        yield f"{counts['skipped']:,} of other workflows skipped"
    yield f"exit code {found['exit_code']}: {found['exit_because']}"


def _run(run: dict[str, Any]) -> Iterator[str]:
    if run["outcome"] == ReplayOutcome.NOT_REPLAYED:
        yield f"  {run['reason']}"
        return
    yield f"  at #{run['position']} ({run['event_id']})"
    yield f"    the log has   {run['actual']}"
    yield f"    the code      {run['expected']}"
    for side, title in _SIDES.items():
        yield f"  {title}:"
        for line in run[side]:
            yield f"  {'>' if line['marked'] else ' '} {line['text']}"


def _rows(audit: Audit, sql: str) -> list[dict[str, Any]]:
    cursor = audit.con.execute(sql)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

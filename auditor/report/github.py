"""`github`: annotations of a job, as workflow commands, and what goes into its summary.

Commands: https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions. A runner takes any
line that starts with `::` for a command, and `##[...]` anywhere in another line; nothing of a log may do either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from auditor.model.judgement import FindingState, Severity
from auditor.report import markdown
from auditor.report.machine import Runs, clean
from auditor.report.notes import CONFIGURED, Note, notes
from auditor.report.places import Places
from auditor.report.standing import standing
from auditor.report.words import many
from auditor.result import Audit

SHOWN = 9
"""Annotations a level; GitHub shows ten of a step, and one says what is left out."""

SHOWN_NOTES = 3
"""Annotations a level about what could not be judged, where findings need the others."""

SUMMARY_BYTES = 1024 * 1024
"""What GitHub takes of a step for the summary."""

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(audit: Audit) -> str:
    """The new findings as annotations, the worst first, before them what could not be judged; then the verdict.

    What the user has changed of the rules is a notice.
    """
    report = audit.report
    said = [note for note in notes(report) if note.severity != Severity.INFO or note.kind in CONFIGURED]
    new = [finding for finding in standing(report) if finding["state"] == FindingState.NEW]
    return "".join(f"{line}\n" for line in [*_annotations(report, said, new), *_verdict(report)])


def summary(audit: Audit) -> str:
    """What goes into `$GITHUB_STEP_SUMMARY`: the report in Markdown, of at most SUMMARY_BYTES bytes."""
    return markdown.render(audit, limit=SUMMARY_BYTES)


def _annotations(report: dict[str, Any], said: Sequence[Note], new: Sequence[dict[str, Any]]) -> Iterator[str]:
    places, runs = Places(report), Runs(report)
    left_out = []
    for severity in Severity:
        findings = [finding for finding in new if finding["severity"] == severity][:SHOWN]
        of_level = [note for note in said if note.severity == severity]
        shown = of_level[: max(SHOWN_NOTES, SHOWN - len(findings))]
        findings = findings[: SHOWN - len(shown)]
        yield from (_note(note) for note in shown)
        yield from (_finding(finding, places, runs) for finding in findings)
        more = len(of_level) - len(shown) + int(report["counts"]["new"][severity]) - len(findings)
        left_out += [many(more, severity)] if more else []
    if left_out:
        yield _command(
            Severity.INFO, f"and {', '.join(left_out)} more; the other reports have them", title="auditor"
        )


def _note(note: Note) -> str:
    return _command(note.severity, note.sentence, title=note.kind)


def _finding(finding: dict[str, Any], places: Places, runs: Runs) -> str:
    place = places.of(finding)
    where = {"file": clean(place.path), "line": str(place.line)} if place.inside else {}
    message = f"{clean(finding['because'])}\n{runs.name(finding['run_id'])}\nauditor explain {finding['rule']}"
    return _command(Severity(finding["severity"]), message, title=finding["rule"], **where)


def _verdict(report: dict[str, Any]) -> Iterator[str]:
    states = [f"{number:,} {state}" for state, number in report["counts"]["states"].items()]
    yield f"auditor: findings: {', '.join(states)}"
    exit_because = clean(report["exit_because"]).replace("##", "# #")
    yield f"auditor: {report['verdict'].replace('_', ' ')}; exit code {report['exit_code']}: {exit_because}"


def _command(severity: Severity, message: str, **properties: str) -> str:
    written = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{_COMMANDS[severity]} {written}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

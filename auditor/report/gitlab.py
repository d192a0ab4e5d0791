"""`gitlab`: a Code Quality report, which GitLab compares with that of the target branch.

Format: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format. Standing findings that nobody
suppressed are in it, known ones too, since GitLab makes its own comparison. What could not be judged is an entry
as well: an empty report is a green one. So is what the user has changed of the rules, which GitLab shows where the
target branch did not have it, and how many findings are only counted.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from auditor.model.judgement import Confidence, FindingState, Severity
from auditor.report.machine import Runs, clean
from auditor.report.notes import CONFIGURED, Note, notes
from auditor.report.places import Place, Places
from auditor.report.standing import standing
from auditor.result import Audit

NOT_JUDGED = "not-judged"
"""The `check_name` of what could not be judged."""

_TOLD = (*CONFIGURED, "findings-left-out")
"""Kinds of notes that are entries of severity info, under their own names."""

_SEVERITY = {
    (Severity.ERROR, Confidence.PROOF): "blocker",
    (Severity.ERROR, Confidence.STRONG): "critical",
    (Severity.ERROR, Confidence.SUSPECT): "major",
    (Severity.WARNING, Confidence.PROOF): "major",
    (Severity.WARNING, Confidence.STRONG): "major",
    (Severity.WARNING, Confidence.SUSPECT): "minor",
}


def render(audit: Audit) -> str:
    """The report as a JSON array, one entry a finding; its fingerprint is that of the instance."""
    report = audit.report
    places, runs = Places(report), Runs(report)
    said = [note for note in notes(report) if note.severity == Severity.ERROR or note.kind in _TOLD]
    anywhere = places.of_input(report["inputs"][0]["path"])
    entries = [_note(note, anywhere) for note in said]
    entries += [
        _entry(finding, places.of(finding), runs)
        for finding in standing(report)
        if finding["state"] != FindingState.SUPPRESSED
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def _entry(finding: dict[str, Any], place: Place, runs: Runs) -> dict[str, Any]:
    return {
        "description": f"{clean(finding['because'])} ({runs.name(finding['run_id'])})",
        "check_name": finding["rule"],
        "fingerprint": finding["fingerprint"]["instance"],
        "severity": _SEVERITY.get((Severity(finding["severity"]), Confidence(finding["confidence"])), "info"),
        "location": _location(place),
    }


def _note(note: Note, place: Place) -> dict[str, Any]:
    doubt = note.severity == Severity.ERROR
    return {
        "description": note.sentence,
        "check_name": NOT_JUDGED if doubt else note.kind,
        "fingerprint": hashlib.sha256(f"{note.kind}\x1f{note.sentence}".encode()).hexdigest()[:32],
        "severity": "critical" if doubt else "info",
        "location": _location(place),
    }


def _location(place: Place) -> dict[str, Any]:
    return {"path": clean(place.path), "lines": {"begin": place.line}}

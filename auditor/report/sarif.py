"""`sarif`: SARIF 2.1.0, what code scanning and editors read.

Standard: https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html; what
GitHub takes of it: https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support.

Findings that are new, known or suppressed are results; a consequence is named in the result of its cause, because
each result becomes an alert. For the same reason what a baseline knows and is there no more is a notification, not
a result of the state `absent`: GitHub does not read that state and would open an alert for what was repaired.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from auditor.model.judgement import Confidence, ExitCode, FindingState, Severity, Verdict
from auditor.report.machine import RuleFacts, clean, rule_facts
from auditor.report.notes import KINDS, Note, notes
from auditor.report.sarif_results import LEVELS, Results
from auditor.report.standing import standing
from auditor.report.words import many, plain
from auditor.result import Audit

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
INFORMATION = "https://schemas.workflow-auditor.dev"

MAX_RESULTS = 5_000
"""Results in the report; GitHub stores no more of a run. Above it there is one result a pattern."""

MAX_BYTES = 10_000_000
"""Bytes of the report; GitHub takes as many, and packed."""

_ROOM = 4_000
"""Bytes kept free for what is said of results that were cut or left out."""

_PRECISION = {Confidence.PROOF: "very-high", Confidence.STRONG: "high", Confidence.SUSPECT: "low"}
_PROBLEM = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "recommendation"}
_MEANING = re.compile(r"^## What it means\n+(.+?)(?:\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)


def render(audit: Audit) -> str:
    """The report as one SARIF run, on one line; at most MAX_RESULTS results and MAX_BYTES bytes."""
    report = audit.report
    maker = Results(report)
    findings = standing(report)
    said = notes(report)
    if len(findings) <= MAX_RESULTS:
        results = [maker.single(finding) for finding in findings]
    else:
        results = list(maker.patterns(findings))
        said.append(_left_out(f"more than {MAX_RESULTS:,} findings: one result for all of a pattern"))
    facts = rule_facts(audit)
    free = MAX_BYTES - _ROOM - _size(_document(report, facts, said, []))
    kept, cut = fitting(results[:MAX_RESULTS], free)
    if cut:
        said.append(_left_out(f"{many(cut, 'result')} without its witnesses, for the size of the report"))
    if len(kept) < len(results):
        said.append(_left_out(f"{many(len(results) - len(kept), 'result')} left out, the mildest"))
    return _json(_document(report, facts, said, kept)) + "\n"


def fitting(results: Sequence[dict[str, Any]], free: int) -> tuple[list[dict[str, Any]], int]:
    """The results that fit into so many bytes, and how many of them lost their witnesses for it.

    The last ones, which are the mildest, lose their witnesses first; if that is not enough, they are left out.
    """
    kept = list(results)
    sizes = [_size(result) + 1 for result in kept]
    total, cut = sum(sizes), 0
    for at in reversed(range(len(kept))):
        if total <= free:
            return kept, cut
        kept[at] = {key: value for key, value in kept[at].items() if key not in ("codeFlows", "relatedLocations")}
        before, sizes[at] = sizes[at], _size(kept[at]) + 1
        total, cut = total - before + sizes[at], cut + 1
    while total > free and kept:
        total, cut = total - sizes.pop(), cut - 1
        kept.pop()
    return kept, cut


def _left_out(text: str) -> Note:
    return Note("findings-left-out", Severity.WARNING, text)


def _document(
    report: dict[str, Any], facts: dict[str, RuleFacts], said: Sequence[Note], results: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report, facts, said, results)]}


def _run(
    report: dict[str, Any], facts: dict[str, RuleFacts], said: Sequence[Note], results: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "tool": {
            "driver": {
                "name": "auditor",
                "version": report["audit"]["auditor"],
                "semanticVersion": report["audit"]["auditor"],
                "informationUri": INFORMATION,
                "rules": [_rule(rule, facts[rule["id"]]) for rule in report["rules"]],
                "notifications": [
                    {"id": kind, "shortDescription": {"text": text}} for kind, text in KINDS.items()
                ],
            }
        },
        "automationDetails": {"id": f"auditor/{report['audit']['id']}"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The folder in which auditor was called."}}},
        "invocations": [_invocation(report, said)],
        "properties": {"verdict": report["verdict"], "counts": report["counts"]} | _lost(report),
        "results": list(results),
    }


def _lost(report: dict[str, Any]) -> dict[str, list[str]]:
    """Consequences of a finding that is itself only counted; they are in no result."""
    listed = {finding["fingerprint"]["instance"] for finding in report["findings"]}
    lost = [
        finding["fingerprint"]["instance"]
        for finding in report["findings"]
        if finding["state"] == FindingState.FOLDED and finding["folded_under"] not in listed
    ]
    return {"folded": lost} if lost else {}


def _rule(rule: dict[str, Any], facts: RuleFacts) -> dict[str, Any]:
    document = "\n".join(plain(line) for line in facts.document.splitlines())
    meaning = _MEANING.search(document)
    title = clean(rule["title"])
    return {
        "id": rule["id"],
        "shortDescription": {"text": title},
        "fullDescription": {"text": clean(" ".join(meaning[1].split())) if meaning else title},
        "help": {"text": document, "markdown": document},
        "defaultConfiguration": {"level": LEVELS[Severity(facts.severity)]},
        "properties": {
            "tags": ["workflow-log", facts.group, facts.confidence],
            "precision": _PRECISION[Confidence(facts.confidence)],
            "problem.severity": _PROBLEM[Severity(facts.severity)],
            "version": rule["version"],
            "outcome": rule["outcome"],
        },
    }


def _invocation(report: dict[str, Any], said: Sequence[Note]) -> dict[str, Any]:
    places = {rule["id"]: at for at, rule in enumerate(report["rules"])}
    return {
        "executionSuccessful": _all_judged(report, said),
        "exitCode": report["exit_code"],
        "exitCodeDescription": clean(report["exit_because"]),
        "toolExecutionNotifications": [row for note in said for row in _notifications(note, places)],
    }


def _all_judged(report: dict[str, Any], said: Sequence[Note]) -> bool:
    return (
        report["exit_code"] in (ExitCode.CLEAN, ExitCode.FOUND)
        and not report["counts"]["verdicts"][Verdict.CANNOT_TELL]
        and not any(note.severity == Severity.ERROR for note in said)
    )


def _notifications(note: Note, places: dict[str, int]) -> Iterator[dict[str, Any]]:
    said = {"descriptor": {"id": note.kind}, "level": LEVELS[note.severity]}
    if not note.rules:
        yield said | {"message": {"text": note.text}}
    for rule in note.rules:
        reference = {"id": rule} | ({"index": places[rule]} if rule in places else {})
        yield said | {"message": {"text": f"{rule}: {note.text}"}, "associatedRule": reference}


def _size(value: object) -> int:
    return len(_json(value).encode())


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

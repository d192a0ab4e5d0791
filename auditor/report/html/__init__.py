"""`html`: the report as one page that loads nothing, runs nothing and fits any audit into a bounded file.

Everything that a log says passes through `_shown` on its way into the page: control characters become visible and
long strings are cut; the template engine escapes what is left. The Content-Security-Policy of the page allows its
one style sheet, by its digest, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from auditor.model.judgement import FindingState, Outcome, SuppressionState, Verdict
from auditor.report.html.timeline import Windows, fence_of, timelines
from auditor.report.standing import consequences, place, seat, standing, states_of_rules, unlisted
from auditor.report.words import MEANING, grouped, many, plain, short, tally
from auditor.result import Audit

DETAILED = 200
"""Findings shown with their timeline; the others are rows of a table, or counted."""
OPEN = 5
"""Findings unfolded when the page opens."""
WITNESSES = 50
"""Witnesses of a finding in its table."""
LONGEST = 600
"""Characters of a string from a log."""
MAX_BYTES = 5_000_000
"""The page is never larger, whatever the audit."""


_STANDING = [state.value for state in FindingState if state is not FindingState.FOLDED]


class _Bound(NamedTuple):
    entries: int
    size: int


_BOUNDS = {
    "finding": _Bound(DETAILED, 2_800_000),
    "row": _Bound(1_000, 500_000),
    "explanation": _Bound(100, 400_000),
    "run": _Bound(200, 250_000),
    "cause": _Bound(50, 100_000),
    "rule": _Bound(200, 150_000),
    "silent": _Bound(100, 100_000),
    "input": _Bound(100, 100_000),
    "unread": _Bound(50, 50_000),
    "coverage": _Bound(30, 30_000),
    "reject": _Bound(100, 100_000),
    "suppression": _Bound(100, 100_000),
    "resolved": _Bound(100, 100_000),
    "override": _Bound(50, 50_000),
}
"""How many entries of a kind the page holds, and how many bytes they may take: together less than MAX_BYTES."""


@dataclass(frozen=True, slots=True)
class _Listing:
    """The entries that found room, and how many did not."""

    parts: list[Markup]
    left: int


def render(audit: Audit) -> str:
    """The report as one HTML page, the same bytes for the same audit."""
    templates = _templates()
    digest = base64.b64encode(
        hashlib.sha256(templates.get_template("page.css").render().encode()).digest()
    ).decode()
    return templates.get_template("page.html.j2").render(_content(audit, _Press(templates)), style_digest=digest)


def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("auditor.report", "html"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.filters |= {"many": many, "short": short, "place": place, "seat": seat, "tally": tally}
    return environment


def _shown(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Markup):
        shown = plain(value)
        return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"
    return value


class _Press:
    """Prints entries until there is no room for the next one of their kind."""

    def __init__(self, templates: jinja2.Environment) -> None:
        self._parts = templates.get_template("parts.html.j2").module

    def __call__(self, kind: str, entries: Sequence[Any]) -> _Listing:
        bound = _BOUNDS[kind]
        parts: list[Markup] = []
        room = bound.size
        for entry in entries[: bound.entries]:
            part = getattr(self._parts, kind)(entry)
            room -= len(part.encode())
            if room < 0:
                break
            parts.append(part)
        return _Listing(parts, len(entries) - len(parts))


def _content(audit: Audit, press: _Press) -> dict[str, Any]:
    report = audit.report
    found = states_of_rules(audit)
    details, rows, linked = _findings(audit, press)
    resolved = report["baseline"]["resolved"] if report["baseline"] else []
    suppressions = sorted(report["suppressions"], key=lambda entry: entry["state"] == SuppressionState.USED)
    causes = [cause | {"linked": cause["example"]["instance"] in linked} for cause in report["causes"]]
    return {
        "report": report,
        "meanings": MEANING,
        "unread": press("unread", [row for row in report["inputs"] if row["problem"]]),
        "silent": press("silent", _silent(report)),
        "causes": press("cause", causes),
        "states": [state for state in _STANDING if report["counts"]["states"][state]],
        "groups": _groups(audit, press, found, details),
        "rows": rows,
        "runs": press("run", sorted(report["runs"], key=lambda run: Verdict(run["log_verdict"]).rank)),
        "rules": press("rule", _rules(report, found)),
        "coverage": press("coverage", report["fence_coverage"]),
        "inputs": press("input", report["inputs"]),
        "rejects": press("reject", report["rejects"]),
        "suppressions": press("suppression", suppressions),
        "resolved": press("resolved", resolved),
        "overrides": press("override", _set(report["audit"])),
    }


def _set(audit: dict[str, Any]) -> list[str]:
    in_vain = [f"The settings for {pattern} match no workflow." for pattern in audit["unmatched_workflows"]]
    return [*in_vain, *audit["overrides"]]


def _findings(audit: Audit, press: _Press) -> tuple[dict[str, list[Markup]], _Listing, set[str]]:
    """The findings with their timelines by rule, the rows of the others, and the instances on the page."""
    report = audit.report
    every = standing(report)
    chosen = every[:DETAILED]
    windows = Windows.around(audit, chosen)
    workflows = {run["run_id"]: run["workflow"] for run in report["runs"]}
    folded = consequences(report)
    shown = press(
        "finding",
        [
            finding
            | {
                "workflow": workflows.get(finding["run_id"]),
                "open": number < OPEN,
                "pictures": timelines(finding, windows),
                "witness": [_witness(witness, windows) for witness in finding["witness"][:WITNESSES]],
                "witnesses": len(finding["witness"]),
                "explains": folded.get(finding["fingerprint"]["instance"], []),
                "decision": _decision(report, finding),
            }
            for number, finding in enumerate(chosen)
        ],
    )
    details: dict[str, list[Markup]] = {}
    for finding, part in zip(chosen, shown.parts, strict=False):
        details.setdefault(finding["rule"], []).append(part)
    rows = press("row", every[len(shown.parts) :])
    linked = {finding["fingerprint"]["instance"] for finding in every[: len(shown.parts) + len(rows.parts)]}
    return details, _Listing(rows.parts, rows.left + unlisted(report)), linked


def _witness(witness: dict[str, Any], windows: Windows) -> dict[str, Any]:
    event = windows.events.get((witness["run_id"], witness["position"]))
    time = event["created_at"] if event else ""
    return witness | {"time": time, "fence": fence_of(event, windows.fenced) if event else ""}


def _decision(report: dict[str, Any], finding: dict[str, Any]) -> dict[str, Any] | None:
    """The suppression that a finding falls under."""
    at = finding["suppressed_by"]
    return report["suppressions"][at] if at is not None else None


def _groups(
    audit: Audit, press: _Press, found: Sequence[dict[str, Any]], details: dict[str, list[Markup]]
) -> list[dict[str, Any]]:
    """The rules whose findings stand, the worst first, each with its findings and its explanation."""
    rules = {rule["id"]: rule for rule in audit.report["rules"]}
    documents = dict(audit.con.execute("SELECT rule, document FROM rule").fetchall())
    names = [row["rule"] for row in found if row["new"] + row["known"] + row["suppressed"]]
    explained = press("explanation", [documents[name].strip().splitlines() for name in names])
    explanations = dict(zip(names, explained.parts, strict=False))
    return [
        row
        | {
            "title": rules[row["rule"]]["title"],
            "details": details.get(row["rule"], []),
            "explanation": explanations.get(row["rule"], ""),
        }
        for row in found
        if row["rule"] in names
    ]


def _silent(report: dict[str, Any]) -> list[dict[str, Any]]:
    """What was not judged, by its reason: runs, and rules on all runs or on some."""
    runs = [run for run in report["runs"] if run["log_verdict"] == Verdict.CANNOT_TELL]
    rules = report["rules"]
    partly = [rule for rule in rules if rule["outcome"] in (Outcome.HELD, Outcome.FOUND) and rule["skipped_runs"]]
    entries = [
        {"what": f"{many(len(alike), 'run')} cannot be judged", "names": [], "reason": reason}
        for (reason,), alike in grouped(runs, "reason")
    ]
    for outcome, what in ((Outcome.FAILED, "failed"), (Outcome.NOT_EVALUATED, "not evaluated")):
        entries += [
            {"what": what, "names": [rule["id"] for rule in alike], "reason": reason}
            for (reason,), alike in grouped([rule for rule in rules if rule["outcome"] == outcome], "reason")
        ]
    entries += [
        {"what": f"not on {many(skipped, 'run')}", "names": [rule["id"] for rule in alike], "reason": reason}
        for (reason, skipped), alike in grouped(partly, "reason", "skipped_runs")
    ]
    if left_out := report["audit"]["not_selected"]:
        entries.append(
            {
                "what": "not selected",
                "names": left_out,
                "reason": "left out by --select, --ignore or the configuration",
            }
        )
    return entries


def _rules(report: dict[str, Any], found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every rule with its findings by state; those that found something or could not be evaluated first."""
    states = {row["rule"]: row for row in found}
    order = [Outcome.FAILED, Outcome.FOUND, Outcome.NOT_EVALUATED, Outcome.HELD]
    none = dict.fromkeys((state.value for state in FindingState), 0)
    return [
        rule | {"states": states.get(rule["id"], none)}
        for rule in sorted(report["rules"], key=lambda rule: order.index(rule["outcome"]))
    ]

"""What an alert says: `auditor.alert/v1` for a webhook, blocks for Slack.

Everything that comes from a log is untrusted. JSON carries it as it is, cut to a length; in Slack it must neither
call anybody nor pass for a link.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from auditor.alerts.targets import Kind
from auditor.model.judgement import FindingState, Severity
from auditor.report.words import many, plain, short
from auditor.result import Audit

ALERT_SCHEMA = "auditor.alert/v1"

LISTED = 50
"""Findings in the body of a webhook; the others are counted."""
LONGEST = 1000
"""Characters of a string of a log in it."""
SHOWN = 10
"""Findings in a Slack message."""

_BECAUSE, _NAME = 400, 80
"""Characters of a string in a Slack message: escaped it is five times as long at most, a block holds 3,000."""
_WORD_JOINER = "\u2060"


@dataclass(frozen=True, slots=True)
class News:
    """What is worth an alert: the new findings that count for the exit code, or all new ones if none does.

    `findings` are those that the report lists, `total` is how many there are, and `digest` stands for these all.
    """

    report: dict[str, Any]
    findings: list[dict[str, Any]]
    total: int
    digest: str

    @classmethod
    def of(cls, audit: Audit) -> News:
        """The news of an audit."""
        report = audit.report
        fail_on = report["audit"]["fail_on"]
        least = Severity(fail_on).rank if fail_on in list(Severity) else Severity.INFO.rank
        severities = [severity.value for severity in Severity if severity.rank >= least]
        findings = [
            finding
            for finding in report["findings"]
            if finding["state"] == FindingState.NEW and finding["severity"] in severities
        ]
        total = sum(report["counts"]["new"][severity] for severity in severities)
        return cls(report, findings, total, _digest(audit, severities))

    def key(self, kind: Kind) -> str:
        """The same findings have the same key, whenever and wherever they are found: repeats can be dropped."""
        return hashlib.sha256("\x1f".join((ALERT_SCHEMA, kind, self.digest)).encode()).hexdigest()

    def body(self, kind: Kind) -> dict[str, Any]:
        """The body of the request, as JSON."""
        return alert(self) if kind is Kind.WEBHOOK else slack(self)

    def workflow(self, finding: dict[str, Any]) -> str | None:
        """The workflow of the run of a finding."""
        return next((run["workflow"] for run in self.report["runs"] if run["run_id"] == finding["run_id"]), None)


def _digest(audit: Audit, severities: Sequence[str]) -> str:
    """Of the instances of all new findings of these severities: a report lists no more than 1,000 of a rule."""
    ((digest,),) = audit.con.execute(
        """
        SELECT sha256(coalesce(string_agg(instance, ',' ORDER BY instance), ''))
        FROM finding WHERE state = $state AND list_contains($severities, severity)
        """,
        {"state": FindingState.NEW.value, "severities": severities},
    ).fetchall()
    return str(digest)


def alert(news: News) -> dict[str, Any]:
    """`auditor.alert/v1`; its schema is `auditor schema alert`."""
    report = news.report
    counts = report["counts"]
    listed = news.findings[:LISTED]
    return {
        "schema": ALERT_SCHEMA,
        "auditor": report["audit"]["auditor"],
        "audit": report["audit"]["id"],
        "verdict": report["verdict"],
        "exit_code": report["exit_code"],
        "exit_because": _cut(report["exit_because"], LONGEST),
        "counts": {
            "runs": counts["runs"],
            "events": counts["events"],
            "new": counts["new"],
            "known": counts["states"]["known"],
            "suppressed": counts["states"]["suppressed"],
        },
        "findings": [
            {
                "rule": finding["rule"],
                "severity": finding["severity"],
                "confidence": finding["confidence"],
                "run_id": _cut(finding["run_id"], LONGEST),
                "workflow": _cut(news.workflow(finding), LONGEST),
                "because": _cut(finding["because"], LONGEST),
                "fingerprint": finding["fingerprint"],
            }
            for finding in listed
        ],
        "more": news.total - len(listed),
    }


def slack(news: News) -> dict[str, Any]:
    """A message for an incoming webhook of Slack: blocks, and a line for notifications."""
    report = news.report
    shown = news.findings[:SHOWN]
    head = f"{many(news.total, 'new finding')} ({report['verdict'].replace('_', ' ')})"
    numbers = ", ".join(f"{number:,} {severity}" for severity, number in report["counts"]["new"].items() if number)
    read = f"{many(report['counts']['runs'], 'run')}, {many(report['counts']['events'], 'event')}"
    because = f"exit code {report['exit_code']}: {_words(report['exit_because'], _BECAUSE)}"
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": f"auditor: {head}", "emoji": False}},
        _section(f"{numbers} in {read}\n{because}"),
        *(_section(_told(news, finding)) for finding in shown),
    ]
    if news.total > len(shown):
        blocks.append(_section(f"… and {news.total - len(shown):,} more"))
    # Without these Slack would look for names, links and pictures in words that come from a log.
    quiet = {"link_names": False, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}
    return {"text": f"auditor: {head}: {_rules(shown)}", "blocks": blocks, **quiet}


def _rules(findings: Sequence[dict[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(finding["rule"] for finding in findings))


def _told(news: News, finding: dict[str, Any]) -> str:
    place = [_code(name) for name in (finding["run_id"], short(news.workflow(finding))) if name]
    head = f"*{finding['severity'].upper()}*  {_code(finding['rule'])}  {finding['confidence']}"
    lines = [head, *([" ".join(place)] if place else []), _words(finding["because"], _BECAUSE)]
    return "\n".join(lines)


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _code(name: str) -> str:
    return f"`{_words(name, _NAME).replace('`', chr(39))}`"


def _words(text: str, longest: int) -> str:
    """A string of a log that Slack shows and does not act upon: no markup, no mention, no line of its own."""
    shown = plain(_cut(text, longest))
    for sign, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", f"@{_WORD_JOINER}")):
        shown = shown.replace(sign, escaped)
    return shown


def _cut(text: Any, longest: int) -> Any:
    return f"{text[: longest - 1]}…" if text is not None and len(text) > longest else text

"""Event logs in tests: an audit that fails as a test fails, with the proof in its message."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from auditor.config import Config, found
from auditor.errors import UnknownRule
from auditor.model.judgement import ExitCode, FindingState, Severity, Verdict
from auditor.report.notes import notes
from auditor.report.proof import Logs, proof
from auditor.report.standing import standing
from auditor.report.words import many, plain, tally, wrapped
from auditor.result import Audit, audit

SHOWN = 5
"""Findings that a failure shows with their proof; the others are counted."""


class AuditedLog:
    """A log and what its audit says; the fixture `audit_log` makes it. `options` are those of `auditor.audit`.

    Unless `config` is among them, the configuration is the one that `auditor check` finds; None is none at all.
    `findings` are all of them, `report` is the whole `auditor.report/v1`, `audit` the audit itself.
    """

    def __init__(self, path: str | Path, **options: Any) -> None:
        config = options["config"] if "config" in options else found([str(path)])
        self.audit: Audit = audit(path, **{**options, "config": config})
        self._command = shlex.join(["auditor", "check", str(path), *_flags(options)])

    @property
    def report(self) -> dict[str, Any]:
        """The report, as `--format json` prints it."""
        return self.audit.report

    @property
    def verdict(self) -> Verdict:
        """The worst log verdict of its runs."""
        return self.audit.verdict

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What was found, the worst first."""
        return self.audit.findings

    def assert_sound(self) -> None:
        """Fail unless `auditor check` with the same options would exit with 0; the message shows the proof."""
        __tracebackhide__ = True
        if self.audit.exit_code != ExitCode.CLEAN:
            raise AssertionError("\n".join(_failure(self.audit, self._command)))

    def assert_finds(self, rule: str) -> list[dict[str, Any]]:
        """The findings of a rule, folded ones too; fail if there is none. Raises UnknownRule for a wrong name."""
        __tracebackhide__ = True
        found = [finding for finding in self.findings if finding["rule"] == rule]
        if not found:
            raise AssertionError("\n".join(_missing(self.report, rule, self._command)))
        return found


def _failure(audited: Audit, command: str) -> Iterator[str]:
    """A line that says it all, the findings with their proof, what could not be judged, how to see it again."""
    report = audited.report
    new = [finding for finding in standing(report) if finding["state"] == FindingState.NEW]
    total = sum(report["counts"]["new"].values())
    told = f"{many(total, 'new finding')}: {tally(f['rule'] for f in new)}" if new else report["exit_because"]
    yield plain(f"{report['verdict'].replace('_', ' ')} event log: {told}")[:100]
    yield from wrapped(f"exit code {report['exit_code']}: {report['exit_because']}", "")
    titles = {rule["id"]: rule["title"] for rule in report["rules"]}
    logs = Logs.around(audited, new[:SHOWN])
    for finding in new[:SHOWN]:
        yield ""
        yield f"{finding['severity'].upper()}  {finding['rule']}  ({finding['confidence']})"
        yield from wrapped(titles[finding["rule"]], "  ")
        yield from proof(report, logs, finding)
    if total > len(new[:SHOWN]):
        yield ""
        yield f"... and {total - len(new[:SHOWN]):,} more"
    doubts = [note for note in notes(report) if note.severity != Severity.INFO]
    if doubts:
        yield ""
        yield "NOT JUDGED, or only in part"
    for note in doubts:
        yield from wrapped(note.sentence, "  ", "    ")
    yield ""
    yield from _again(command, new[0]["rule"] if new else None)


def _missing(report: dict[str, Any], name: str, command: str) -> Iterator[str]:
    rules = {rule["id"]: rule for rule in report["rules"]}
    if name not in rules and name not in report["audit"]["not_selected"]:
        raise UnknownRule(name, rules)
    outcome = f"{rules[name]['outcome']}".replace("_", " ") if name in rules else "not selected"
    reason = f" ({rules[name]['reason']})" if name in rules and rules[name]["reason"] else ""
    yield plain(f"{name} found nothing: {outcome}{reason}")
    found = tally(finding["rule"] for finding in report["findings"])
    yield from wrapped(f"found: {found or 'nothing'}", "")
    yield ""
    yield from _again(command, name)


def _again(command: str, rule: str | None) -> Iterator[str]:
    yield f"see it again: {plain(command)}"
    if rule is not None:
        yield f"what it means: auditor explain {rule}"


_NONE = {"fail_on": ("--fail-on", "never"), "config": ("--no-config",), "baseline": ("--no-baseline",)}
"""What the command calls it that an option is None."""


def _flags(options: Mapping[str, Any]) -> Iterator[str]:
    """The options as the command takes them; what it cannot take is not there."""
    names = {"fields": "map"}
    for name, value in options.items():
        flag = f"--{names.get(name, name).replace('_', '-')}"
        match value:
            case _ if name in {"save", "suppressions"} or isinstance(value, Config):
                continue
            case None:
                yield from _NONE.get(name, ())
            case bool():
                yield from (flag,) if value else ()
            case dt.datetime():
                yield from (flag, value.isoformat())
            case Mapping():
                yield from (part for column, field in value.items() for part in (flag, f"{column}={field}"))
            case list() | tuple():
                yield from (part for item in value for part in (flag, str(item)))
            case _:
                yield from (flag, str(value))

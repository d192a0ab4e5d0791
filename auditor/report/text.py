"""`text`: what a person reads in a terminal, 80 columns wide.

Everything that comes from a log is untrusted: control characters are replaced before they reach a terminal.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import click

from auditor.model.events import WriteRole
from auditor.model.judgement import Severity, Verdict
from auditor.result import Audit

WIDTH = 80
SHOWN_EACH = 2
"""Findings of one rule and one pattern shown with their log; the others are counted."""
SHOWN_RUNS = 20
CONTEXT = 1
"""Events shown before and after each witness."""

_MEANING = {
    Verdict.CORRUPT: "an error is proven: do not trust or replay this history",
    Verdict.CANNOT_TELL: "the log does not hold enough to judge",
    Verdict.SUSPECT: "something is odd, nothing is proven",
    Verdict.SOUND: "no rule that could be evaluated found anything against it",
}
_LEGEND = (
    "How to read a proof: #7 is the 7th event of its run; > marks the events that prove the finding; step#3 is "
    "the step that drew the run's id number 3 (counted from 0); [#5] means that the write was sent on condition "
    "that the log ended at #5, [-] that it was sent without one."
)
_ASIDE = {"merged": "repeated row", "skipped": "other file"}
_COLOUR = {
    "error": "red",
    "warning": "yellow",
    "info": "blue",
    "corrupt": "red",
    "cannot_tell": "magenta",
    "suspect": "yellow",
    "sound": "green",
}


def render(audit: Audit, *, colour: bool = False) -> str:
    """The report as text; `colour` adds ANSI colours to severities and verdicts, never meaning."""
    paint = _Paint(colour)
    report = audit.report
    sections = [
        _head(report, paint),
        _findings(audit, paint),
        _notes(report, paint),
        _runs(report, paint),
        _coverage(report),
        _not_evaluated(report),
        _inputs(report),
        _foot(report),
    ]
    return "\n".join("\n".join(lines) + "\n" for section in sections if (lines := list(section)))


def plain(text: Any) -> str:
    """A string from a log, safe for a terminal: control characters and line breaks become a visible mark."""
    return "".join(c if c.isprintable() else "\ufffd" for c in str(text))


class _Paint:
    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def __call__(self, text: str, word: str) -> str:
        return click.style(text, fg=_COLOUR[word], bold=True) if self._colour else text


def _head(report: dict[str, Any], paint: _Paint) -> Iterator[str]:
    counts = report["counts"]
    read = ", ".join(
        _many(counts[key], noun)
        for key, noun in (("runs", "run"), ("events", "event"), ("refusals", "refusal"))
        if counts[key] or key != "refusals"
    )
    yield f"auditor {report['audit']['auditor']}: {read} from {_many(len(report['inputs']), 'input')}"
    yield ""
    for verdict, number in counts["verdicts"].items():
        if number or verdict in (Verdict.CORRUPT, Verdict.SOUND):
            word = verdict.replace("_", " ")
            yield f"{number:>7}  {paint(f'{word:<11}', verdict)}  {_MEANING[Verdict(verdict)]}"
    for row in report["inputs"]:
        if row["problem"]:
            yield from _wrapped(f"! {plain(row['path'])} {plain(row['problem'])}", "", "  ")
    if counts["findings"]["error"] + counts["findings"]["warning"]:
        yield ""
        yield from _wrapped(_LEGEND, "")


def _findings(audit: Audit, paint: _Paint) -> Iterator[str]:
    """Errors and warnings by rule, the rule that explains most first, each with the log around its witness."""
    standing = [
        finding
        for finding in audit.report["findings"]
        if finding["folded_under"] is None and finding["severity"] != Severity.INFO
    ]
    titles = {rule["id"]: rule["title"] for rule in audit.report["rules"]}
    alikes = (alike for _, alike in _grouped(standing, "severity", "rule", "pattern"))
    logs = _Logs.around(audit, [finding for alike in alikes for finding in alike[:SHOWN_EACH]])
    for (severity, rule), group in _by_weight(audit.report, standing):
        yield "-" * WIDTH
        yield f"{paint(severity.upper(), severity)}  {rule}  ({group[0]['confidence']})"
        yield from _wrapped(titles[rule], "  ")
        runs = len({finding["run_id"] for finding in group if finding["run_id"]})
        yield f"  {_many(len(group), 'finding')} in {_many(runs, 'run')}"
        for _, alike in _grouped(group, "pattern"):
            for finding in alike[:SHOWN_EACH]:
                yield ""
                yield from _finding(audit.report, logs, finding)
            if len(alike) > SHOWN_EACH:
                yield ""
                yield f"  ... and {len(alike) - SHOWN_EACH} more of the same pattern"


def _by_weight(report: dict[str, Any], findings: Sequence[dict[str, Any]]) -> list[tuple[Any, Any]]:
    """Findings by severity and rule; within a severity, those that explain most others first."""
    folded = Counter(finding["folded_under"] for finding in report["findings"])

    def weight(group: tuple[Any, list[dict[str, Any]]]) -> tuple[int, int, str]:
        (severity, rule), rows = group
        explained = sum(folded[row["fingerprint"]["instance"]] for row in rows)
        return -Severity(severity).rank, -explained, rule

    return sorted(_grouped(findings, "severity", "rule"), key=weight)


@dataclass(frozen=True, slots=True)
class _Logs:
    """What the findings that are shown need of the log: the events around their witnesses, and the workflows."""

    events: dict[tuple[str, int], dict[str, Any]]
    workflows: dict[str, str | None]

    @classmethod
    def around(cls, audit: Audit, findings: Sequence[dict[str, Any]]) -> _Logs:
        places: dict[str, set[int]] = {}
        for witness in (witness for finding in findings for witness in finding["witness"]):
            if witness["position"] is not None:
                places.setdefault(witness["run_id"], set()).update(_window(witness["position"]))
        return cls(
            {(run_id, row["position"]): row for run_id, rows in audit.events(places).items() for row in rows},
            {run["run_id"]: run["workflow"] for run in audit.report["runs"]},
        )


def _window(position: int) -> range:
    return range(position - CONTEXT, position + CONTEXT + 1)


def _finding(report: dict[str, Any], logs: _Logs, finding: dict[str, Any]) -> Iterator[str]:
    if finding["run_id"] is not None:
        workflow = logs.workflows[finding["run_id"]]
        yield f"  run {plain(finding['run_id'])}  {plain(_short(workflow))}".rstrip()
        yield from _wrapped(f"in {plain(_export(finding['witness'][0]))}", "      ", "         ")
    yield from _wrapped(finding["because"], "  ")
    yield ""
    witnesses: dict[str, dict[int, str]] = {}
    for witness in finding["witness"]:
        if witness["position"] is not None:
            witnesses.setdefault(witness["run_id"], {})[witness["position"]] = witness["role"]
    for run_id, roles in witnesses.items():
        if run_id != finding["run_id"]:
            yield f"    run {plain(run_id)}"
        yield from _log(logs, run_id, roles)
    for witness in finding["witness"]:
        if witness["position"] is None:
            yield f"  > {witness['record']} of {plain(witness['entity'])}: {witness['role']}"
    yield from _places(finding["witness"])
    folded = [f["rule"] for f in report["findings"] if f["folded_under"] == finding["fingerprint"]["instance"]]
    if folded:
        yield from _wrapped(f"explains {_many(len(folded), 'more finding')}: {_tally(folded)}", "    ")


def _export(witness: dict[str, Any]) -> str:
    """The log that a witness is part of: its file, or the folder that holds its `events/`."""
    if witness["line"] is not None:
        return str(witness["source"])
    folder = PurePosixPath(witness["source"]).parent.parent
    return folder.as_posix() if folder.name else str(witness["source"])


def _log(logs: _Logs, run_id: str, roles: dict[int, str]) -> Iterator[str]:
    """The log around the witnesses; a `>` marks each of them and says what it shows."""
    wanted = sorted({place for at in roles for place in _window(at)})
    events = [logs.events[run_id, at] for at in wanted if (run_id, at) in logs.events]
    fenced = any(event["fence_kind"] for event in events)
    last = None
    for event in events:
        at = event["position"]
        if last is not None and at > last + 1:
            yield "         ..."
        last = at
        time = event["created_at"].strftime("%H:%M:%S.%f")[:12] if event["created_at"] else ""
        mark = ">" if at in roles else " "
        line = f"  {mark} #{at:<4} {time:<12} {plain(event['event_type']):<14} {plain(event['entity']):<8}"
        fence = f" {_fence(event):<6}" if fenced else ""
        name = f" ({plain(event['step_name']).rsplit('//', 1)[-1]})" if event["step_name"] else ""
        yield f"{line}{fence} {roles.get(at, '')}{name}"[:WIDTH].rstrip()


def _fence(event: dict[str, Any]) -> str:
    if event["fence_kind"] == "unfenced" or event["fence_kind"] is None:
        return "[-]" if event["role"] == WriteRole.DECISION or event["fence_kind"] else ""
    return f"[#{event['known']}]" if event["known"] is not None else "[?]"


def _places(witnesses: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Where the witnesses stand in what was read: ids, and file and line where a file holds many of them."""
    yield ""
    for witness in sorted(witnesses, key=lambda row: (row["run_id"] or "", row["position"] or 0)):
        ids = [plain(name) for name in (witness["event_id"], witness["correlation_id"]) if name]
        place = [f"{plain(witness['source'])}:{witness['line']}"] if witness["line"] is not None else []
        label = f"#{witness['position']}" if witness["position"] is not None else witness["record"]
        yield from _wrapped(f"{label:<4} {' '.join(ids + place)}", "    ", hanging="         ")


def _notes(report: dict[str, Any], paint: _Paint) -> Iterator[str]:
    """Findings of severity info: a line a rule."""
    notes = [f for f in report["findings"] if f["folded_under"] is None and f["severity"] == Severity.INFO]
    if not notes:
        return
    yield "-" * WIDTH
    yield f"{paint('INFO', 'info')}  worth knowing, no harm by itself"
    titles = {rule["id"]: rule["title"] for rule in report["rules"]}
    for (rule,), group in _grouped(notes, "rule"):
        runs = len({finding["run_id"] for finding in group if finding["run_id"]})
        text = f"{rule}: {titles[rule]} ({_many(len(group), 'finding')}, {_many(runs, 'run')})"
        yield from _wrapped(text, "  ", hanging="    ")


def _runs(report: dict[str, Any], paint: _Paint) -> Iterator[str]:
    runs = sorted(report["runs"], key=lambda run: (Verdict(run["log_verdict"]).rank, run["run_id"]))
    shown = [run for run in runs if run["log_verdict"] != Verdict.SOUND or len(runs) <= SHOWN_RUNS]
    if not shown:
        return
    yield "-" * WIDTH
    yield "RUNS" + (f"  ({len(runs) - len(shown)} sound ones not shown)" if len(shown) < len(runs) else "")
    for run in shown[:SHOWN_RUNS]:
        verdict = run["log_verdict"]
        word = paint(f"{verdict.replace('_', ' '):<11}", verdict)
        yield f"  {word}  {plain(run['run_id']):<32} {plain(_short(run['workflow']))}".rstrip()
        because = "" if verdict == Verdict.SOUND else f"; because: {run['reason']}"
        yield from _wrapped(f"{_runtime(run)}{because}", " " * 15)
    if len(shown) > SHOWN_RUNS:
        yield f"  ... and {len(shown) - SHOWN_RUNS} more; `--report json=PATH` has them all"


def _short(workflow: str | None) -> str:
    """The SDK names a workflow by its module and function; a person knows it by the function."""
    return (workflow or "").rsplit("//", 1)[-1]


def _runtime(run: dict[str, Any]) -> str:
    if run["runtime_verdict"] == "none":
        return "runtime: still running"
    return f"runtime: {run['runtime_verdict']}"


def _coverage(report: dict[str, Any]) -> Iterator[str]:
    if not report["fence_coverage"]:
        return
    yield "-" * WIDTH
    yield "FENCE COVERAGE of decision writes"
    yield f"  {'event type':<16} {'writes':>7} {'fenced':>7} {'unfenced':>9} {'dropped':>8}"
    for row in report["fence_coverage"]:
        yield (
            f"  {plain(row['event_type']):<16} {row['writes']:>7} {row['fenced']:>7}"
            f" {row['unfenced']:>9} {row['dropped']:>8}"
        )


def _not_evaluated(report: dict[str, Any]) -> Iterator[str]:
    silent = [rule for rule in report["rules"] if rule["outcome"] in ("not_evaluated", "failed")]
    partly = [rule for rule in report["rules"] if rule["outcome"] in ("held", "found") and rule["skipped_runs"]]
    left_out = report["audit"]["not_selected"]
    if not report["runs"] or not (silent or partly or left_out):
        return
    yield "-" * WIDTH
    yield "NOT EVALUATED"
    for (reason, _), rules in _grouped(silent, "reason", "outcome"):
        names = ", ".join(rule["id"] for rule in rules)
        yield from _wrapped(
            f"{names}: {'failed: ' if rules[0]['outcome'] == 'failed' else ''}{reason}", "  ", "    "
        )
    for (reason, skipped), rules in _grouped(partly, "reason", "skipped_runs"):
        names = ", ".join(rule["id"] for rule in rules)
        runs = f"{skipped} of {skipped + rules[0]['evaluated_runs']} runs"
        yield from _wrapped(f"{names}: not on {runs}: {reason}", "  ", "    ")
    if left_out:
        yield from _wrapped(f"left out by --select or --ignore: {', '.join(left_out)}", "  ", "    ")


def _inputs(report: dict[str, Any]) -> Iterator[str]:
    yield "-" * WIDTH
    yield "INPUTS"
    for row in report["inputs"]:
        facts = [_many(row["events"], "event")]
        facts += [_many(row["refusals"], "refusal")] if row["refusals"] else []
        facts += [f"{_many(row[key], noun)}" for key, noun in _ASIDE.items() if row[key]]
        facts += [_many(row["rejects"], "unreadable row")] if row["rejects"] else []
        kind = f" ({row['format']})" if row["format"] else ""
        yield from _wrapped(f"{plain(row['path'])}{kind}: {', '.join(facts)}", "  ", "    ")
    for reject in report["rejects"][:SHOWN_RUNS]:
        line = f":{reject['line']}" if reject["line"] is not None else ""
        yield from _wrapped(f"! {plain(reject['source'])}{line}: {plain(reject['reason'])}", "    ", "      ")
    if len(report["rejects"]) > SHOWN_RUNS:
        yield f"    ! ... and {len(report['rejects']) - SHOWN_RUNS} more unreadable rows"
    now = report["audit"]["now"]
    if now is None:
        return
    latest = "" if report["audit"]["now_source"] == "--now" else "; the latest of these is"
    yield from _wrapped(f"overdue is measured at {report['audit']['now_source']}{latest} {now}", "  ", "    ")


def _foot(report: dict[str, Any]) -> Iterator[str]:
    yield "-" * WIDTH
    yield from _wrapped(f"exit code {report['exit_code']}: {report['exit_because']}", "")
    shown = [f for f in report["findings"] if f["folded_under"] is None]
    if shown:
        (_, rule), _ = _by_weight(report, shown)[0]
        yield f"auditor explain {rule}: what it means, what to do"


def _grouped(rows: Sequence[dict[str, Any]], *keys: str) -> Iterator[tuple[tuple[Any, ...], list[dict[str, Any]]]]:
    """Rows by the values of some keys, in order of first appearance."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        key = tuple(row["fingerprint"]["pattern"] if name == "pattern" else row[name] for name in keys)
        groups.setdefault(key, []).append(row)
    yield from groups.items()


def _wrapped(text: str, indent: str, hanging: str | None = None) -> list[str]:
    lines = textwrap.wrap(
        plain(text),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=hanging or indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return lines or [""]


def _tally(names: Iterable[str]) -> str:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{name} x{number}" if number > 1 else name for name, number in counts.items())


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

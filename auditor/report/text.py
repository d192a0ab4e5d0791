"""`text`: what a person reads in a terminal, 80 columns wide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

import click

from auditor.model.judgement import FindingState, Severity, Verdict
from auditor.report.decided import decided
from auditor.report.proof import Logs, proof
from auditor.report.words import MEANING, WIDTH, grouped, many, plain, short, wrapped
from auditor.result import Audit

SHOWN_EACH = 2
"""Findings of one cause and one pattern shown with their log; the others are counted."""
SHOWN_CAUSE = 4
"""Findings of one cause shown with their log."""
SHOWN_RUNS = 20

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
        _causes(report, paint),
        _findings(audit, paint),
        _notes(report, paint),
        decided(audit),
        _runs(report, paint),
        _coverage(report),
        _not_evaluated(report),
        _inputs(report),
        _foot(report),
    ]
    return "\n".join("\n".join(lines) + "\n" for section in sections if (lines := list(section)))


class _Paint:
    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def __call__(self, text: str, word: str) -> str:
        return click.style(text, fg=_COLOUR[word], bold=True) if self._colour else text


def _head(report: dict[str, Any], paint: _Paint) -> Iterator[str]:
    counts = report["counts"]
    read = ", ".join(
        many(counts[key], noun)
        for key, noun in (("runs", "run"), ("events", "event"), ("refusals", "refusal"))
        if counts[key] or key != "refusals"
    )
    yield f"auditor {report['audit']['auditor']}: {read} from {many(len(report['inputs']), 'input')}"
    yield ""
    for verdict, number in counts["verdicts"].items():
        if number or verdict in (Verdict.CORRUPT, Verdict.SOUND):
            word = verdict.replace("_", " ")
            yield f"{number:>7}  {paint(f'{word:<11}', verdict)}  {MEANING[Verdict(verdict)]}"
    for row in report["inputs"]:
        if row["problem"]:
            yield from wrapped(f"! {plain(row['path'])} {plain(row['problem'])}", "", "  ")
    states = counts["states"]
    if states["known"] or states["suppressed"]:
        yield ""
        yield f"findings: {', '.join(f'{number:,} {state}' for state, number in states.items())}"
    if counts["new"]["error"] + counts["new"]["warning"]:
        yield ""
        yield from wrapped(_LEGEND, "")


def _causes(report: dict[str, Any], paint: _Paint) -> Iterator[str]:
    """What several runs have in common; what happened in one run is below, with its proof."""
    news = {finding["fingerprint"]["pattern"] for finding in _new(report)}
    shared = [
        cause
        for cause in report["causes"]
        if cause["runs"] > 1 and cause["severity"] != Severity.INFO and not news.isdisjoint(cause["patterns"])
    ]
    if not shared:
        return
    yield "-" * WIDTH
    yield "CAUSES that several runs share"
    for cause in shared[:SHOWN_RUNS]:
        severity = cause["severity"]
        first, *others = wrapped(cause["diagnosis"], " " * 11)
        yield f"  {paint(f'{severity:<8}', severity)} {first.lstrip()}"
        yield from others
        since = f" since {cause['first_at'][:19].replace('T', ' ')}" if cause["first_at"] else ""
        more = f", explaining {cause['consequences']:,} more" if cause["consequences"] else ""
        example = f", e.g. {cause['example']['run_id']}" if cause["example"]["run_id"] else ""
        yield from wrapped(
            f"{many(cause['findings'], 'finding')} in {cause['runs']:,} of {many(cause['all_runs'], 'run')}"
            f"{since}{more}; {cause['rule']}{example}",
            " " * 11,
        )
    if len(shared) > SHOWN_RUNS:
        yield f"  ... and {len(shared) - SHOWN_RUNS} more; `--report json=PATH` has them all"


def _findings(audit: Audit, paint: _Paint) -> Iterator[str]:
    """New errors and warnings by rule, the rule that explains most first, each with the log around its witness."""
    causes = audit.report["causes"]
    cause_of = {pattern: no for no, cause in enumerate(causes) for pattern in cause["patterns"]}
    standing = [
        finding | {"cause": cause_of[finding["fingerprint"]["pattern"]]}
        for finding in _new(audit.report)
        if finding["severity"] != Severity.INFO
    ]
    titles = {rule["id"]: rule["title"] for rule in audit.report["rules"]}
    alikes = (alike for _, alike in grouped(standing, "severity", "rule", "cause"))
    logs = Logs.around(audit, [finding for alike in alikes for finding in _examples(alike)])
    for (severity, rule), group in _by_weight(audit.report, standing):
        yield "-" * WIDTH
        yield f"{paint(severity.upper(), severity)}  {rule}  ({group[0]['confidence']})"
        yield from wrapped(titles[rule], "  ")
        runs = len({finding["run_id"] for finding in group if finding["run_id"]})
        yield f"  {many(len(group), 'finding')} in {many(runs, 'run')}{_uncounted(audit.report, rule)}"
        for _, alike in grouped(group, "cause"):
            examples = _examples(alike)
            for finding in examples:
                yield ""
                yield from proof(audit.report, logs, finding)
            if len(alike) > len(examples):
                yield ""
                yield f"  ... and {len(alike) - len(examples)} more of the same cause"


def _uncounted(report: dict[str, Any], rule: str) -> str:
    """Of a rule only so many findings keep their witnesses."""
    (found,) = (row["findings"] for row in report["rules"] if row["id"] == rule)
    more = found - sum(finding["rule"] == rule for finding in report["findings"])
    return f"; {more:,} more are only counted" if more else ""


def _examples(alike: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the findings of one cause those to show: one of each pattern first."""
    seen: Counter[str] = Counter()
    turns = []
    for finding in alike:
        pattern = finding["fingerprint"]["pattern"]
        if seen[pattern] < SHOWN_EACH:
            turns.append((seen[pattern], finding))
        seen[pattern] += 1
    return [finding for _, finding in sorted(turns, key=itemgetter(0))[:SHOWN_CAUSE]]


def _by_weight(report: dict[str, Any], findings: Sequence[dict[str, Any]]) -> list[tuple[Any, Any]]:
    """Findings by severity and rule; within a severity, those that explain most others first."""
    folded = Counter(finding["folded_under"] for finding in report["findings"])

    def weight(group: tuple[Any, list[dict[str, Any]]]) -> tuple[int, int, str]:
        (severity, rule), rows = group
        explained = sum(folded[row["fingerprint"]["instance"]] for row in rows)
        return -Severity(severity).rank, -explained, rule

    return sorted(grouped(findings, "severity", "rule"), key=weight)


def _notes(report: dict[str, Any], paint: _Paint) -> Iterator[str]:
    """Findings of severity info: a line a rule."""
    notes = [finding for finding in _new(report) if finding["severity"] == Severity.INFO]
    if not notes:
        return
    yield "-" * WIDTH
    yield f"{paint('INFO', 'info')}  worth knowing, no harm by itself"
    titles = {rule["id"]: rule["title"] for rule in report["rules"]}
    for (rule,), group in grouped(notes, "rule"):
        runs = len({finding["run_id"] for finding in group if finding["run_id"]})
        text = f"{rule}: {titles[rule]} ({many(len(group), 'finding')}, {many(runs, 'run')})"
        yield from wrapped(text, "  ", hanging="    ")


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
        yield f"  {word}  {plain(run['run_id']):<32} {plain(short(run['workflow']))}".rstrip()
        because = "" if verdict == Verdict.SOUND else f"; because: {run['reason']}"
        yield from wrapped(f"{_runtime(run)}{because}", " " * 15)
    if len(shown) > SHOWN_RUNS:
        yield f"  ... and {len(shown) - SHOWN_RUNS} more; `--report json=PATH` has them all"


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
    for (reason, _), rules in grouped(silent, "reason", "outcome"):
        names = ", ".join(rule["id"] for rule in rules)
        yield from wrapped(
            f"{names}: {'failed: ' if rules[0]['outcome'] == 'failed' else ''}{reason}", "  ", "    "
        )
    for (reason, skipped), rules in grouped(partly, "reason", "skipped_runs"):
        names = ", ".join(rule["id"] for rule in rules)
        runs = f"{skipped} of {skipped + rules[0]['evaluated_runs']} runs"
        yield from wrapped(f"{names}: not on {runs}: {reason}", "  ", "    ")
    if left_out:
        yield from wrapped(
            f"left out by --select, --ignore or the configuration: {', '.join(left_out)}", "  ", "    "
        )


def _inputs(report: dict[str, Any]) -> Iterator[str]:
    yield "-" * WIDTH
    yield "INPUTS"
    for row in report["inputs"]:
        facts = [many(row["events"], "event")]
        facts += [many(row["refusals"], "refusal")] if row["refusals"] else []
        facts += [f"{many(row[key], noun)}" for key, noun in _ASIDE.items() if row[key]]
        facts += [many(row["rejects"], "unreadable row")] if row["rejects"] else []
        kind = f" ({row['format']})" if row["format"] else ""
        yield from wrapped(f"{plain(row['path'])}{kind}: {', '.join(facts)}", "  ", "    ")
    for reject in report["rejects"][:SHOWN_RUNS]:
        line = f":{reject['line']}" if reject["line"] is not None else ""
        yield from wrapped(f"! {plain(reject['source'])}{line}: {plain(reject['reason'])}", "    ", "      ")
    if len(report["rejects"]) > SHOWN_RUNS:
        yield f"    ! ... and {len(report['rejects']) - SHOWN_RUNS} more unreadable rows"
    now = report["audit"]["now"]
    if now is None:
        return
    latest = "" if report["audit"]["now_source"] == "--now" else "; the latest of these is"
    yield from wrapped(f"overdue is measured at {report['audit']['now_source']}{latest} {now}", "  ", "    ")


def _foot(report: dict[str, Any]) -> Iterator[str]:
    yield "-" * WIDTH
    yield from wrapped(f"exit code {report['exit_code']}: {report['exit_because']}", "")
    if new := _new(report):
        (_, rule), _ = _by_weight(report, new)[0]
        yield f"auditor explain {rule}: what it means, what to do"


def _new(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [finding for finding in report["findings"] if finding["state"] == FindingState.NEW]

"""`markdown`: for a comment on a pull request or the summary of a CI job, in GitHub Flavored Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape as html_escape
from itertools import accumulate, chain
from typing import Any

from auditor.model.judgement import Outcome, Severity, SuppressionState, Verdict
from auditor.report.notes import configured
from auditor.report.proof import Logs, log_around
from auditor.report.standing import at, consequences, place, standing, states_of_rules, unlisted
from auditor.report.words import MEANING, grouped, many, plain, short, tally
from auditor.result import Audit

SHOWN = 10
"""Findings shown with the log around their witnesses; the others are counted."""
LISTED = 20
"""Entries of any other list."""
LONGEST = 1_000
"""Characters of a string from a log."""

_REFERENCE = re.compile(r"(?<=[@#$:])|(?<=\bwww)(?=\.)|(?<=\bgh)(?=-)", re.IGNORECASE)
"""Behind what begins a mention, a reference to an issue, a formula, an emoji, the scheme of a link or a host."""
_PARTING = "\u200b"
_ESCAPED = str.maketrans(
    {character: f"\\{character}" for character in r"\`*_{}[]<>#+-.!|~&@$:=^"} | {_PARTING: "&#8203;"}
)


def text(string: Any) -> str:
    """A string from a log within a line of prose: no markup, and nothing that a forge turns into a link.

    A backslash holds until the Markdown is parsed; mentions and references are looked for afterwards, so what
    begins one is parted from the rest by a space of no width.
    """
    return _REFERENCE.sub(_PARTING, _cut(string)).translate(_ESCAPED)


def code(string: Any) -> str:
    """A string from a log as it is, to be copied: a code span with a fence that the string does not hold."""
    inside = _cut(string)
    fence = "`" * (_longest_run(inside) + 1)
    room = " " if inside[:1] in ("`", " ") or inside[-1:] in ("`", " ") else ""
    return f"{fence}{room}{inside}{room}{fence}"


def block(lines: Iterable[str]) -> str:
    """Lines as they are: a code block with a fence that none of them holds."""
    inside = [_cut(line) for line in lines]
    fence = "`" * max(3, _longest_run("\n".join(inside)) + 1)
    return "\n".join([f"{fence}text", *inside, fence])


def _cut(string: Any) -> str:
    shown = plain(string)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"


def _longest_run(string: str) -> int:
    return max((len(run) for run in re.findall("`+", string)), default=0)


def render(audit: Audit, *, limit: int | None = None) -> str:
    """The report as Markdown, the verdict first. Longer than `limit` bytes, it is cut between two paragraphs."""
    report = audit.report
    paragraphs = chain(
        _head(report),
        _configured(report),
        _rules(audit),
        _causes(report),
        _unjudged(report),
        _decisions(report),
        _findings(audit),
        _rejects(report),
    )
    blocks = [f"{paragraph}\n" for paragraph in paragraphs]
    return "\n".join(blocks if limit is None else _within(blocks, limit))


def _within(blocks: Sequence[str], limit: int) -> Sequence[str]:
    """As many blocks as fit, and a sentence about the others. A block holds all of what it opens."""
    ends = list(accumulate(len(part.encode()) + 1 for part in blocks))
    if ends[-1] - 1 <= limit:
        return blocks
    for kept in range(len(blocks) - 1, -1, -1):
        left = many(len(blocks) - kept, "more paragraph")
        said = f"*Cut here: {left} would not fit in {limit:,} bytes.*\n"
        if (ends[kept - 1] if kept else 0) + len(said.encode()) <= limit:
            return [*blocks[:kept], said]
    return []


def _head(report: dict[str, Any]) -> Iterator[str]:
    verdict = Verdict(report["verdict"])
    yield f"**{verdict.replace('_', ' ')}**, exit code {report['exit_code']}: {text(report['exit_because'])}"
    counts = report["counts"]
    runs = ", ".join(
        f"{number:,} {name.replace('_', ' ')}" for name, number in counts["verdicts"].items() if number
    )
    new = ", ".join(f"{number:,} {severity}" for severity, number in counts["new"].items() if number)
    yield (
        f"{many(counts['runs'], 'run')} ({runs or 'none'}) and {many(counts['events'], 'event')}"
        f" from {many(len(report['inputs']), 'input')}; new findings: {new or 'none'}."
        f" *{verdict.replace('_', ' ')}*: {MEANING[verdict]}."
    )


def _configured(report: dict[str, Any]) -> Iterator[str]:
    lines = [
        f"{_names(note.rules)}: {text(note.text)}" if note.rules else text(note.text)
        for note in configured(report)
    ]
    if lines:
        yield _listed("Configured", lines)


def _unjudged(report: dict[str, Any]) -> Iterator[str]:
    lines = [
        f"{code(row['path'])} could not be read: {text(row['problem'])}"
        for row in report["inputs"]
        if row["problem"]
    ]
    runs = [run for run in report["runs"] if run["log_verdict"] == Verdict.CANNOT_TELL]
    lines += [f"run {code(run['run_id'])} cannot be judged: {text(run['reason'])}" for run in runs[:LISTED]]
    lines += _more(runs, "run")
    for outcome, words in ((Outcome.FAILED, "failed"), (Outcome.NOT_EVALUATED, "not evaluated")):
        rules = [rule for rule in report["rules"] if rule["outcome"] == outcome]
        for (reason,), alike in grouped(rules, "reason"):
            lines.append(f"{words}: {_names(rule['id'] for rule in alike)}: {text(reason)}")
    if lines:
        yield _listed("Not judged", lines)


def _rules(audit: Audit) -> Iterator[str]:
    rows = states_of_rules(audit)
    if not rows:
        return
    yield "\n".join(
        [
            "| rule | severity | new | known | suppressed | folded |",
            "| :--- | :------- | --: | ----: | ---------: | -----: |",
            *(
                f"| {code(row['rule'])} | {row['severity']} | {row['new']:,} | {row['known']:,}"
                f" | {row['suppressed']:,} | {row['folded']:,} |"
                for row in rows
            ),
        ]
    )


def _causes(report: dict[str, Any]) -> Iterator[str]:
    shared = [cause for cause in report["causes"] if cause["runs"] > 1 and cause["severity"] != Severity.INFO]
    lines = [
        f"**{cause['severity']}** {text(cause['diagnosis'])} {many(cause['findings'], 'finding')} in"
        f" {cause['runs']:,} of {many(cause['all_runs'], 'run')}; {code(cause['rule'])}"
        for cause in shared[:LISTED]
    ]
    if lines:
        yield _listed("Causes that several runs share", [*lines, *_more(shared, "cause")])


def _findings(audit: Audit) -> Iterator[str]:
    every = standing(audit.report)
    shown = [f for f in every if f["severity"] != Severity.INFO and f["state"] in ("new", "known")][:SHOWN]
    if shown:
        yield "### Findings"
    logs = Logs.around(audit, shown)
    folded = consequences(audit.report)
    for finding in shown:
        yield "\n\n".join(_finding(finding, logs, folded.get(finding["fingerprint"]["instance"], [])))
    left = len(every) - len(shown) + unlisted(audit.report)
    if left:
        yield f"{many(left, 'more finding')} not shown here; `--report html=PATH` or `json=PATH` has more."


def _finding(finding: dict[str, Any], logs: Logs, folded: Sequence[str]) -> Iterator[str]:
    workflow = short(logs.workflows.get(finding["run_id"]))
    subject = f" <code>{_markup(finding['run_id'])}</code>" if finding["run_id"] is not None else ""
    subject += f" <code>{_markup(workflow)}</code>" if workflow else ""
    title = f"<b>{finding['severity']}</b> <code>{finding['rule']}</code>{subject}"
    yield f"<details>\n<summary>{finding['state']} {title}</summary>"
    yield text(finding["because"])
    yield block(log_around(logs, finding))
    yield "\n".join(_witnesses(finding["witness"]))
    if folded:
        yield f"Explains {many(len(folded), 'more finding')}: {text(tally(folded))}."
    yield f"instance {code(finding['fingerprint']['instance'])}, pattern {code(finding['fingerprint']['pattern'])}"
    yield "</details>"


def _witnesses(witnesses: Sequence[dict[str, Any]]) -> Iterator[str]:
    for witness in witnesses[:LISTED]:
        ids = [code(name) for name in (witness["event_id"], witness["correlation_id"]) if name]
        label = f"position {witness['position']}" if witness["position"] is not None else witness["record"]
        yield f"- {label}, {text(witness['role'])}: {' '.join([*ids, code(place(witness))])}"
    yield from (f"- {line}" for line in _more(witnesses, "record"))


def _decisions(report: dict[str, Any]) -> Iterator[str]:
    """What is not there any more of the baseline, and decisions that decide nothing."""
    resolved = report["baseline"]["resolved"] if report["baseline"] else []
    if resolved:
        lines = [
            f"{code(entry['rule'])} {entry['missing']:,} less: {text(entry['message'])}"
            f" ({code(entry['fingerprint'])})"
            for entry in resolved[:LISTED]
        ]
        yield _listed("Resolved since the baseline", [*lines, *_more(resolved, "entry", "entries")])
    idle = [entry for entry in report["suppressions"] if entry["state"] != SuppressionState.USED]
    if idle:
        lines = [
            f"{entry['state']}: {code(entry['rule'])} {text(entry['reason'])}"
            + (f" (until {text(entry['expires'])})" if entry["expires"] else "")
            for entry in idle[:LISTED]
        ]
        yield _listed("Suppressions that suppress nothing", [*lines, *_more(idle, "suppression")])


def _rejects(report: dict[str, Any]) -> Iterator[str]:
    rejects = report["rejects"]
    if rejects:
        lines = [f"{code(at(row['source'], row['line']))}: {text(row['reason'])}" for row in rejects[:LISTED]]
        yield _listed("Unreadable rows", [*lines, *_more(rejects, "row")])


def _listed(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"### {title}", "", *(f"- {line}" for line in lines)])


def _more(rows: Sequence[Any], noun: str, plural: str | None = None) -> list[str]:
    left = len(rows) - LISTED
    return [f"and {many(left, f'more {noun}', plural and f'more {plural}')}"] if left > 0 else []


def _names(names: Iterable[str]) -> str:
    return ", ".join(code(name) for name in names)


def _markup(string: Any) -> str:
    """A string from a log inside HTML of ours, where Markdown is not parsed."""
    return html_escape(_cut(string))

"""`auditor rules test`: rules of your own on their samples."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from auditor.check.catalogue import load
from auditor.check.custom import ask
from auditor.check.header import Rule
from auditor.check.samples import Promise, kind_of, kinds_of, promise_of, samples_of
from auditor.check.sandbox import Limits
from auditor.cli.rules_new import DEFAULT_FOLDER, sample_log
from auditor.model.judgement import ExitCode, Outcome
from auditor.report.machine import as_json
from auditor.report.words import many, plain, quiet
from auditor.result import Audit, audit

_SHOWN = 3


@click.command(short_help="Test your rules on their samples.")
@click.argument("folder", type=click.Path(path_type=Path), default=DEFAULT_FOLDER, metavar="[DIR]")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", help="Output format.")
@click.option(
    "--rule-timeout",
    "seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=Limits().seconds,
    show_default=True,
    metavar="SECONDS",
    help="How long a rule may take on a sample.",
)
def test(folder: Path, format_: str, seconds: float) -> int:
    """Evaluate every rule in DIR (by default audit-rules) on the samples beside it.

    `<rule-id>.samples/` holds logs: in `fires-*` the rule finds something (in `fires-info-*` of that severity), in
    `holds-*`, a near miss, it does not, and on `cannot-tell-*` it is not evaluated for want of what it `needs`.

    \b
    Exit codes:
      0  every sample keeps its promise
      1  a sample does not, or a kind of sample is missing
      2  a rule file is malformed, or its SQL fails
    """
    rules = [rule for rule in load([folder]).values() if rule.origin is not None]
    broken = _broken(folder, rules, Limits(seconds=seconds))
    tested = [_tested(rule, folder, seconds, broken.get(rule.id)) for rule in rules]
    code = max(_code(rule) for rule in tested)
    if format_ == "json":
        click.echo(as_json({"exit_code": int(code), "rules": tested}, indent=2))
    else:
        _show(tested)
    return int(code)


def _broken(folder: Path, rules: Sequence[Rule], limits: Limits) -> dict[str, str]:
    """Why the SQL of a rule fails, by rule.

    Each is evaluated once whatever a log holds: SQL that no sample reaches, because the log lacks what the rule
    needs or what `only_with` names, may be broken too.
    """
    with tempfile.TemporaryDirectory(prefix="auditor-") as scratch:
        log = Path(scratch) / "log.ndjson"
        log.write_text(sample_log(retries=1), "utf-8")
        ids = [rule.id for rule in rules]
        with audit(log, rules=[folder], select=ids, fail_on=None, rule_seconds=limits.seconds) as result:
            answers = ask(result.path, [(rule, False) for rule in rules], limits)
            return {rule.id: answer.reason for rule, answer in answers if answer.reason is not None}


def _tested(rule: Rule, folder: Path, seconds: float, broken: str | None) -> dict[str, Any]:
    """What became of one rule and its samples; `problem` is what is wrong with the rule itself."""
    tested: dict[str, Any] = {"rule": rule.id, "path": str(rule.path), "failed": broken is not None}
    samples = samples_of(rule)
    missing = [kind for kind in kinds_of(rule) if kind not in map(kind_of, samples)]
    lacks = f"{rule.path.with_suffix('.samples')} has no sample {' and no '.join(f'{kind}-*' for kind in missing)}"
    problem = broken or (lacks if missing else None)
    return tested | {
        "problem": problem,
        "samples": [] if broken else [_on_sample(rule, folder, seconds, sample) for sample in samples],
    }


def _on_sample(rule: Rule, folder: Path, seconds: float, sample: Path) -> dict[str, Any]:
    promise = promise_of(sample)
    if promise is None:
        problem = "its name starts with none of fires-, holds-, cannot-tell-"
        return {"sample": sample.name, "expected": None, "outcome": None, "kept": False, "why": [problem]}
    with audit(
        sample, rules=[folder], select=[rule.id], fail_on=None, rule_seconds=seconds, keep_payloads=True
    ) as result:
        outcome, why = _outcome(result)
    return {
        "sample": sample.name,
        "expected": promise.outcome.value + (f", {promise.severity}" if promise.severity else ""),
        "outcome": ", ".join(outcome),
        "kept": _keeps(promise, outcome),
        "why": why,
    }


def _keeps(promise: Promise, outcome: Sequence[str]) -> bool:
    word, *severities = outcome
    return word == promise.outcome and (promise.severity is None or severities == [promise.severity])


def _outcome(result: Audit) -> tuple[list[str], list[str]]:
    """The outcome of the rule that was selected, and the severities of what it found; then why, in sentences."""
    report = result.report
    unread = [f"{row['source']}:{row['line']}: {row['reason']}" for row in report["rejects"]]
    unread += [row["problem"] for row in report["inputs"] if row["problem"]]
    if unread:
        return ["unreadable"], unread
    (rule,) = report["rules"]
    severities = sorted({finding["severity"] for finding in report["findings"]})
    said = [finding["because"] for finding in report["findings"]]
    return [rule["outcome"], *severities], said or [rule["reason"] or "it found nothing"]


def _code(tested: dict[str, Any]) -> ExitCode:
    failed = Outcome.FAILED.value
    if tested["failed"] or any(sample["outcome"] == failed for sample in tested["samples"]):
        return ExitCode.ERROR
    if tested["problem"] or not all(sample["kept"] for sample in tested["samples"]):
        return ExitCode.FOUND
    return ExitCode.CLEAN


def _show(tested: Sequence[dict[str, Any]]) -> None:
    for rule in tested:
        click.echo(rule["rule"])
        if rule["problem"]:
            click.echo(f"  failed  {plain(rule['problem'])}")
        for sample in rule["samples"]:
            click.echo(f"  {'ok    ' if sample['kept'] else 'missed'}  {plain(sample['sample'])}")
            if not sample["kept"]:
                _show_miss(sample)
    samples = [sample for rule in tested for sample in rule["samples"]]
    missed = sum(not sample["kept"] for sample in samples)
    failed = sum(rule["problem"] is not None for rule in tested)
    click.echo(
        f"\n{many(len(tested), 'rule')}, {many(len(samples), 'sample')}: "
        f"{many(missed, 'sample')} missed, {many(failed, 'rule')} failed"
    )


def _show_miss(sample: dict[str, Any]) -> None:
    if sample["expected"]:
        click.echo(f"            expected: {sample['expected']}; outcome: {sample['outcome']}")
    for sentence in sample["why"][:_SHOWN]:
        click.echo(quiet(f"            {plain(sentence)}"))
    if len(sample["why"]) > _SHOWN:
        click.echo(f"            and {len(sample['why']) - _SHOWN:,} more")

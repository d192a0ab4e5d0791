"""`auditor baseline`: what is known today, so that a check fails only on what is new."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from auditor.check.baseline import BY, Baseline, Change, changes, known_now, read
from auditor.cli.auditing import Asked, audits
from auditor.errors import UnknownRule, UsageError
from auditor.model.judgement import ExitCode, FindingState, Outcome
from auditor.report.words import many, plain
from auditor.result import Audit

DEFAULT_FILE = Path("auditor-baseline.jsonl")

_file = click.option(
    "--baseline",
    "named",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"The baseline; by default the configured one, else {DEFAULT_FILE}.",
)
_accept = click.option("--accept", is_flag=True, help="Change a baseline that is there already.")


@click.group(short_help="Keep a list of known findings.")
def baseline() -> None:
    """Keep a list of the findings that are known today: a check fails only on what is new.

    A baseline is debt, not a decision: a finding that you mean to live with is suppressed, in the configuration,
    with a reason. Suppressed findings are not in a baseline.
    """


@baseline.command(short_help="Write down what is known today.")
@audits
@_file
@click.option("--by", type=click.Choice(BY), help="Bugs, or single occurrences.  [default: pattern]")
@_accept
def write(asked: Asked, named: Path | None, by: str | None, accept: bool) -> int:
    """Audit the logs at PATH and write down every finding in them as known.

    By `pattern` a new run of a known bug is known too, as long as there are not more findings of it than today; by
    `instance` just these occurrences are. A baseline that is there already changes only with --accept; what it
    says of rules that are not evaluated now stays.

    \b
    Exit codes:
      0  written, or nothing to change
      1  it would change, and --accept is missing
      2  misuse or an internal error
      3  something could not be read: what is not seen would be forgotten
    """
    file = _named(asked, named)
    old = read(file) if os.path.lexists(file) else None
    by = by or (old.by if old else BY[0])
    with asked.under(replace(asked.config, baseline=None, fail_on=None)).audit() as result:
        if (doubt := _unread(result, asked.config.max_rejects)) is not None:
            click.echo(f"auditor: nothing is written: {doubt}", err=True)
            return int(ExitCode.CANNOT_TELL)
        same_kind = old if old is not None and old.by == by else None
        new = known_now(by, _standing(result, by), same_kind, _unasked(result))
    return _rewrite(file, old, new, accept=accept)


@baseline.command(short_help="Say what is new, known and resolved.")
@audits
@_file
@click.option(
    "--exact",
    is_flag=True,
    help="Also fail if an entry is resolved or its rule gone: there is something to prune.",
)
def check(asked: Asked, named: Path | None, exact: bool) -> int:
    """Compare the findings in the logs at PATH with the baseline: new, known and resolved.

    An entry is gone if there is no rule of its name, or none any more: nobody can look for what it knows.

    \b
    Exit codes:
      0  nothing is new that fails a check
      1  something is, or with --exact something is resolved or gone
      2  misuse or an internal error
      3  something could not be judged or read
    """
    with asked.under(replace(asked.config, baseline=_named(asked, named))).audit() as result:
        compared = result.report["baseline"]
        resolved, gone = compared["resolved"], compared["gone"]
        for finding in result.findings:
            if finding["state"] == FindingState.NEW:
                click.echo(plain(f"new       {finding['severity']:<8} {finding['rule']}: {finding['because']}"))
        for word, entries in (("resolved", resolved), ("gone", gone)):
            for entry in entries:
                click.echo(plain(f"{word:<9} {entry['missing']:>3} x    {entry['rule']}: {entry['message']}"))
        for rule in sorted({entry["rule"] for entry in gone}):
            click.echo(plain(UnknownRule(rule, _all_rules(result))))
        also = f", {len(gone):,} of rules that are gone" if gone else ""
        click.echo(
            f"{compared['new']:,} new, {compared['known']:,} known, {len(resolved):,} resolved{also}; "
            f"exit code {int(result.exit_code)}: {result.report['exit_because']}"
        )
        if resolved or gone:
            click.echo("`auditor baseline prune` takes what is resolved or gone out of the baseline")
        if exact and (resolved or gone) and result.exit_code is ExitCode.CLEAN:
            return int(ExitCode.FOUND)
        return int(result.exit_code)


@baseline.command(short_help="Take out what is resolved.")
@audits
@_file
@_accept
def prune(asked: Asked, named: Path | None, accept: bool) -> int:
    """Take out of the baseline what is not found in the logs at PATH any more. Nothing is added.

    What it says of rules that are not evaluated now stays. What it says of rules that there are not goes: name the
    rules of your own, by --rules or in the configuration.

    \b
    Exit codes:
      0  pruned, or nothing to prune
      1  it would change, and --accept is missing
      2  misuse or an internal error
      3  something could not be read: what is not seen is not resolved
    """
    file = _named(asked, named)
    old = read(file)
    with asked.under(replace(asked.config, baseline=file, fail_on=None)).audit() as result:
        if (doubt := _unread(result, asked.config.max_rejects)) is not None:
            click.echo(f"auditor: nothing is pruned: {doubt}", err=True)
            return int(ExitCode.CANNOT_TELL)
        compared = result.report["baseline"]
        missing = {row["fingerprint"]: row["missing"] for row in (*compared["resolved"], *compared["gone"])}
    return _rewrite(file, old, old.without(missing), accept=accept)


def _named(asked: Asked, named: Path | None) -> Path:
    return named or asked.config.baseline or DEFAULT_FILE


def _unread(result: Audit, max_rejects: int) -> str | None:
    """Why findings may be missing from an audit; a run whose history is incomplete is no reason."""
    report = result.report
    problems = [f"{row['path']} {row['problem']}" for row in report["inputs"] if row["problem"]]
    failed = [
        f"the rule {rule['id']} failed: {rule['reason']}"
        for rule in report["rules"]
        if rule["outcome"] == Outcome.FAILED
    ]
    nothing = [] if report["runs"] else ["no run was read"]
    rejects = report["counts"]["rejects"]
    rows = [f"{many(rejects, 'row')} could not be read"] if rejects > max_rejects else []
    return next((plain(reason) for reason in (*problems, *failed, *nothing, *rows)), None)


def _unasked(result: Audit) -> set[str]:
    """The rules that were not evaluated on any run: what they found once may still be there."""
    outcomes = {rule["id"]: rule["outcome"] for rule in result.report["rules"]}
    skipped = {id for id, outcome in outcomes.items() if outcome == Outcome.NOT_EVALUATED}
    return skipped | set(result.report["audit"]["not_selected"])


def _all_rules(result: Audit) -> list[str]:
    """Every rule that there is."""
    return [*(rule["id"] for rule in result.report["rules"]), *result.report["audit"]["not_selected"]]


def _standing(result: Audit, by: str) -> list[tuple[str, str, str | None, str]]:
    """Rule, fingerprint, workflow and sentence of what stands; the words are made safe for who reads the file."""
    found = result.con.execute(
        f"""
        SELECT rule, {by}, workflow, because
        FROM finding LEFT JOIN run USING (run_id)
        WHERE state = ?
        ORDER BY finding_no
        """,
        [FindingState.NEW.value],
    ).fetchall()
    return [
        (rule, name, workflow if workflow is None else plain(workflow), plain(because) or rule)
        for rule, name, workflow, because in found
    ]


def _rewrite(file: Path, old: Baseline | None, new: Baseline, *, accept: bool) -> int:
    """Show the difference, and write it if it may be written."""
    if old == new:
        click.echo(f"{file}: nothing to change ({_size(new)})")
        return int(ExitCode.CLEAN)
    if old is not None and old.by != new.by:
        click.echo(f"by {old.by} -> by {new.by}")
    for line in _difference(changes(old, new)):
        click.echo(plain(line))
    if old is not None and not accept:
        click.echo(f"{file}: not changed; look at the difference, then say --accept")
        return int(ExitCode.FOUND)
    _replace(file, new.text().encode())
    click.echo(f"{file}: written ({_size(new)})")
    return int(ExitCode.CLEAN)


def _replace(file: Path, content: bytes) -> None:
    """Write the whole file or leave the old one as it is."""
    part = file.with_name(file.name + ".part")
    try:
        part.write_bytes(content)
        part.replace(file)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise UsageError(f"{file}: the baseline cannot be written: {error.strerror or error}") from None


def _difference(changed: Sequence[Change]) -> Iterator[str]:
    for change in changed:
        sign = "+" if change.after > change.before else "-"
        count = f"{change.before:,} -> {change.after:,}"
        yield f"{sign} {change.entry.rule} {change.entry.fingerprint} {count}: {change.entry.message}"


def _size(baseline: Baseline) -> str:
    return f"{many(sum(entry.count for entry in baseline.entries), 'known finding')}, by {baseline.by}"

"""`auditor check`: audit logs, print a report, return the exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.auditing import Asked, audits
from auditor.cli.completion import PATH
from auditor.cli.outputs import refuse_overwriting
from auditor.errors import UsageError
from auditor.model.judgement import Capability, Severity
from auditor.report import text, why
from auditor.report.formats import FORMATS, renderer
from auditor.result import Audit

if TYPE_CHECKING:
    from auditor.alerts import Target

NEVER = "never"


def _targets(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, Path]]:
    targets = []
    for value in values:
        name, equals, path = value.partition("=")
        if not equals or not path or name not in FORMATS:
            raise click.BadParameter(f"{value!r} is not FMT=PATH with FMT one of {', '.join(FORMATS)}")
        targets.append((name, Path(path)))
    return targets


@click.command(short_help="Audit event logs and print what is wrong with them.")
@audits
@click.option("--format", "format_", type=click.Choice(FORMATS), default="text", help="Report on stdout.")
@click.option(
    "--report",
    "reports",
    multiple=True,
    callback=_targets,
    metavar="FMT=PATH",
    help="Also write a report to PATH; may be repeated.",
)
@click.option("--save", type=PATH, metavar="FILE", help="Keep the audit as one DuckDB file.")
@click.option(
    "--fail-on",
    type=click.Choice([*(severity.value for severity in Severity), NEVER]),
    help="Lowest severity of a new finding that makes the exit code 1.  [default: error]",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Findings in it are known and do not fail; `auditor baseline write` makes it.",
)
@click.option("--no-baseline", is_flag=True, help="Compare with no baseline: every finding is new.")
@click.option(
    "--max-rejects",
    type=click.IntRange(min=0),
    metavar="N",
    help="Unreadable rows to tolerate before the exit code is 3.  [default: 0]",
)
@click.option(
    "--require",
    multiple=True,
    metavar="CAPABILITY",
    type=click.Choice([capability.value for capability in Capability if capability is not Capability.REPLAY]),
    help="Exit with 3 unless every run has this capability; may be repeated.",
)
@click.option("--keep-payloads", is_flag=True, help="Store payloads in the audit; they are dropped by default.")
@click.option(
    "--why",
    "fingerprint",
    metavar="FINGERPRINT",
    help="Instead of a report say of one finding why it counts, or why not; the first 8 characters do.",
)
@click.option(
    "--notify",
    multiple=True,
    metavar="KIND=URL",
    help="Send new findings to webhook=URL or slack=URL (URL may be env:NAME); may be repeated.",
)
@click.option(
    "--notify-host",
    "hosts",
    multiple=True,
    metavar="HOST",
    help="A host that alerts may be sent to; may be repeated.",
)
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    help="Colour in the text report; auto respects NO_COLOR and FORCE_COLOR.",
)
def check(
    asked: Asked,
    format_: str,
    reports: list[tuple[str, Path]],
    save: str | None,
    fail_on: str | None,
    baseline: Path | None,
    no_baseline: bool,
    max_rejects: int | None,
    require: tuple[str, ...],
    keep_payloads: bool,
    fingerprint: str | None,
    notify: tuple[str, ...],
    hosts: tuple[str, ...],
    color: str,
) -> int:
    """Audit the event logs at PATH: files, folders, archives, `-` for stdin, or the URL of a PostgreSQL server.

    Reads auditor.log/v1, world-local folders of the Workflow SDK, what `workflow inspect --json` prints, tables of
    its Postgres world (CSV, Parquet, live), SQLite world files, and with --map any NDJSON, JSON, CSV or Parquet;
    plain, .gz, .zst, in .zip or .tar.*. Payloads are dropped at ingest.

    \b
    Exit codes:
      0  judged, and no new finding at or above --fail-on
      1  a new finding at or above --fail-on
      2  misuse, an internal error, or an alert that could not be sent
      3  something could not be judged or read
    """
    if baseline is not None and no_baseline:
        raise UsageError("--baseline and --no-baseline exclude each other")
    for _, path in reports:
        if not path.parent.is_dir():
            raise UsageError(f"{path.parent}: there is no such folder to write a report in")
    receivers = _receivers(notify, [*hosts, *asked.config.notify_hosts])
    config = asked.config
    if baseline is not None or no_baseline:
        config = replace(config, baseline=baseline)
    if fail_on is not None:
        config = replace(config, fail_on=None if fail_on == NEVER else Severity(fail_on))
    if max_rejects is not None:
        config = replace(config, max_rejects=max_rejects)
    if require:
        config = replace(config, require=tuple(Capability(name) for name in require))
    asked = asked.under(config)
    refuse_overwriting([*(path for _, path in reports), *([Path(save)] if save is not None else [])], asked)
    with asked.audit(save, keep_payloads=keep_payloads) as result:
        for name, path in reports:
            _write(path, renderer(name)(result))
        click.echo(_on_stdout(result, format_, color, fingerprint), nl=False)
        if "github" in {format_, *(name for name, _ in reports)}:
            _summarise(result)
        if receivers:
            _send(result, receivers)
        return int(result.exit_code)


def _write(path: Path, report: str) -> None:
    try:
        path.write_bytes(report.encode())
    except OSError as error:
        raise UsageError(f"{path}: the report cannot be written: {error.strerror or error}") from None


def _on_stdout(result: Audit, format_: str, color: str, fingerprint: str | None) -> str:
    if fingerprint is not None:
        return why.render(result, fingerprint)
    return text.render(result, colour=_coloured(color)) if format_ == "text" else renderer(format_)(result)


def _coloured(color: str) -> bool:
    if color != "auto":
        return color == "always"
    forced = any(os.environ.get(name) not in (None, "", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE"))
    return "NO_COLOR" not in os.environ and (forced or sys.stdout.isatty())


def _summarise(result: Audit) -> None:
    """Add to the summary of a step of GitHub Actions, where there is one."""
    from auditor.report import github  # noqa: PLC0415 - only where it is asked for

    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(path).open("a", encoding="utf-8", newline="") as file:
                file.write(github.summary(result))
        except OSError as error:
            raise UsageError(f"$GITHUB_STEP_SUMMARY: {path}: {error.strerror or error}") from None


def _receivers(notify: Sequence[str], hosts: Sequence[str]) -> list[Target]:
    if not notify:
        return []
    from auditor import alerts  # noqa: PLC0415 - what sends is slow to import

    return list(alerts.targets(notify, hosts, os.environ))


def _send(result: Audit, receivers: Sequence[Target]) -> None:
    from auditor import alerts  # noqa: PLC0415 - what sends is slow to import

    alerts.notify(result, receivers)

"""`auditor check`: audit logs, print a report, return the exit code."""

from __future__ import annotations

import datetime as dt
import os
import sys
from difflib import get_close_matches
from pathlib import Path

import click

from auditor.errors import UsageError
from auditor.ingest import FIELDS, INPUT_FORMATS, field_of
from auditor.model.judgement import Capability, Severity
from auditor.report import text
from auditor.report.formats import FORMATS
from auditor.result import Audit, audit

_NEVER = "never"


def _names(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[str]:
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def _targets(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, Path]]:
    targets = []
    for value in values:
        name, equals, path = value.partition("=")
        if not equals or not path or name not in FORMATS:
            raise click.BadParameter(f"{value!r} is not FMT=PATH with FMT one of {', '.join(FORMATS)}")
        targets.append((name, Path(path)))
    return targets


def _fields(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    fields = {}
    for value in values:
        column, equals, name = value.rpartition("=")
        known = field_of(name)
        if not equals or not column or known is None:
            near = ", ".join(get_close_matches(name, FIELDS, 3, 0.5)) or ", ".join(FIELDS[:6])
            raise click.BadParameter(f"{value!r} is not COLUMN=FIELD; is FIELD one of {near}?")
        fields[column] = known
    return fields


def _moment(_: click.Context, __: click.Parameter, value: str | None) -> dt.datetime | None:
    if value is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not an ISO 8601 time such as 2026-11-22T21:00:00Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


@click.command(short_help="Audit event logs and print what is wrong with them.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--format", "format_", type=click.Choice(list(FORMATS)), default="text", help="Report on stdout.")
@click.option(
    "--report",
    "reports",
    multiple=True,
    callback=_targets,
    metavar="FMT=PATH",
    help="Also write a report to PATH; may be repeated.",
)
@click.option("--save", metavar="FILE", help="Keep the audit as one DuckDB file.")
@click.option(
    "--fail-on",
    type=click.Choice([*(severity.value for severity in Severity), _NEVER]),
    default=Severity.ERROR.value,
    show_default=True,
    help="Lowest severity that makes the exit code 1.",
)
@click.option(
    "--now",
    callback=_moment,
    metavar="TIME",
    help="Reference time for everything overdue (ISO 8601, UTC without a zone); by default taken from the log.",
)
@click.option(
    "--map",
    "fields",
    multiple=True,
    callback=_fields,
    metavar="COLUMN=FIELD",
    help="Which column (or dotted path) of a foreign log holds which field; may be repeated.",
)
@click.option(
    "--input-format",
    type=click.Choice(list(INPUT_FORMATS)),
    help="Read files as this, whatever they look like.",
)
@click.option("--keep-payloads", is_flag=True, help="Store payloads in the audit; they are dropped by default.")
@click.option("--memory-limit", metavar="SIZE", help="Memory for the database, such as 2GB; the rest is spilled.")
@click.option(
    "--select",
    multiple=True,
    callback=_names,
    metavar="RULE",
    help="Check only these rules or groups; may be repeated or comma-separated.",
)
@click.option(
    "--ignore",
    multiple=True,
    callback=_names,
    metavar="RULE",
    help="Leave out these rules or groups; may be repeated or comma-separated.",
)
@click.option(
    "--max-rejects",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Unreadable rows to tolerate before the exit code is 3.",
)
@click.option(
    "--require",
    multiple=True,
    metavar="CAPABILITY",
    type=click.Choice([capability.value for capability in Capability if capability is not Capability.REPLAY]),
    help="Exit with 3 unless every run has this capability; may be repeated.",
)
def check(
    paths: tuple[str, ...],
    format_: str,
    reports: list[tuple[str, Path]],
    save: str | None,
    fail_on: str,
    now: dt.datetime | None,
    select: list[str],
    ignore: list[str],
    max_rejects: int,
    require: tuple[str, ...],
    fields: dict[str, str],
    input_format: str | None,
    keep_payloads: bool,
    memory_limit: str | None,
) -> int:
    """Audit the event logs at PATH: files, folders, archives, `-` for stdin, or the URL of a PostgreSQL server.

    Reads auditor.log/v1, world-local folders of the Workflow SDK, what `workflow inspect --json` prints, tables of
    its Postgres world (CSV, Parquet, live), SQLite world files, and with --map any NDJSON, JSON, CSV or Parquet;
    plain, .gz, .zst, in .zip or .tar.*. Payloads are dropped at ingest.

    \b
    Exit codes:
      0  judged, and nothing at or above --fail-on
      1  a finding at or above --fail-on
      2  misuse or an internal error
      3  something could not be judged or read
    """
    for _, path in reports:
        if not path.parent.is_dir():
            raise UsageError(f"{path.parent}: there is no such folder to write a report in")
    with audit(
        *paths,
        save=save,
        now=now,
        select=select,
        ignore=ignore,
        fail_on=None if fail_on == _NEVER else fail_on,
        max_rejects=max_rejects,
        require=require,
        fields=fields,
        input_format=input_format,
        keep_payloads=keep_payloads,
        memory_limit=memory_limit,
    ) as result:
        for name, path in reports:
            _write(path, FORMATS[name](result))
        click.echo(_on_stdout(result, format_), nl=False)
        return int(result.exit_code)


def _write(path: Path, report: str) -> None:
    try:
        path.write_text(report, "utf-8")
    except OSError as error:
        raise UsageError(f"{path}: the report cannot be written: {error.strerror or error}") from None


def _on_stdout(result: Audit, format_: str) -> str:
    if format_ != "text":
        return FORMATS[format_](result)
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return text.render(result, colour=colour)

"""The options of every command that audits logs: which logs, how they are read, and what is checked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from auditor.cli.completion import PATH, complete_rules
from auditor.cli.rule_options import rule_folders
from auditor.config import VARIABLE, Config, found, load
from auditor.errors import UsageError
from auditor.ingest import FIELDS, INPUT_FORMATS, Options, field_of, is_read
from auditor.result import Audit, audit

F = TypeVar("F", bound=Callable[..., Any])

LONGEST_RULE = 86_400.0
"""Seconds that a custom rule may be given; the clock that stops it knows no infinity."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The logs that a user named, and the configuration that holds for them."""

    paths: tuple[str, ...]
    config: Config
    fields: dict[str, str]
    input_format: str | None
    memory_limit: str | None

    def under(self, config: Config) -> Asked:
        """The same logs under another configuration."""
        return replace(self, config=config)

    def reads(self, file: Path) -> bool:
        """Whether a file is one of these logs, or a log in one of these folders."""
        return is_read(file, self.paths, Options(self.fields, self.input_format))

    def audit(self, save: str | None = None, *, keep_payloads: bool = False) -> Audit:
        """Audit them."""
        return audit(
            *self.paths,
            config=self.config,
            save=save,
            fields=self.fields,
            input_format=self.input_format,
            keep_payloads=keep_payloads,
            memory_limit=self.memory_limit,
        )


def audits(command: F) -> Callable[..., Any]:
    """Give a command the argument PATH... and these options; it gets them together, as `asked`."""

    @wraps(command)
    def with_asked(
        *args: Any,
        paths: tuple[str, ...],
        config: Path | None,
        no_config: bool,
        no_suppressions: bool,
        folders: tuple[Path, ...],
        rule_timeout: float | None,
        select: list[str],
        ignore: list[str],
        now: dt.datetime | None,
        fields: dict[str, str],
        input_format: str | None,
        memory_limit: str | None,
        **more: Any,
    ) -> Any:
        chosen = _config(paths, config, without=no_config)
        said: dict[str, Any] = {
            "rules": _together(chosen.rules, folders),
            "rule_seconds": rule_timeout,
            "select": tuple(select) or None,
            "ignore": tuple(ignore) or None,
            "now": now,
            "suppressions": () if no_suppressions else None,
        }
        chosen = replace(chosen, **{name: value for name, value in said.items() if value is not None})
        return command(*args, asked=Asked(paths, chosen, fields, input_format, memory_limit), **more)

    decorated: Any = with_asked
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return cast("Callable[..., Any]", decorated)


def _config(paths: tuple[str, ...], named: Path | None, *, without: bool) -> Config:
    if without:
        if named is not None:
            raise UsageError("--config and --no-config exclude each other")
        return Config()
    return load(named) if named is not None else found(paths)


def _together(configured: tuple[Path, ...], asked: tuple[Path, ...]) -> tuple[Path, ...]:
    """The folders of rules, each once, however it is named."""
    return tuple({folder.resolve(): folder for folder in reversed((*configured, *asked))}.values())[::-1]


def _names(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[str]:
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def _seconds(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 < value <= LONGEST_RULE:  # so is NaN, which a range would let pass
        raise click.BadParameter(f"{value:g} is not above 0 and at most {LONGEST_RULE:g}")
    return value


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
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is not an ISO 8601 time such as 2026-11-22T21:00:00Z") from None


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.argument("paths", nargs=-1, required=True, type=PATH, metavar="PATH..."),
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=f"Configuration; by default ${VARIABLE}, else the closest auditor.toml, or pyproject.toml "
        "with [tool.auditor], upward from the logs, else from here.",
    ),
    click.option("--no-config", is_flag=True, help="Look for no configuration."),
    click.option(
        "--select",
        multiple=True,
        callback=_names,
        shell_complete=complete_rules,
        metavar="RULE",
        help="Check only these rules or groups; may be repeated or comma-separated.",
    ),
    click.option(
        "--ignore",
        multiple=True,
        callback=_names,
        shell_complete=complete_rules,
        metavar="RULE",
        help="Leave out these rules or groups; may be repeated or comma-separated.",
    ),
    rule_folders,
    click.option(
        "--rule-timeout",
        type=click.FLOAT,
        callback=_seconds,
        metavar="SECONDS",
        help="How long a custom rule may take.  [default: 30]",
    ),
    click.option("--no-suppressions", is_flag=True, help="Let every suppressed finding count, for a review."),
    click.option(
        "--now",
        callback=_moment,
        metavar="TIME",
        help="Reference time for everything overdue (ISO 8601, UTC without a zone); by default taken from the "
        "log.",
    ),
    click.option(
        "--map",
        "fields",
        multiple=True,
        callback=_fields,
        metavar="COLUMN=FIELD",
        help="Which column (or dotted path) of a foreign log holds which field; may be repeated.",
    ),
    click.option(
        "--input-format",
        type=click.Choice(list(INPUT_FORMATS)),
        help="Read files as this, whatever they look like.",
    ),
    click.option(
        "--memory-limit", metavar="SIZE", help="Memory for the database, such as 2GB; the rest is spilled."
    ),
)

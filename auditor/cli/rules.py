"""`auditor rules`: the catalogue, and what it takes to write rules of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from auditor.check.header import Rule
from auditor.cli.completion import PATH
from auditor.cli.rule_options import known, rule_folders
from auditor.cli.rules_new import new
from auditor.cli.rules_test import test
from auditor.report.machine import as_json
from auditor.report.words import plain
from auditor.result import audit

_FORMAT = click.option(
    "--format", "format_", type=click.Choice(["text", "json"]), default="text", help="Output format."
)


class _ListFirst(click.Group):
    """`auditor rules` alone, or with options alone, means `auditor rules list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListFirst, short_help="List the rules; write and test your own.")
def rules() -> None:
    """List the rules, say which logs exercise them, write and test rules of your own.

    Without a command: list.
    """


rules.add_command(new)
rules.add_command(test)


@rules.command("list", short_help="List the rules.")
@_FORMAT
@rule_folders
def list_(format_: str, folders: tuple[Path, ...]) -> None:
    """List every rule: what it finds, how bad that is, and what a log must record for it."""
    catalogue = known(folders)
    if format_ == "json":
        click.echo(as_json([_described(rule) for rule in catalogue.values()], indent=2))
    else:
        _list(catalogue)


@rules.command(short_help="Say which logs exercise which rules.")
@click.argument("paths", nargs=-1, required=True, type=PATH, metavar="PATH...")
@_FORMAT
@rule_folders
def coverage(paths: tuple[str, ...], format_: str, folders: tuple[Path, ...]) -> None:
    """Audit each PATH on its own, and say which rules it exercised.

    For each log: which rules found something in it, which held on it, and which it cannot show at all; and which
    rules no PATH exercised.
    """
    _show_coverage({path: _outcomes(path, folders) for path in paths}, format_)


def _list(catalogue: dict[str, Rule]) -> None:
    group = None
    for rule in sorted(catalogue.values(), key=lambda rule: (rule.group, rule.id)):
        if rule.group != group:
            group = rule.group
            click.echo(plain(group))
        needs = f"  needs {', '.join(rule.needs)}" if rule.needs else ""
        click.echo(f"  {rule.id:<30} {'/'.join(_severities(rule)):<19} {rule.confidence}{needs}")
        click.echo(f"      {plain(rule.title)}")


def _outcomes(path: str, folders: tuple[Path, ...]) -> dict[str, dict[str, Any]]:
    """What became of every rule on one log."""
    with audit(path, rules=folders, fail_on=None) as result:
        return {
            rule["id"]: {key: rule[key] for key in ("outcome", "findings", "evaluated_runs", "skipped_runs")}
            for rule in result.report["rules"]
        }


def _show_coverage(covered: dict[str, dict[str, dict[str, Any]]], format_: str) -> None:
    if format_ == "json":
        click.echo(as_json(covered, indent=2))
        return
    for number, path in enumerate(covered, 1):
        click.echo(f"{number:>3}  {plain(path)}")
    click.echo("\na number: findings in that log; held: evaluated, nothing found; -: not evaluated\n")
    click.echo(f"{'':<32}" + "".join(f"{number:>7}" for number in range(1, len(covered) + 1)))
    rules = sorted({rule for outcomes in covered.values() for rule in outcomes})
    for rule in rules:
        click.echo(f"{rule:<32}" + "".join(f"{_cell(outcomes[rule]):>7}" for outcomes in covered.values()))
    found = {rule for rule in rules if any(outcomes[rule]["findings"] for outcomes in covered.values())}
    idle = [
        rule
        for rule in rules
        if all(outcomes[rule]["outcome"] == "not_evaluated" for outcomes in covered.values())
    ]
    held = len(rules) - len(found) - len(idle)
    click.echo(
        f"\n{len(rules)} rules: {len(found)} found something, {held} held, {len(idle)} were never evaluated"
    )


def _cell(outcome: dict[str, Any]) -> str:
    if outcome["findings"]:
        return str(outcome["findings"])
    return "-" if outcome["outcome"] == "not_evaluated" else str(outcome["outcome"])


def _severities(rule: Rule) -> list[str]:
    return list(dict.fromkeys(case.severity.value for case in rule.severity))


def _described(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "group": rule.group,
        "origin": rule.origin,
        "title": rule.title,
        "severity": _severities(rule),
        "confidence": rule.confidence.value,
        "about": rule.about,
        "needs": [need.value for need in rule.needs],
        "implies": list(rule.implies),
        "since": rule.since,
        "version": rule.version,
        "params": {param.name: {"default": param.default, "meaning": param.meaning} for param in rule.params},
        "document": rule.document,
    }

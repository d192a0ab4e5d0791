"""`auditor explain`: the explanation that stands in the rule's own file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from auditor.check.catalogue import find
from auditor.check.header import Rule
from auditor.cli.completion import complete_rules
from auditor.cli.rule_options import known, rule_folders
from auditor.report.words import plain


@click.command(short_help="Explain one rule.")
@click.argument("rule", shell_complete=complete_rules)
@rule_folders
def explain(rule: str, folders: tuple[Path, ...]) -> None:
    """Say what RULE means, why it happens, what to do, and when it is wrong. Of a group: which rules are in it."""
    rules = known(folders)
    group = [each for each in rules.values() if each.group == rule]
    if group:
        _list(rule, group)
    else:
        _explain(find(rules, rule))


def _list(group: str, rules: Sequence[Rule]) -> None:
    width = max(len(rule.id) for rule in rules)
    click.echo(f"{plain(group)}: a group of {len(rules)} rules\n")
    for rule in rules:
        click.echo(f"{rule.id:<{width}}  {plain(rule.title)}")


def _explain(found: Rule) -> None:
    click.echo(f"{found.id}: {plain(found.title)}\n")
    for case in found.severity:
        condition = f" when {plain(case.when)}" if case.when else (" otherwise" if len(found.severity) > 1 else "")
        click.echo(f"severity    {case.severity}{condition}")
    click.echo(f"confidence  {found.confidence}")
    if found.needs:
        click.echo(f"needs       {', '.join(found.needs)}")
    for param in found.params:
        click.echo(f"parameter   {plain(param.name)} = {param.default:g} ({plain(param.meaning)})")
    click.echo()
    for line in found.document.splitlines():
        click.echo(plain(line))

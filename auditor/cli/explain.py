"""`auditor explain`: the explanation that stands in the rule's own file."""

from __future__ import annotations

import click

from auditor.check.catalogue import find, load


@click.command(short_help="Explain one rule.")
@click.argument("rule")
def explain(rule: str) -> None:
    """Say what RULE means, why it happens, what to do, and when it is wrong."""
    found = find(load(), rule)
    click.echo(f"{found.id}: {found.title}\n")
    for case in found.severity:
        condition = f" when {case.when}" if case.when else (" otherwise" if len(found.severity) > 1 else "")
        click.echo(f"severity    {case.severity}{condition}")
    click.echo(f"confidence  {found.confidence}")
    if found.needs:
        click.echo(f"needs       {', '.join(found.needs)}")
    for param in found.params:
        click.echo(f"parameter   {param.name} = {param.default:g} ({param.meaning})")
    click.echo(f"\n{found.document}")

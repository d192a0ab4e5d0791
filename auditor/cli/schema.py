"""`auditor schema`: the contracts."""

from __future__ import annotations

import click

from auditor import schemas


@click.command(short_help="Print a contract.")
@click.argument("name", type=click.Choice(sorted(schemas.NAMES)))
def schema(name: str) -> None:
    """Print a contract: JSON Schema of a log, report, config, baseline or alert, DDL of an audit or a world."""
    click.echo(schemas.text(name), nl=False)

"""`auditor schema`: the contracts."""

from __future__ import annotations

import click

from auditor import schemas


@click.command(short_help="Print a contract.")
@click.argument("name", type=click.Choice(sorted(schemas.NAMES)))
def schema(name: str) -> None:
    """Print a contract: JSON Schema of what is read and written, DDL of an audit and a world."""
    click.echo(schemas.text(name), nl=False)

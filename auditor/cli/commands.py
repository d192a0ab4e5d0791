"""The commands of `auditor`, by name."""

from __future__ import annotations

import importlib
from typing import Any

import click

from auditor.__about__ import __version__
from auditor.cli.check import check
from auditor.cli.completion import completion
from auditor.cli.explain import explain
from auditor.cli.rules import rules
from auditor.cli.schema import schema
from auditor.errors import OutputClosed

LAZY = ("baseline", "dashboard", "replay", "simulate", "stress", "world")
"""Commands whose module is imported when they are asked for: they take longer to import than all the others."""


class _Commands(click.Group):
    """The commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *LAZY])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in LAZY:
            found: click.Command = getattr(importlib.import_module(f"auditor.cli.{cmd_name}"), cmd_name)
            return found
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise OutputClosed from error  # click would end with 1, which is a verdict here


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(__version__, prog_name="auditor")
def cli() -> None:
    """Can I trust this event log?

    Audits the event logs of durable workflows: replays them, and reports every way in which a history is corrupt,
    each with the events that prove it.
    """


for command in (check, rules, explain, schema, completion):
    cli.add_command(command)

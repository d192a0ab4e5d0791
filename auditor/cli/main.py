"""`auditor`: the group of commands, and the one place where errors become exit codes."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading

import click

from auditor.__about__ import __version__
from auditor.cli.check import check
from auditor.cli.completion import completion
from auditor.cli.explain import explain
from auditor.cli.rules import rules
from auditor.cli.schema import schema
from auditor.errors import AuditorError, Refused
from auditor.model.judgement import ExitCode
from auditor.report.words import plain

INTERRUPTED = 128 + signal.SIGINT
"""The shell's code for a command that was stopped by Ctrl-C."""

TERMINATED = 128 + signal.SIGTERM
"""The shell's code for a command that was told to end, as a cancelled CI job is."""

REFUSED = 1
"""A world refused a write, and says why."""


LAZY = ("baseline", "dashboard", "replay", "simulate", "stress", "world")
"""Commands whose module is imported when they are asked for: they take longer to import than all the others."""


_ending = threading.Event()
"""Set when the process was told to end."""


class _Commands(click.Group):
    """The commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *LAZY])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in LAZY:
            found: click.Command = getattr(importlib.import_module(f"auditor.cli.{cmd_name}"), cmd_name)
            return found
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(__version__, prog_name="auditor")
def cli() -> None:
    """Can I trust this event log?

    Audits the event logs of durable workflows: replays them, and reports every way in which a history is corrupt,
    each with the events that prove it.
    """


for command in (check, rules, explain, schema, completion):
    cli.add_command(command)


def main() -> None:
    """Run the command line. No traceback reaches a user unless AUDITOR_DEBUG is set."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = cli.main(prog_name="auditor", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = ExitCode.ERROR
    except click.Abort:
        code = INTERRUPTED
    except Refused as refused:
        click.echo(f"auditor: {refused.code}: {plain(refused)}", err=True)
        code = REFUSED
    except AuditorError as error:
        click.echo("\n".join(plain(line) for line in f"auditor: {error}".splitlines()), err=True)
        code = ExitCode.ERROR
    except BrokenPipeError:
        # Whoever read our output has stopped; there is nothing left to say, and nothing was concluded.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.ERROR
    except Exception as error:
        if _ending.is_set():  # in the middle of a query, which says so in its own words
            sys.exit(TERMINATED)
        if os.environ.get("AUDITOR_DEBUG"):
            raise
        click.echo(
            f"auditor: internal error: {type(error).__name__}: {error}\n"
            "This is a bug. Set AUDITOR_DEBUG=1 to see where, and report it with the command you ran.",
            err=True,
        )
        code = ExitCode.ERROR
    sys.exit(int(code or 0))


def _terminated(*_: object) -> None:
    _ending.set()
    # An end like any other: what was copied of a log, payloads and all, is removed on the way out.
    sys.exit(TERMINATED)

"""What a command says when it fails, and the exit code that it ends with."""

from __future__ import annotations

import errno
import os
import signal
import sys

import click
from click.exceptions import NoArgsIsHelpError

from auditor.errors import AuditorError, OutputClosed, Refused
from auditor.model.judgement import ExitCode
from auditor.report.words import plain

INTERRUPTED = 128 + signal.SIGINT
"""The shell's code for a command that was stopped by Ctrl-C."""

REFUSED = 1
"""A world refused a write, and says why."""


def explained(error: Exception) -> int:
    """Say on stderr what went wrong; the exit code. With AUDITOR_DEBUG set a bug is raised, for its traceback."""
    match error:
        case click.Abort():
            return INTERRUPTED
        case NoArgsIsHelpError():
            error.show()
        case click.UsageError():
            click.UsageError(plain(error.format_message()), error.ctx).show()
        case click.ClickException():
            _say(error.format_message())
        case Refused():
            _say(f"{error.code}: {error}")
            return REFUSED
        case OutputClosed():
            # There is nothing left to say, and nothing was concluded.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        case AuditorError():
            _say(str(error))
        case OSError(errno=errno.ENOSPC):
            _say("there is no space left where it writes")
        case _:
            if os.environ.get("AUDITOR_DEBUG"):
                raise error
            _say(f"internal error: {type(error).__name__}: {error}")
            click.echo(
                "This is a bug. Set AUDITOR_DEBUG=1 to see where, and report it with the command you ran.",
                err=True,
            )
    return ExitCode.ERROR


def _say(problem: str) -> None:
    """One line, whatever is quoted in it: names of files and words of a log are never lines of their own."""
    click.echo(plain(f"auditor: {problem}"), err=True)

"""The README, and what has to stand in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path

import click

from auditor.cli.commands import cli

ROOT = Path(__file__).parents[2]
FILE = ROOT / "README.md"
README = FILE.read_text("utf-8")
SECTION = "## Every command\n"
"""The last heading but one: below it stands the help of every command that is not in the text."""

_HELP = re.compile(r"^```text\n(Usage: (auditor(?: [a-z-]+)*) \[.*?)\n```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    """The code of every block in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def table(head: str) -> list[list[str]]:
    """The rows of the table whose first column has this head, without the marks of code."""
    (body,) = re.findall(rf"^\| {re.escape(head)} \|.*\n\|[-|: ]+\|\n((?:\|.*\n)+)", README, re.MULTILINE)
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")] for line in body.splitlines()]


def column(head: str) -> list[str]:
    """The first column of that table."""
    return [row[0] for row in table(head)]


def commands() -> Iterator[tuple[str, click.Context]]:
    """Every command and group by what is typed, `auditor world init`; `get_help` is what it prints for --help."""
    # On a terminal of 80 columns click leaves two of them empty.
    yield from _below(click.Context(cli, info_name="auditor", terminal_width=78, **cli.context_settings))


def _below(ctx: click.Context) -> Iterator[tuple[str, click.Context]]:
    yield ctx.command_path, ctx
    if isinstance(ctx.command, click.Group):
        for word in ctx.command.list_commands(ctx):
            found = ctx.command.get_command(ctx, word)
            assert found is not None
            yield from _below(click.Context(found, info_name=word, parent=ctx, **found.context_settings))


def accepted() -> str:
    """The README with the help of every command as it is now; raises KeyError for a command that is not there."""
    helps = {name: f"```text\n{ctx.get_help()}\n```" for name, ctx in commands()}
    before, _, rest = README.partition(SECTION)
    _, heading, after = rest.partition("\n## ")
    text = _HELP.sub(lambda found: helps[found[2]], before)
    shown = {found[2] for found in _HELP.finditer(before)}
    folded = [
        f"<details><summary><code>{name}</code>: {_short(ctx.command)}</summary>\n\n{helps[name]}\n\n</details>\n"
        for name, ctx in commands()
        if name not in shown
    ]
    return "\n".join([f"{text}{SECTION}", *folded]) + heading + after


def _short(command: click.Command) -> str:
    return escape(command.get_short_help_str(100), quote=False)


def sample_logs(folder: Path) -> None:
    """The sample logs, where examples expect them."""
    shutil.copytree(ROOT / "sample_logs", folder / "sample_logs")

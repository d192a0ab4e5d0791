"""`auditor completion`: what a shell needs to complete commands, options, rules and files."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ZshComplete

from auditor.cli.rule_options import known
from auditor.errors import AuditorError

PATH = click.Path(readable=False)
"""A path, or what may stand for one, as it was written: nothing is asked of it but that shells complete it."""

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete commands, options, rules and files.

    \b
    bash  in ~/.bashrc:  eval "$(auditor completion bash)"
    zsh   in ~/.zshrc:   eval "$(auditor completion zsh)"
    fish  once:  auditor completion fish > ~/.config/fish/completions/auditor.fish
    """
    click.echo(_SHELLS[shell](ctx.find_root().command, {}, "auditor", "_AUDITOR_COMPLETE").source())


def complete_rules(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The rules and groups that begin like that; of several, separated by commas, the last one is completed.

    Rules of the user's own are among them if their folder is configured, or named by --rules.
    """
    before, comma, begun = incomplete.rpartition(",")
    try:
        rules = known(ctx.params.get("folders") or ())
    except AuditorError:
        return []
    helps = {rule.group: f"every rule of {rule.group}" for rule in rules.values()}
    helps |= {rule.id: rule.title for rule in rules.values()}
    return [CompletionItem(f"{before}{comma}{name}", help=helps[name]) for name in _beginning(helps, begun)]


def _beginning(names: Iterable[str], begun: str) -> list[str]:
    return sorted(name for name in names if name.startswith(begun))

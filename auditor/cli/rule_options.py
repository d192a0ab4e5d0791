"""The option that every command has which knows rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from auditor import config
from auditor.check.catalogue import load
from auditor.check.header import Rule
from auditor.config import discover

F = TypeVar("F", bound=Callable[..., Any])


def rule_folders(command: F) -> F:
    """`--rules DIR`: folders of custom rules, beside ours."""
    return click.option(
        "--rules",
        "folders",
        multiple=True,
        is_eager=True,
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Also the rules in this folder, as DIR/<group>/<rule-id>.sql; may be repeated.",
    )(command)


def known(folders: Sequence[Path]) -> dict[str, Rule]:
    """Our rules with those of these folders, and of the configuration that holds here."""
    path = discover(())
    configured = config.load(path).rules if path is not None else ()
    return load((*configured, *folders))

"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from auditor.runtime import FencePolicy

F = TypeVar("F", bound=Callable[..., Any])


def number(name: str, default: int, meaning: str, least: int = 0) -> Callable[[F], F]:
    """A whole number, `least` or more."""
    return click.option(
        name, type=click.IntRange(min=least), default=default, show_default=True, metavar="N", help=meaning
    )


def fence(meaning: str) -> Callable[[F], F]:
    """`--fence`: a policy of fences, by default all of them."""
    return click.option(
        "--fence",
        type=click.Choice([policy.value for policy in FencePolicy]),
        default=FencePolicy.FULL.value,
        show_default=True,
        help=meaning,
    )


def run_lease(*, default: bool) -> Callable[[F], F]:
    """`--serialise/--no-serialise`: whether ticks of one run wait for each other."""
    return click.option(
        "--serialise/--no-serialise",
        default=default,
        show_default=True,
        help="One tick of a run at a time (run lease).",
    )

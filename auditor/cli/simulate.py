"""`auditor simulate`: logs with known faults, and the proof that the audit finds exactly those."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

import click

from auditor.cli.completion import PATH
from auditor.cli.options import number
from auditor.cli.progress import progress
from auditor.errors import UsageError
from auditor.model.judgement import ExitCode
from auditor.report import simulate as text
from auditor.runtime import FencePolicy
from auditor.simulate.faults import FAULTS
from auditor.simulate.faults.base import Fault
from auditor.simulate.logs import Log
from auditor.simulate.matrix import SEEDS, Row, matrix
from auditor.simulate.scenarios import SCENARIOS, Scenario
from auditor.simulate.shrink import Setting, parsed, shrink

T = TypeVar("T")

RUNS = 20
"""Simulations, unless somebody asks for more."""


def _scenarios(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> tuple[Scenario, ...]:
    return tuple(_named("scenario", name, SCENARIOS) for name in names)


def _fault(_: click.Context, __: click.Parameter, name: str | None) -> type[Fault] | None:
    return None if name is None else _named("fault", name, FAULTS)


def _named(what: str, name: str, known: Mapping[str, T]) -> T:
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "auditor simulate --list names them all"
    raise click.BadParameter(f"there is no {what} {name!r}; {hint}")


@click.command(short_help="Make logs with known faults; prove that the rules find them.")
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    callback=_scenarios,
    metavar="NAME",
    help="What is simulated; may be repeated. By default all, or those of the fault.",
)
@click.option("--fault", callback=_fault, metavar="NAME", help="What is broken; by default nothing.")
@click.option(
    "--fence",
    type=click.Choice([policy.value for policy in FencePolicy]),
    help="Which decisions are fenced, in place of what the fault needs.",
)
@number("--seed", 0, "The first seed. The same seed gives the same bytes everywhere.")
@click.option("--seeds", type=click.IntRange(min=1), metavar="N", help=f"How many seeds.  [default: {RUNS}]")
@click.option("--runs", type=click.IntRange(1, 1000), metavar="N", help="Runs that are in one world at a time.")
@click.option("--size", type=click.IntRange(1, 10_000), metavar="N", help="How long a run is.")
@click.option("--out", type=PATH, metavar="FOLDER", help="Write the log, and the truth about it, to a new folder.")
@click.option("--matrix", "is_matrix", is_flag=True, help="Inject every fault and audit what comes of it.")
@click.option("--shrink", "is_shrink", is_flag=True, help="Make the first simulation that goes wrong small.")
@click.option("--script", metavar="SCRIPT", help="Play this schedule, as --shrink prints it, with one seed.")
@click.option("--list", "is_list", is_flag=True, help="List the scenarios and the faults.")
@click.option("--explain", callback=_fault, metavar="FAULT", help="Say what a fault imitates.")
def simulate(
    scenarios: tuple[Scenario, ...],
    fault: type[Fault] | None,
    fence: str | None,
    seed: int,
    seeds: int | None,
    runs: int | None,
    size: int | None,
    out: str | None,
    is_matrix: bool,
    is_shrink: bool,
    script: str | None,
    is_list: bool,
    explain: type[Fault] | None,
) -> int:
    """Simulate worlds in virtual time, with one fault or none, and know which run it took effect in.

    \b
    auditor simulate --fault fence-not-enforced --out broken/
    auditor check broken/log.ndjson
      makes a log with a known fault, and lets the audit find it.
    auditor simulate --scenario door --fence off --seeds 200 --shrink
      finds the bug that fences cure, and shows it in a dozen events.
    auditor simulate --matrix
      proves the rules: every fault against every rule.

    Below --fence full, what took effect is judged by that policy: an unfenced write is no effect there, only what
    it breaks.

    \b
    Exit codes:
      0  it was simulated; of a matrix: every fault that took effect was
         found, nothing else was, and no fault and no rule is idle
      1  of a matrix: something was missed, or falsely found, or idle
      2  misuse
    """
    logging.getLogger("auditor.runtime").setLevel(logging.CRITICAL)
    if is_list or explain is not None:
        _print(text.listing() if explain is None else text.explained(explain))
        return int(ExitCode.CLEAN)
    if is_matrix:
        given = {"scenario": scenarios, "fence": fence, "runs": runs, "size": size, "out": out, "script": script}
        if unused := [f"--{name}" for name, value in given.items() if value]:
            raise UsageError(f"--matrix takes --fault, --seed and --seeds; not {', '.join(unused)}")
        return _matrix(None if fault is None else [fault], seeds or SEEDS, seed)
    broken = fault or Fault
    chosen = list(scenarios) or [SCENARIOS[name] for name in (broken.scenarios if fault else SCENARIOS)]
    if runs is not None:
        chosen = [replace(scenario, runs=runs) for scenario in chosen]
    policy = None if fence is None else FencePolicy(fence)
    settings = [
        Setting(chosen[(number - seed) % len(chosen)], number, broken, policy, size)
        for number in range(seed, seed + (seeds or RUNS))
    ]
    if script is not None:
        return _scripted(settings, script)
    return _shrunk(settings) if is_shrink else _played(settings, out)


def _matrix(faults: list[type[Fault]] | None, seeds: int, first: int) -> int:
    click.echo(text.HEADING)

    def show(row: Row) -> None:
        _print(text.row(row))

    made = matrix(faults, seeds, first, show)
    click.echo()
    _print(text.totals(made))
    return int(ExitCode.CLEAN if made.is_sound else ExitCode.FOUND)


def _played(settings: list[Setting], out: str | None) -> int:
    folder = None if out is None else Path(out)
    if folder is not None and folder.exists():
        raise UsageError(f"{folder} exists already; name another folder")
    log = Log(settings[0].fault)
    with progress("simulating") as show:
        for done, setting in enumerate(settings, start=1):
            log.add(setting.play())
            if show is not None:
                show(done, len(settings))
    _print(text.played(log.truth))
    if folder is not None:
        paths = log.write(folder)
        named = " ".join(str(path) for path in paths)
        click.echo(f"\nthe truth is in {folder / 'truth.json'}; auditor check {named} tells what the audit finds")
    return int(ExitCode.CLEAN)


def _shrunk(settings: list[Setting]) -> int:
    for setting in settings:
        if (found := shrink(setting)) is not None:
            _print(text.shrunk(found))
            return int(ExitCode.CLEAN)
    click.echo(f"all is as it should be in {len(settings)} simulations")
    return int(ExitCode.CLEAN)


def _scripted(settings: list[Setting], script: str) -> int:
    if len(settings) != 1:
        raise UsageError("a script is of one simulation: name its --scenario, its --seed, and --seeds 1")
    _print(text.scripted(settings[0].play(parsed(script))))
    return int(ExitCode.CLEAN)


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)

"""`auditor replay`: the code of workflows on recorded histories. Imported only when it is asked for."""

from __future__ import annotations

import contextlib
import sys

import click

from auditor.cli.completion import PATH
from auditor.cold import replay_logs, workflow_of_code
from auditor.report import replay as report
from auditor.report.machine import as_json


@click.command(short_help="Replay workflow code on recorded histories.")
@click.option(
    "--workflow",
    "places",
    multiple=True,
    required=True,
    metavar="MODULE:FUNCTION",
    help="A workflow to replay, imported from this folder; may be repeated.",
)
@click.argument("logs", nargs=-1, required=True, type=PATH, metavar="LOG...")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
@click.option("--save", type=PATH, metavar="FILE", help="Keep the audit as one DuckDB file; payloads are in it.")
def replay(places: tuple[str, ...], logs: tuple[str, ...], json_: bool, save: str | None) -> int:
    """Replay the code of workflows on recorded histories: would it still make them?

    LOG is what `auditor check` takes: files, folders, archives, `-` for stdin, or the URL of a world; with its
    payloads, as `auditor world export` writes it. Each run of a named workflow is replayed from its first event,
    without the one that ends it, and has to come to the same end. No step is executed and nothing is written.
    Payloads are not printed.

    \b
    Exit codes:
      0  every run is reproduced
      1  a run diverges, or comes to another end
      2  misuse or an internal error
      3  a run could not be replayed, or nothing was read
    """
    workflows = [workflow_of_code(place) for place in places]
    # What a workflow prints would stand in the middle of the report.
    with contextlib.redirect_stdout(sys.stderr):
        result = replay_logs(*logs, workflows=workflows, save=save)
    with result:
        if json_:
            click.echo(as_json(report.document(result), indent=2, ascii_only=True))
        else:
            click.echo(report.render(result), nl=False)
        return int(result.exit_code)

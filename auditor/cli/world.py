"""`auditor world`: make, look at, write to, export and verify a world. Imported only when it is asked for."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from auditor.cli.completion import PATH
from auditor.cli.progress import progress
from auditor.cli.urls import must_last
from auditor.cli.work import work
from auditor.errors import UsageError
from auditor.model.judgement import ExitCode
from auditor.model.records import EVENT, HEAD, RUN
from auditor.model.rows import Refusal, Run
from auditor.report import world as text
from auditor.report.words import plain
from auditor.runtime.client import cancel as cancel_run
from auditor.runtime.client import resume_hook
from auditor.world import Appended, World, create_world, open_world
from auditor.world.dumping import dumped
from auditor.world.export import Format, export
from auditor.world.to_log import Lines
from auditor.world.verify import Verification, verify

T = TypeVar("T")

STATUSES = ("pending", "running", "completed", "failed", "cancelled")

SHOWN_DEAD = 10
"""Dead letters that `stats` names; all are counted."""

PAGE = 1_000
"""Runs that are read at a time."""

_SQLITE = "sqlite:///"
_STDIO = "-"
_as_json = click.option("--json", "json_", is_flag=True, help="Print JSON.")
_url = click.argument("url")


@click.group(short_help="Make, read, write, export and verify a world.")
def world() -> None:
    """A world of your own: an event store in which no decision made on a stale snapshot can be committed.

    URL is sqlite:///relative.db, sqlite:////absolute.db or postgresql://USER@HOST/DB (give the password by
    PGPASSWORD). Payloads and hook tokens are printed only by `export` and `events --payloads`.

    \b
    Exit codes:
      0  done; for verify: no fault
      1  the world refused it; for verify: a fault
      2  misuse, or the world cannot be used now
    """


@world.command(short_help="Make a new, empty world.")
@_url
def init(url: str) -> None:
    """Make a new, empty world at URL: a SQLite file, or the schema `auditor` in a database."""
    must_last(url)
    asyncio.run(create_world(url))
    click.echo("made an empty world")


@world.command(name="export", short_help="Export a world, or one run of it.")
@_url
@click.option(
    "-o", "--output", default="-", type=PATH, metavar="PATH", help="File, or folder for Parquet; - is stdout."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["ndjson", "parquet"]),
    default="ndjson",
    show_default=True,
    help="JSON lines, or a folder of Parquet tables.",
)
@click.option("--run", "run_id", metavar="ID", help="Export this run only.")
@click.option("--no-payloads", is_flag=True, help="Leave payloads out, and of a hook token all but its SHA-256.")
@click.option("--force", is_flag=True, help="Replace what is at PATH.")
def export_(url: str, output: str, format_: Format, run_id: str | None, no_payloads: bool, force: bool) -> None:
    """Export a world as auditor.log/v1, as of one moment, for `auditor check` and for keeping.

    Unless --no-payloads is given, payloads and hook tokens are in it in the clear, and whoever has the token of an
    open hook can resume its run. Without them, every rule still sees what it needs, and the hash chain verifies.
    """
    if output == _STDIO:
        target: Any = sys.stdout.buffer
    else:
        target = Path(output)
        if url.startswith(_SQLITE) and _is_same(target, Path(url.removeprefix(_SQLITE))):
            raise UsageError(f"{target} is the world itself; name another file to export it to")

    async def work(opened: World) -> None:
        with progress("exporting") as show:
            done = await export(
                opened,
                target,
                format=format_,
                run_id=run_id,
                payloads=not no_payloads,
                force=force,
                progress=show,
            )
        if output != _STDIO:
            click.echo(
                f"{done.runs} runs, {done.events} events, {done.refusals} refusals, {done.entities} steps, waits "
                f"and hooks"
            )

    _in_world(url, work)


@world.command(name="runs", short_help="List runs.")
@_url
@click.option("--status", type=click.Choice(STATUSES), help="Only runs of this status.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, metavar="N", help="At most N."
)
@_as_json
def runs_(url: str, status: str | None, limit: int, json_: bool) -> None:
    """List runs by id: status, number of events, last change, workflow.

    With --json a line a run, which also holds the hash of its log: keep it elsewhere, for `verify --expect`.
    """

    async def work(opened: World) -> list[Run]:
        # One more than is shown: is there any?
        return [run async for run in _runs(opened, status, limit + 1)]

    found = _in_world(url, work)
    described = Lines(RUN), Lines(HEAD)
    if json_:
        _lines(_dumped(_described(run, *described)) for run in found[:limit])
    else:
        _lines(text.runs(found[:limit]))
    if len(found) > limit:
        click.echo(f"there are more runs: --limit {limit * 10}", err=True)


@world.command(name="events", short_help="Show the log of a run.")
@_url
@click.argument("run_id", metavar="RUN")
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="N", help="Begin behind position N.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=1_000, show_default=True, metavar="N", help="At most N."
)
@click.option("--payloads", is_flag=True, help="Show the data of events, with payloads and hook tokens.")
@_as_json
def events_(url: str, run_id: str, after: int, limit: int, payloads: bool, json_: bool) -> None:
    """Show the log of RUN: position, time, type, entity, fence and writer.

    [#7] was appended only because #7 was the last event; [-] unfenced, on purpose; [?] its writer sent nothing.
    With --json a line an event, as in an export.
    """
    snapshot = _in_world(url, lambda opened: opened.events(run_id, after, limit))
    if json_:
        _lines(map(Lines(EVENT, payloads=payloads).line, snapshot.events))
    else:
        _lines(text.events(snapshot.events, payloads=payloads))
    if not snapshot.complete:
        click.echo(f"the log ends with #{snapshot.run.version}: --after {after + limit}", err=True)


@world.command(short_help="Deliver to an open hook.")
@_url
@click.argument("token")
@click.option("--payload", default="null", metavar="JSON", help="What is delivered.  [default: null]")
@click.option("--resume-id", metavar="ID", help="Names this delivery: repeated under the same ID, it is one.")
@click.option(
    "--as-of", "moment", type=click.IntRange(min=0), metavar="MS", help="Only if nothing happened since."
)
def resume(url: str, token: str, payload: str, resume_id: str | None, moment: int | None) -> None:
    """Deliver to the open hook that holds TOKEN (- reads it from stdin), and print the event's id.

    --as-of makes it conditional: refused if anything was committed to the run since MS (ms since 1970).
    """
    delivered = _parsed(payload)
    if token == _STDIO:
        token = sys.stdin.readline().strip()
    _tell(_in_world(url, lambda opened: resume_hook(opened, token, delivered, resume_id=resume_id, as_of=moment)))


@world.command(short_help="Cancel a run.")
@_url
@click.argument("run_id", metavar="RUN")
@click.option("--reason", metavar="TEXT", help="Why; kept in the log.")
def cancel(url: str, run_id: str, reason: str | None) -> None:
    """Cancel RUN and print the event's id. Steps that are under way are not stopped."""
    _tell(_in_world(url, lambda opened: cancel_run(opened, run_id, reason)))


@world.command(name="verify", short_help="Check that a world is what it wrote.")
@_url
@click.option("--run", "run_id", metavar="ID", help="Verify this run only.")
@click.option(
    "--expect", metavar="HASH", callback=lambda *given: _hash(given[2]), help="The run's log must hold it."
)
@_as_json
def verify_(url: str, run_id: str | None, expect: str | None, json_: bool) -> int:
    """Check every log (positions, ids, hash chain, digests, fences, lifecycles), that the rows of runs, steps,
    waits and hooks say what their log does, and that every open run will be woken. Each fault is a line.

    It cannot see what somebody did who computed the hash chain anew, or who removed the end of a log and put its
    rows back to match. Keep the hash of a run elsewhere (`runs --json`) and give it as --expect, with --run.
    """
    if expect is not None and run_id is None:
        raise UsageError("--expect is the hash of one run: name it with --run ID")

    async def work(opened: World) -> Verification:
        with progress("verifying") as show:
            expected = {} if run_id is None or expect is None else {run_id: expect}
            return await verify(opened, expected, run_id=run_id, progress=show)

    found = _in_world(url, work)
    _lines([_dumped(_verified(found))] if json_ else _told(found))
    return int(ExitCode.CLEAN if found.is_sound else ExitCode.FOUND)


@world.command(short_help="Count what is in a world.")
@_url
@_as_json
def stats(url: str, json_: bool) -> None:
    """Count runs by status, events, refused writes by code, messages and dead letters; and the size of a file."""

    async def work(opened: World) -> dict[str, Any]:
        runs: Counter[str] = Counter()
        refusals: Counter[str] = Counter()
        events = 0
        async with dumped(opened, ("run", "refusal")) as batches:
            async for table, rows in batches:
                if table == "run":
                    known = [Run._make(row) for row in rows]
                    runs.update(run.status for run in known)
                    events += sum(run.version for run in known)
                else:
                    refusals.update(Refusal._make(row[1:]).code for row in rows)
        dead = await opened.queue.dead_letters(SHOWN_DEAD)
        return {
            "runs": dict(sorted(runs.items())),
            "events": events,
            "refusals": dict(sorted(refusals.items())),
            "queue": dict(await opened.queue.depth()),
            "deadLetters": [
                {
                    "messageId": letter.message_id,
                    "runId": letter.run_id,
                    "kind": letter.kind.value,
                    "correlationId": letter.correlation_id,
                    "attempt": letter.attempt,
                    "diedAt": letter.died_at,
                }
                for letter in dead
            ],
            "bytes": _size(url),
        }

    facts = _in_world(url, work)
    _lines([_dumped(facts)] if json_ else text.stats(facts))


def _in_world(url: str, work: Callable[[World], Awaitable[T]]) -> T:
    """Open the world, do the work in it, and close it."""
    must_last(url)

    async def call() -> T:
        async with await open_world(url) as opened:
            return await work(opened)

    return asyncio.run(call())


async def _runs(opened: World, status: str | None, limit: int) -> AsyncIterator[Run]:
    after = None
    while limit > 0 and (page := await opened.runs(status, after, min(limit, PAGE))):
        for run in page:
            yield run
        limit -= len(page)
        after = page[-1].run_id


def _tell(done: Appended) -> None:
    (event,) = done.events
    if done.repeated:
        click.echo(f"this was delivered before, as #{event.position} of {plain(event.run_id)}", err=True)
    click.echo(plain(event.event_id))


def _described(run: Run, entity: Lines, head: Lines) -> dict[str, Any]:
    said = entity.record(run) | head.record(run)
    return {key: value for key, value in said.items() if key not in ("record", "kind")}


def _told(found: Verification) -> Iterator[str]:
    for fault in found.faults:
        place = "" if fault.position is None else f" #{fault.position}"
        yield f"{plain(fault.run_id)}{place} {fault.kind}: {plain(fault.because)}"
    if found.more:
        yield f"... and {found.more} more"
    for run_id, position in found.kept.items():
        yield f"{plain(run_id)} holds the expected hash at #{position}"
    faulty = len({fault.run_id for fault in found.faults})
    said = "sound" if found.is_sound else f"{len(found.faults) + found.more} faults in {faulty} runs"
    yield f"{said}: {found.runs} runs, {found.events} events"


def _verified(found: Verification) -> dict[str, Any]:
    faults = [
        {"runId": fault.run_id, "position": fault.position, "kind": fault.kind.value, "because": fault.because}
        for fault in found.faults
    ]
    return {
        "sound": found.is_sound,
        "runs": found.runs,
        "events": found.events,
        "expectedAt": found.kept,
        "faults": faults,
        "moreFaults": found.more,
    }


def _parsed(payload: str) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--payload is no JSON ({error}); a text is written in quotes, as '\"yes\"'") from None


def _hash(value: str | None) -> str | None:
    if value is not None and not re.fullmatch("[0-9a-f]{64}", value):
        raise click.BadParameter(f"{value!r} is no SHA-256 in hex, as `auditor world runs --json` prints it")
    return value


def _size(url: str) -> int | None:
    """Bytes of a SQLite world with its write-ahead log; None where there is no file."""
    if not url.startswith(_SQLITE):
        return None
    path = Path(url.removeprefix(_SQLITE))
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def _is_same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _lines(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _dumped(value: Any) -> str:
    return json.dumps(value)


world.add_command(work)

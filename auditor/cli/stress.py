"""`auditor stress`: the published experiment, on a world of its own or on a given one."""

from __future__ import annotations

import asyncio
import logging
import re
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click

from auditor.cli.completion import PATH
from auditor.cli.options import fence as fence_option
from auditor.cli.options import number, run_lease
from auditor.cli.progress import progress
from auditor.cold import Replayed, replay_history
from auditor.errors import NotAWorld, UsageError
from auditor.model.judgement import ExitCode
from auditor.report import stress as text
from auditor.result import audit
from auditor.runtime import FencePolicy
from auditor.stress import Latency, Outcome, Plan, Shape, run_cycle
from auditor.stress.shape import stress as workflow
from auditor.world import World, create_world, open_world
from auditor.world.export import export

_DEFAULT = Plan()
_SHAPE = _DEFAULT.shape
_MEMORY = "memory:"


def _latency(_: click.Context, __: click.Parameter, value: str) -> Latency:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", value)
    if match is None or float(match[2] or match[1]) < float(match[1]):
        raise click.BadParameter(f"{value!r} is not A-B, two numbers of milliseconds such as 150-250")
    return Latency(float(match[1]), float(match[2] or match[1]))


@click.command(short_help="Run the published experiment that corrupts unfenced logs.")
@number("--count", _DEFAULT.count, "Runs.", 1)
@number("--iterations", _SHAPE.iterations, "Races in each run.", 1)
@number("--sleep-ms", _SHAPE.sleep_ms, "The sleep that is raced against the hook.")
@number("--sleep-branch-wait-count", _SHAPE.sleep_branch_wait_count, "Parallel sleeps when the sleep wins.", 1)
@number("--sleep-branch-wait-ms", _SHAPE.sleep_branch_wait_ms, "How long each of them takes.")
@number("--drain-delay-ms", _SHAPE.drain_delay_ms, "How long the step takes that follows a won hook.")
@number("--fire-after-ms", _DEFAULT.fire_after_ms, "When the first signal is sent to a run.")
@number("--fire-jitter-ms", _DEFAULT.fire_jitter_ms, "Each run's first signal is up to so much later, at random.")
@number("--fire-count", _DEFAULT.fire_count, "Signals to each run.")
@number("--fire-burst-spacing-ms", _DEFAULT.fire_burst_spacing_ms, "Between two signals; 0 sends all at once.")
@fence_option("Which decisions are fenced.")
@run_lease(default=False)
@click.option(
    "--latency-ms",
    callback=_latency,
    default="0",
    metavar="A-B",
    help="Wait so long, drawn evenly, after every read of a log and before every commit.",
)
@number("--cycles", 1, "How often all of it is done.", 1)
@number("--seed", 0, "Of latencies and backoff; what the clock decides differs from time to time.")
@click.option(
    "--store", metavar="URL", help="World to run on, made if it is not there; by default a new SQLite file."
)
@number("--workers", _DEFAULT.workers, "Processes that work; 1 works in this one.", 1)
@number(
    "--timeout", round(_DEFAULT.timeout_seconds), "Seconds after which a cycle's open runs are left running.", 1
)
@click.option("--export", "export_to", type=PATH, metavar="FILE", help="Keep the exported log (JSON lines).")
def stress(
    count: int,
    iterations: int,
    sleep_ms: int,
    sleep_branch_wait_count: int,
    sleep_branch_wait_ms: int,
    drain_delay_ms: int,
    fire_after_ms: int,
    fire_jitter_ms: int,
    fire_count: int,
    fire_burst_spacing_ms: int,
    fence: str,
    serialise: bool,
    latency_ms: Latency,
    cycles: int,
    seed: int,
    store: str | None,
    workers: int,
    timeout: int,
    export_to: str | None,
) -> int:
    """Run the published experiment: many runs race a hook against a sleep, in a loop, while signals are fired at
    them. Then export the log and audit it.

    \b
    auditor stress --fence off --latency-ms 150-250 --fire-burst-spacing-ms 400
      shows the bug: replays with a stale copy of the log corrupt it.
    auditor stress --latency-ms 150-250 --fire-burst-spacing-ms 400
      shows the cure: the same, with every decision fenced.

    \b
    Exit codes:
      0  all runs completed, no signal was lost, and the audit is clean
      1  a run did not complete, a signal was lost, or the audit found an error
      2  misuse, or the world cannot be used
    """
    plan = Plan(
        count=count,
        shape=Shape(iterations, sleep_ms, sleep_branch_wait_count, sleep_branch_wait_ms, drain_delay_ms),
        fire_after_ms=fire_after_ms,
        fire_jitter_ms=fire_jitter_ms,
        fire_count=fire_count,
        fire_burst_spacing_ms=fire_burst_spacing_ms,
        policy=FencePolicy(fence),
        serialise=serialise,
        latency=latency_ms,
        workers=workers,
        timeout_seconds=float(timeout),
        seed=seed,
    )
    logging.getLogger("auditor.runtime").setLevel(logging.ERROR)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="auditor-stress-")))
        url = store or f"sqlite:///{folder / 'world.db'}"
        if workers > 1 and url.startswith(_MEMORY):
            raise UsageError("a world in memory is of one process: --workers 1, or another --store")
        log = Path(export_to) if export_to else folder / "log.ndjson"
        if export_to and log.exists():
            raise UsageError(f"{log} exists already; name another file")
        outcome, replayed = asyncio.run(_experiment(url, plan, cycles, log))
        for line in text.outcome(outcome):
            click.echo(line)
        result = stack.enter_context(audit(log))
        click.echo()
        for line in text.audited(result, outcome, replayed):
            click.echo(line)
        if export_to:
            click.echo(f"\nthe log is in {log}; auditor check {log} tells what was found")
        well = outcome.states[text.COMPLETED] == len(outcome.runs) and not outcome.lost
        return int(ExitCode.CLEAN if well and result.exit_code == ExitCode.CLEAN else ExitCode.FOUND)


async def _experiment(url: str, plan: Plan, cycles: int, log: Path) -> tuple[Outcome, list[Replayed]]:
    """What became of the runs, and what a replay of the code says of those that failed."""
    total = Outcome()
    async with await _opened(url) as world:
        for cycle in range(cycles):
            with progress(f"cycle {cycle + 1} of {cycles}: runs ended") as show:
                total += await run_cycle(world, url, replace(plan, seed=plan.seed + cycle * plan.workers), show)
        with progress("exporting") as show:
            await export(world, log, fence_policy=plan.policy.value, progress=show)
        failed = [run for run in total.runs if (row := await world.run(run)) is not None and row.error_code]
        return total, [replay_history(workflow, (await world.events(run)).events) for run in failed]


async def _opened(url: str) -> World:
    """The world at a URL, made if there is none."""
    if not url.startswith(_MEMORY):
        try:
            return await open_world(url)
        except NotAWorld:
            await create_world(url)
    return await open_world(url)

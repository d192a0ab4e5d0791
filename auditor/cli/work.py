"""`auditor world work`: a worker as a process of its own."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from prometheus_client import start_http_server
from pythonjsonlogger.json import JsonFormatter

from auditor.cli.options import fence as fence_option
from auditor.cli.options import number, run_lease
from auditor.cli.urls import must_last
from auditor.errors import UsageError
from auditor.runtime import FencePolicy, Worker
from auditor.runtime.registry import workflow_at
from auditor.runtime.worker import CONCURRENCY, LEASE_MS
from auditor.world import open_world


@click.command(short_help="Work on the runs of a world.")
@click.argument("url")
@click.option(
    "--workflow",
    "workflows",
    multiple=True,
    required=True,
    metavar="MODULE:FUNCTION",
    help="A workflow to work on, with the steps that its module declares; may be repeated.",
)
@fence_option("Which decisions are fenced; all but full is for experiments.")
@run_lease(default=True)
@number("--concurrency", CONCURRENCY, "Ticks, and as many steps, under way at once.", 1)
@number("--lease-ms", LEASE_MS, "After how long the work of a worker that died is done by another one.", 100)
@click.option(
    "--metrics-port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Serve counters to Prometheus on 127.0.0.1 at PORT, path /metrics.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What is logged on stderr, a JSON object a line.",
)
def work(
    url: str,
    workflows: tuple[str, ...],
    fence: str,
    serialise: bool,
    concurrency: int,
    lease_ms: int,
    metrics_port: int | None,
    log_level: str,
) -> None:
    """Take messages off the queue of the world at URL: tick the runs of the named workflows, and execute their
    steps. Runs until it is told to stop (Ctrl-C or SIGTERM), and then ends what is under way.

    The modules are imported from this folder, as Python would. Messages for workflows and steps that none of them
    declares are left to other workers. Every fence conflict is logged and counted, by the site that decided.
    """
    must_last(url)
    for place in workflows:
        workflow_at(place)

    async def until_stopped() -> None:
        async with await open_world(url) as world:
            worker = Worker(
                world,
                policy=FencePolicy(fence),
                serialise=serialise,
                concurrency=concurrency,
                lease_ms=lease_ms,
            )
            if metrics_port is not None:
                _serve(metrics_port, worker)
            loop = asyncio.get_running_loop()
            for stop in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(stop, worker.stop)
            await worker.run()

    with _logging_to_stderr(log_level):
        asyncio.run(until_stopped())


@contextmanager
def _logging_to_stderr(level: str) -> Iterator[None]:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter("{levelname}{message}", style="{", timestamp="at", rename_fields={"levelname": "level"})
    )
    logger = logging.getLogger("auditor")
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _serve(port: int, worker: Worker) -> None:
    try:
        start_http_server(port, "127.0.0.1", registry=worker.metrics.registry)
    except OSError as error:
        raise UsageError(f"cannot serve metrics on port {port}: {error.strerror}") from None

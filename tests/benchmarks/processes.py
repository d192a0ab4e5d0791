"""Processes that are measured: how long, and how much memory at their peak.

This module and what imports it stay small on purpose: Linux counts a parent's peak as its child's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
AUDITOR = (sys.executable, "-c", "from auditor.cli.main import main; main()")
"""The command, with the interpreter that runs the benchmark."""


class Broken(Exception):
    """A process that was to be measured did not do its work."""


class Spent(NamedTuple):
    """What a process took: wall time, and the peak of its resident memory in bytes."""

    seconds: float
    memory: int
    output: str


def run(command: Sequence[str], *, codes: Sequence[int] = (0,)) -> Spent:
    """Run a command to its end, and measure it from outside. Raises Broken on an exit code not in `codes`."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as stdout:
        output = stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        raise Broken(f"{' '.join(command)} ended with {process.returncode}")
    return Spent(seconds, used.ru_maxrss * 1024, output)


def job(name: str, path: Path) -> dict[str, Any]:
    """Run one of `jobs` in a process of its own; raises Broken if an audit did not find exactly what is there."""
    spent = run([sys.executable, "-m", "tests.benchmarks.jobs", name, str(path)])
    report: dict[str, Any] = json.loads(spent.output)
    if wrong := report.get("differences"):
        raise Broken("\n".join([f"{path}: the audit did not count the known anomalies exactly", *wrong[:20]]))
    return report


def check(path: Path, memory_limit: str | None = None) -> Spent:
    """`auditor check` on a log, its report thrown away by us, not by it."""
    limit = ["--memory-limit", memory_limit] if memory_limit is not None else []
    return run([*AUDITOR, "check", str(path), "--fail-on", "never", *limit])

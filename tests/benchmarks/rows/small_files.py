"""Ingest of a world-local folder against `tar c` of it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from ..processes import job
from ..ratios import Row, compare


def measure(folder: Path, rounds: int) -> Row:
    """One file an event; `tar` opens, reads and forgets every one of them."""
    tar(folder)
    return compare(
        "ingest a directory of 100k small files, against `tar c` of it",
        1.0,
        lambda: float(job("ingest", folder)["seconds"]),
        lambda: tar(folder),
        rounds,
    )


def tar(folder: Path) -> float:
    """Seconds. Through a pipe: GNU tar reads no file when it sees that it writes to /dev/null."""
    started = time.perf_counter()
    with subprocess.Popen(["tar", "c", "-C", str(folder), "."], stdout=subprocess.PIPE) as packer:
        subprocess.run(["cat"], stdin=packer.stdout, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started

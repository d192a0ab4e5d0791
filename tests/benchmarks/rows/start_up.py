"""The command on a log of twenty lines against the import of its two heavy libraries."""

from __future__ import annotations

import sys

from ..processes import ROOT, check, run
from ..ratios import Row, compare

_LOG = ROOT / "sample_logs" / "healthy-order.ndjson"


def measure(rounds: int) -> Row:
    """Processes of a tenth of a second: four times as many rounds."""
    check(_LOG)
    return compare(
        "start-up: `auditor check` on 20 lines, against importing duckdb and pyarrow",
        4.0,
        lambda: check(_LOG).seconds,
        lambda: run([sys.executable, "-c", "import duckdb, pyarrow"]).seconds,
        4 * rounds,
    )

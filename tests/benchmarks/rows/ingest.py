"""Ingest of NDJSON against a bare read of the same file."""

from __future__ import annotations

from pathlib import Path

from ..processes import job
from ..ratios import Row, compare


def measure(log: Path, rounds: int) -> Row:
    """Both write a table into a database file; ours also digests payloads, finds rejects and capabilities."""
    return compare(
        "ingest NDJSON, against a bare read",
        2.0,
        lambda: float(job("ingest", log)["seconds"]),
        lambda: float(job("bare_read", log)["seconds"]),
        rounds,
    )

"""Everything behind the ingest against one sort of the envelope."""

from __future__ import annotations

from pathlib import Path

from ..processes import job
from ..ratios import Row, compare


def measure(log: Path, rounds: int) -> Row:
    """Both begin with ingested tables, in a process that has just ingested them."""
    return compare(
        "replay, all rules and findings, against a sort by run and event id",
        1.0,
        lambda: behind_ingest(job("audit", log)["stages"]),
        lambda: float(job("sort", log)["seconds"]),
        rounds,
    )


def behind_ingest(stages: dict[str, float]) -> float:
    """Seconds."""
    return stages["replay"] + stages["rules"] + stages["judge"]

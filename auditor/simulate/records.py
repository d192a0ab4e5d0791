"""The records of auditor.log/v1 that a simulated run is exported as."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any

from auditor.__about__ import __version__
from auditor.model.records import LOG_SCHEMA
from auditor.world.draft import iso
from auditor.world.export import FIELDS, TABLES
from auditor.world.to_log import lines_of

if TYPE_CHECKING:
    from auditor.simulate.world import SimulatedWorld

Record = dict[str, Any]
"""One line of a log: an event, a refusal, an entity, or the head of a run."""


def records_of(world: SimulatedWorld, run_id: str) -> list[Record]:
    """The whole export of one run."""
    return [
        json.loads(line) for table in TABLES for line in lines_of(table, world.rows(table, run_id), payloads=True)
    ]


def manifest(now_ms: int, fields: Iterable[str] = FIELDS, fence_policy: str | None = None) -> Record:
    """The first line of a log: all runs of its world, as of a moment in ms since 1970."""
    return {
        "record": "manifest",
        "schema": LOG_SCHEMA,
        "producer": f"auditor simulate {__version__}",
        "exportedAt": iso(now_ms),
        "fields": list(fields),
        "fencePolicy": fence_policy,
        "allRuns": True,
    }


def write(out: IO[bytes], records: Iterable[Record]) -> None:
    """Records as lines of JSON."""
    out.writelines(_lines(records))


def _lines(records: Iterable[Record]) -> Iterator[bytes]:
    for record in records:
        yield _compact(record).encode() + b"\n"


_compact = json.JSONEncoder(separators=(",", ":")).encode

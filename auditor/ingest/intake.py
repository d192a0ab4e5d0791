"""One input while it is read: its exports, its sources, its rejects, and what came of it.

Every format module is handed the Intake and a member. It says which export the member belongs to, opens a source
for it, and loads batches of rows or rejects them.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import duckdb
import pyarrow as pa

from auditor.database import insert
from auditor.ingest.json_rows import storable
from auditor.ingest.members import Member
from auditor.ingest.packing import Packer
from auditor.ingest.staging import REJECTS_AT_ONCE, Batch, Origin, Reject, load, store_rejects
from auditor.model.judgement import Capability

MOST_PROBLEMS = 20
"""Problems of one input that are told; the others are counted."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the user wants inputs to be read.

    `fields` maps a column (or dotted path) of a foreign log to the field of ours that it holds; `format` is one
    of INPUT_FORMATS, None to go by content; `keep_payloads` stores payloads in the audit file.
    """

    fields: dict[str, str] = field(default_factory=dict)
    format: str | None = None
    keep_payloads: bool = False


@dataclass(slots=True)
class Export:
    """One log in an input, and what its format records."""

    export_id: int
    name: str
    format: str | None
    records: set[Capability] = field(default_factory=set)
    manifest: dict[str, Any] | None = None


class Ledger:
    """What is common to all inputs of an audit: the numbers of exports and sources, and where they are kept."""

    def __init__(self, con: duckdb.DuckDBPyConnection, scratch: Path, options: Options) -> None:
        self.con = con
        self.scratch = scratch
        self.options = options
        self.exports: list[Export] = []
        self.sources: list[tuple[int, int, str, str | None]] = []
        self.packer = Packer(self.load, self.file)
        self._intakes: list[Intake] = []
        self._files = 0

    def file(self, label: str) -> Path:
        """A path of its own in the scratch folder."""
        self._files += 1
        return self.scratch / f"{self._files}-{label}"

    def intake(self, path: str) -> Intake:
        """Open the next input. `path` is what the user named, as it may be shown."""
        self._intakes.append(Intake(self, len(self._intakes) + 1, path))
        return self._intakes[-1]

    def load(self, batch: Batch) -> None:
        """Read a batch into the ingested tables."""
        load(self.con, batch, self.scratch, keep_payloads=self.options.keep_payloads)

    def close(self) -> None:
        """Load what is still packed; write down every input, its exports and its sources."""
        for intake in self._intakes:
            intake.store_rejects()
        self.packer.load()
        inputs = [intake.row() for intake in self._intakes]
        used = {export_id for _, export_id, _, _ in self.sources}
        exports = [
            {
                "export_id": export.export_id,
                "input_id": intake.input_id,
                "name": export.name,
                "format": export.format,
                "records": sorted(export.records),
                "manifest": json.dumps(export.manifest) if export.manifest is not None else None,
            }
            for intake in self._intakes
            for export in intake.exports
            if export.export_id in used
        ]
        # One file an event is one source an event: by columns, not by rows.
        sources = list(zip(*self.sources, strict=True)) or [()] * len(_SOURCE)
        insert(self.con, "input", pa.Table.from_pylist(inputs, _INPUT))
        insert(self.con, "export", pa.Table.from_pylist(exports, _EXPORT))
        insert(self.con, "source", pa.table(sources, _SOURCE))
        self.con.execute(_COUNTS).fetchall()


_INPUT = pa.schema(
    {
        "input_id": pa.int32(),
        "path": pa.string(),
        "format": pa.string(),
        **dict.fromkeys(("events", "entities", "refusals", "rejects", "merged", "skipped"), pa.int64()),
        "problem": pa.string(),
    }
)
_EXPORT = pa.schema(
    {
        "export_id": pa.int32(),
        "input_id": pa.int32(),
        "name": pa.string(),
        "format": pa.string(),
        "records": pa.list_(pa.string()),
        "manifest": pa.string(),
    }
)
_SOURCE = pa.schema({"source_id": pa.int32(), "export_id": pa.int32(), "name": pa.string(), "cut": pa.string()})

_COUNTS = """
UPDATE input
SET events = counted.events, entities = counted.entities, refusals = counted.refusals, rejects = counted.rejects
FROM (
    SELECT
        input_id,
        count(*) FILTER (WHERE record = 'event') AS events,
        count(*) FILTER (WHERE record = 'entity') AS entities,
        count(*) FILTER (WHERE record = 'refusal') AS refusals,
        count(*) FILTER (WHERE record = 'reject') AS rejects
    FROM (
        SELECT 'event' AS record, source_id FROM event_core
        UNION ALL SELECT 'entity', source_id FROM entity_row
        UNION ALL SELECT 'refusal', source_id FROM refusal
        UNION ALL SELECT 'reject', source_id FROM reject
    )
    JOIN source USING (source_id)
    JOIN export USING (export_id)
    GROUP BY input_id
) AS counted
WHERE counted.input_id = input.input_id
"""


class Intake:
    """One input while it is read. `path` is what the user named, as it may be shown."""

    def __init__(self, ledger: Ledger, input_id: int, path: str) -> None:
        self.ledger = ledger
        self.options = ledger.options
        self.input_id = input_id
        self.path = storable(path)
        self.rows = 0  # handed over or rejected
        self.skipped = 0
        self.problems: list[str] = []
        self._exports: dict[str, Export] = {}
        self._rejects: list[Reject] = []

    def export(self, name: str, format: str | None, records: set[Capability] | None = None) -> Export:
        """The export called `name`, relative to the input ('' for the input itself)."""
        if name not in self._exports:
            export = Export(len(self.ledger.exports) + 1, name, format)
            self.ledger.exports.append(export)
            self._exports[name] = export
        self._exports[name].records |= records or set()
        return self._exports[name]

    def source(self, export: Export, name: str) -> int:
        """Open a source."""
        source_id = len(self.ledger.sources) + 1
        self.ledger.sources.append((source_id, export.export_id, name, None))
        return source_id

    def cut(self, source_id: int, why: str) -> None:
        """Say of an open source why it may hold only a part of what was asked for."""
        self.ledger.sources[source_id - 1] = (*self.ledger.sources[source_id - 1][:3], why)

    def file(self, label: str) -> Path:
        """A path of its own for the rows between a format and DuckDB."""
        return self.ledger.file(label)

    def on_disk(self, member: Member, start: bytes = b"") -> Path:
        """A path at which the member's bytes lie; `start` is what has been read of them.

        It is not the member's own path: DuckDB would read a `*` or `[1]` in it as a pattern, `a=b` as a column and
        `.gz` as compressed.
        """
        path = self.file("member")
        if member.path is not None:
            path.symlink_to(Path(member.path).absolute())
            return path
        with path.open("wb") as out:
            out.write(start)
            copy(member.stream, out)
        return path

    def load(self, batch: Batch) -> None:
        """Read a batch into the ingested tables."""
        if batch.origins is None or batch.origins:
            self.rows += len(batch.origins or (1,))
            self.ledger.load(batch)

    def pack(self, record: str, origin: Origin, row: bytes) -> None:
        """Load one row, JSON text without a line break, sooner or later."""
        self.rows += 1
        self.ledger.packer.add(self, record, origin, row)

    def reject(self, origin: Origin, run_id: str | None, reason: str) -> None:
        """Record a row that could not be read."""
        self._rejects.append((origin, storable(run_id) if run_id else None, storable(reason)))
        self.rows += 1
        if len(self._rejects) == REJECTS_AT_ONCE:
            self.store_rejects()

    def store_rejects(self) -> None:
        """Write the rejects so far to the audit file."""
        store_rejects(self.ledger.con, self._rejects)

    def row(self) -> dict[str, Any]:
        """The input as it is written down; its rows are counted later."""
        formats = sorted({export.format for export in self.exports if export.format})
        return {
            "input_id": self.input_id,
            "path": self.path,
            "format": " + ".join(formats) or None,
            **dict.fromkeys(("events", "entities", "refusals", "rejects", "merged"), 0),
            "skipped": self.skipped,
            "problem": "; ".join(self._told()) or None,
        }

    def _told(self) -> list[str]:
        """The problems, each once."""
        told = list(dict.fromkeys(self.problems))
        more = len(told) - MOST_PROBLEMS
        return told[:MOST_PROBLEMS] + ([f"and {more:,} more problems"] if more > 0 else [])

    @property
    def exports(self) -> list[Export]:
        """The exports that were opened."""
        return list(self._exports.values())


def copy(stream: IO[bytes], out: IO[bytes]) -> None:
    """Copy what is left of a stream."""
    shutil.copyfileobj(stream, out, 1 << 20)


def folder_of(name: str) -> str:
    """The folder that a member lies in, relative to the input; '' at its top."""
    return name.rpartition("/")[0]

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
from auditor.ingest.staging import REJECTS_AT_ONCE, Batch, Counts, Origin, Reject, load, store_rejects
from auditor.model.judgement import Capability


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
        self._files = 0

    def file(self, label: str) -> Path:
        """A path of its own in the scratch folder."""
        self._files += 1
        return self.scratch / f"{self._files}-{label}"

    def store_sources(self) -> None:
        """Write every source of every input to the audit file."""
        ids, exports, names, cuts = zip(*self.sources, strict=True) if self.sources else ((), (), (), ())
        columns = {
            "source_id": pa.array(ids, pa.int32()),
            "export_id": pa.array(exports, pa.int32()),
            "name": pa.array(names, pa.string()),
            "cut": pa.array(cuts, pa.string()),
        }
        insert(self.con, "source", pa.table(columns))


class Intake:
    """One input while it is read. `path` is what the user named, as it may be shown."""

    def __init__(self, ledger: Ledger, input_id: int, path: str) -> None:
        self.ledger = ledger
        self.options = ledger.options
        self.input_id = input_id
        self.path = storable(path)
        self.counts = Counts()
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

    def on_disk(self, member: Member) -> Path:
        """A path at which the member's bytes lie; not its own, of which DuckDB would read a `*` or `[1]` as a
        pattern, `a=b` as a column and `.gz` as compressed."""
        path = self.file("member")
        if member.path is not None:
            path.symlink_to(Path(member.path).absolute())
            return path
        with path.open("wb") as out:
            copy(member.stream, out)
        return path

    def load(self, batch: Batch) -> int:
        """Read a batch into the ingested tables; the number of events that it gave."""
        if batch.origins is not None and not batch.origins:
            return 0
        counts = load(self.ledger.con, batch, self.ledger.scratch, keep_payloads=self.options.keep_payloads)
        self.counts.add(counts)
        return counts.events

    def reject(self, origin: Origin, run_id: str | None, reason: str) -> None:
        """Record a row that could not be read."""
        self._rejects.append((origin, storable(run_id) if run_id else None, storable(reason)))
        self.counts.rejects += 1
        if len(self._rejects) == REJECTS_AT_ONCE:
            store_rejects(self.ledger.con, self._rejects)

    def close(self) -> None:
        """Store the input, its exports and its rejects."""
        store_rejects(self.ledger.con, self._rejects)
        counts = self.counts
        formats = sorted({export.format for export in self._exports.values() if export.format})
        self.ledger.con.execute(
            "INSERT INTO input VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",
            [
                self.input_id,
                self.path,
                " + ".join(formats) or None,
                counts.events,
                counts.entities,
                counts.refusals,
                counts.rejects,
                self.skipped,
                "; ".join(dict.fromkeys(self.problems)) or None,
            ],
        )
        used = {export_id for _, export_id, _, _ in self.ledger.sources}
        for export in (export for export in self._exports.values() if export.export_id in used):
            manifest = json.dumps(export.manifest) if export.manifest is not None else None
            self.ledger.con.execute(
                "INSERT INTO export VALUES (?, ?, ?, ?, ?, ?)",
                [export.export_id, self.input_id, export.name, export.format, sorted(export.records), manifest],
            )


def copy(stream: IO[bytes], out: IO[bytes]) -> None:
    """Copy what is left of a stream."""
    shutil.copyfileobj(stream, out, 1 << 20)


def folder_of(name: str) -> str:
    """The folder that a member lies in, relative to the input; '' at its top."""
    return name.rpartition("/")[0]

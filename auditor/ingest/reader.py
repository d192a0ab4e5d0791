"""Read inputs of any accepted format into the ingested tables of an audit file.

A format is recognised by content and layout, never by the name of the input: a world-local folder by its
`events/` files, the Postgres world by the header of its CSVs, auditor.log/v1 by its JSON lines.
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
from auditor.errors import InputError, UsageError
from auditor.ingest import auditor_log, postgres_csv, world_local
from auditor.ingest.json_rows import BadRow
from auditor.ingest.members import Member, members, rejoined
from auditor.ingest.staging import Batch, Counts, Origin, load, statement
from auditor.model.judgement import Capability

_SNIFF = 1 << 16
_LOG_SUFFIXES = (".ndjson", ".jsonl")
"""Names that promise a log: a file so called that is none is a reject, not a bystander."""
_KNOWN = "auditor.log/v1, world-local, Postgres-world CSV"


@dataclass(slots=True)
class _Packed:
    """World-local files of one record kind, one a line."""

    path: Path
    out: IO[bytes]
    origins: list[Origin] = field(default_factory=list)


@dataclass(slots=True)
class _Export:
    """One log in an input, and what its format records."""

    export_id: int
    name: str
    format: str | None
    records: set[Capability] = field(default_factory=set)
    manifest: dict[str, Any] | None = None


@dataclass(slots=True)
class _Input:
    """What has been learned of one input so far."""

    input_id: int
    path: str
    exports: dict[str, _Export] = field(default_factory=dict)
    packed: dict[str, _Packed] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    skipped: int = 0


class Reader:
    """Reads inputs, one after the other, into the tables behind `con`.

    `scratch` is a private folder for the files between a format and DuckDB; it may hold payloads, so whoever
    makes it removes it.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, scratch: Path) -> None:
        self._con = con
        self._scratch = scratch
        self._inputs = 0
        self._exports = 0
        self._sources: list[tuple[int, int, str]] = []

    def read(self, path: str) -> None:
        """Read one input. What cannot be read is recorded as the input's problem or as rejects.

        Raises UsageError if there is nothing at `path`.
        """
        if not Path(path).exists():
            raise UsageError(f"{path}: there is no such file or folder")
        self._inputs += 1
        state = _Input(self._inputs, path)
        problem = None
        try:
            for member in members(Path(path)):
                self._member(member, state)
        except InputError as error:
            problem = error.problem
        for record, pack in state.packed.items():
            pack.out.close()
            try:
                self._load(Batch(record, pack.path, 0, pack.origins), state)
            except InputError as error:
                problem = error.problem
        if problem is None and not (state.counts.events or state.counts.entities or state.counts.rejects):
            problem = f"holds no event log that auditor knows ({_KNOWN})"
        self._record(state, problem)

    def finish(self) -> None:
        """Name the sources, and merge the rows that were read more than once."""
        ids, exports, names = zip(*self._sources, strict=True) if self._sources else ((), (), ())
        columns = {
            "source_id": pa.array(ids, pa.int32()),
            "export_id": pa.array(exports, pa.int32()),
            "name": pa.array(names, pa.string()),
        }
        insert(self._con, "source", pa.table(columns))
        self._con.execute(statement("merge.sql")).fetchall()

    def _member(self, member: Member, state: _Input) -> None:
        record = world_local.record_of(member.name)
        if record is None:
            self._file(member, state)
        elif record == world_local.ASIDE:
            state.skipped += 1
        else:
            self._pack(member, record, state)

    def _pack(self, member: Member, record: str, state: _Input) -> None:
        export = self._export(state, world_local.root_of(member.name), "world-local")
        export.records |= {Capability.ENTITIES, Capability.ALL_RUNS, Capability.DIGESTS}
        source_id = self._source(export, member.name)
        # A line break inside JSON can only stand between its tokens.
        text = member.stream.read().replace(b"\n", b" ").replace(b"\r", b" ")
        if not text.strip():
            self._reject(state, Origin(source_id, None), world_local.run_id_of(member.name), "an empty file")
            return
        if record not in state.packed:
            path = self._scratch / f"input-{state.input_id}-{record}.ndjson"
            state.packed[record] = _Packed(path, path.open("wb"))
        state.packed[record].out.write(text + b"\n")
        state.packed[record].origins.append(Origin(source_id, None))

    def _file(self, member: Member, state: _Input) -> None:
        start = member.stream.read(_SNIFF)
        table = postgres_csv.table_of(auditor_log.first_line(start))
        if table == "stream":
            state.skipped += 1
        elif table is not None:
            self._table(table, start, member, state)
        elif auditor_log.is_log(start):
            self._log(start, member, state)
        elif member.path is not None and Path(member.path) == Path(state.path):
            raise InputError(state.path, _unknown(start))
        elif member.name.endswith(_LOG_SUFFIXES):
            source_id = self._source(self._export(state, member.name, None), member.name)
            self._reject(state, Origin(source_id, 1), None, _unknown(start))
        else:
            state.skipped += 1

    def _log(self, start: bytes, member: Member, state: _Input) -> None:
        if member.path is not None:
            path = Path(member.path)
        else:
            path = self._scratch / f"input-{state.input_id}-{len(self._sources)}.ndjson"
            with path.open("wb") as out:
                out.write(start)
                shutil.copyfileobj(member.stream, out)
        export = self._export(state, member.name, auditor_log.SCHEMA)
        export.manifest = auditor_log.manifest_of(start)
        export.records |= auditor_log.recorded(export.manifest, path)
        self._load(Batch("log", path, self._source(export, member.name)), state)

    def _table(self, table: str, start: bytes, member: Member, state: _Input) -> None:
        export = self._export(state, member.name.rpartition("/")[0], "postgres-csv")
        export.records |= {Capability.ALL_RUNS, Capability.DIGESTS}
        if table != "event":
            export.records.add(Capability.ENTITIES)
        source_id = self._source(export, member.name)
        path = self._scratch / f"input-{state.input_id}-{len(self._sources)}-{table}.ndjson"
        origins: list[Origin] = []
        with path.open("wb") as out:
            for line, row, run_id in postgres_csv.rows(table, rejoined(start, member.stream)):
                if isinstance(row, BadRow):
                    self._reject(state, Origin(source_id, line), run_id, str(row))
                else:
                    out.write(row + b"\n")
                    origins.append(Origin(source_id, line))
        self._load(Batch(table, path, source_id, origins), state)

    def _load(self, batch: Batch, state: _Input) -> None:
        if batch.origins is None or batch.origins:
            state.counts.add(load(self._con, batch, self._scratch))

    def _export(self, state: _Input, name: str, format: str | None) -> _Export:
        """The export called `name`, relative to its input."""
        if name not in state.exports:
            self._exports += 1
            state.exports[name] = _Export(self._exports, name, format)
        return state.exports[name]

    def _source(self, export: _Export, name: str) -> int:
        self._sources.append((len(self._sources) + 1, export.export_id, name))
        return len(self._sources)

    def _reject(self, state: _Input, origin: Origin, run_id: str | None, reason: str) -> None:
        values = [origin.source_id, origin.line, run_id, reason]
        self._con.execute("INSERT INTO reject VALUES (?, ?, ?, ?)", values)
        state.counts.rejects += 1

    def _record(self, state: _Input, problem: str | None) -> None:
        counts = state.counts
        formats = sorted({export.format for export in state.exports.values() if export.format})
        self._con.execute(
            "INSERT INTO input VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",
            [
                state.input_id,
                state.path,
                " + ".join(formats) or None,
                counts.events,
                counts.entities,
                counts.refusals,
                counts.rejects,
                state.skipped,
                problem,
            ],
        )
        for export in state.exports.values():
            manifest = json.dumps(export.manifest) if export.manifest is not None else None
            self._con.execute(
                "INSERT INTO export VALUES (?, ?, ?, ?, ?, ?)",
                [export.export_id, state.input_id, export.name, export.format, sorted(export.records), manifest],
            )


def _unknown(start: bytes) -> str:
    if not start.strip():
        return "is empty"
    if b"\0" in start[:1024]:
        return "is binary, and no archive that auditor reads (.tar, .tar.gz)"
    return f"is no event log that auditor knows ({_KNOWN})"

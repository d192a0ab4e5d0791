"""Read inputs of any accepted format into the ingested tables of an audit file.

A format is recognised by content and layout, never by the name of the input: a world-local folder by its
`events/` files, the Postgres world by the header of its CSVs, auditor.log/v1 by its JSON lines.
"""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import duckdb
import pyarrow as pa

from auditor.database import insert
from auditor.errors import InputError, UsageError
from auditor.ingest import postgres_csv, world_local
from auditor.ingest.json_rows import BadRow
from auditor.ingest.members import Member, members
from auditor.ingest.staging import Batch, Counts, Origin, lines_with, load, statement
from auditor.model.judgement import Capability

LOG_SCHEMA = "auditor.log/v1"
_SNIFF = 1 << 16
_LOG_SUFFIXES = (".ndjson", ".jsonl")
"""Names that promise a log: a file so called that is none is a reject, not a bystander."""

_FENCE_NAMES = (
    "fence",
    "lastKnownEventId",
    "asOfTimestamp",
    "stateUpdatedAt",
    "stateEventCount",
    "eventCount",
)
"""The names a fence goes by, on an event or under its `params`."""

_FIELD_CAPABILITY = {
    **dict.fromkeys((*_FENCE_NAMES, "params"), Capability.FENCES),
    "refusal": Capability.REFUSALS,
    "entity": Capability.ENTITIES,
    "hash": Capability.HASHES,
    "eventData": Capability.DIGESTS,
    "dataSha256": Capability.DIGESTS,
}
"""What a manifest's `fields` say about the capabilities of its log."""


@dataclass(slots=True)
class _Packed:
    """World-local files of one record kind, one a line."""

    path: Path
    out: IO[bytes]
    origins: list[Origin] = field(default_factory=list)


@dataclass(slots=True)
class _Input:
    """What has been learned of one input so far."""

    input_id: int
    path: str
    formats: set[str] = field(default_factory=set)
    records: set[Capability] = field(default_factory=set)
    manifest: str | None = None
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
        self._sources: list[tuple[int, int, str]] = []

    def read(self, path: str) -> None:
        """Read one input. What cannot be read is recorded as the input's problem or as rejects.

        Raises UsageError if there is nothing at `path`.
        """
        if not Path(path).exists():
            raise UsageError(f"{path}: there is no such file or folder")
        self._inputs += 1
        state = _Input(self._inputs, path)
        packed: dict[str, _Packed] = {}
        problem = None
        try:
            for member in members(Path(path)):
                self._member(member, state, packed)
        except InputError as error:
            problem = error.problem
        for record, pack in packed.items():
            pack.out.close()
            self._load(Batch(record, pack.path, 0, pack.origins), state)
        if problem is None and not (state.counts.events or state.counts.entities or state.counts.rejects):
            problem = "holds no event log that auditor knows (auditor.log/v1, world-local, Postgres-world CSV)"
        self._record(state, problem)

    def finish(self) -> None:
        """Name the sources, and merge the rows that were read more than once."""
        ids, inputs, names = zip(*self._sources, strict=True) if self._sources else ((), (), ())
        arrow = pa.table(
            {
                "source_id": pa.array(ids, pa.int32()),
                "input_id": pa.array(inputs, pa.int32()),
                "name": pa.array(names, pa.string()),
            }
        )
        insert(self._con, "source", arrow)
        self._con.execute(statement("merge.sql"))

    def _member(self, member: Member, state: _Input, packed: dict[str, _Packed]) -> None:
        name = member.posix
        if (record := world_local.record_of(name)) is not None:
            self._pack(member, record, state, packed)
        elif world_local.is_aside(name):
            state.skipped += 1
        else:
            self._file(member, state)

    def _pack(self, member: Member, record: str, state: _Input, packed: dict[str, _Packed]) -> None:
        state.formats.add("world-local")
        state.records |= {Capability.ENTITIES, Capability.ALL_RUNS, Capability.DIGESTS}
        source_id = self._source(state, member.name)
        # A line break inside JSON can only stand between its tokens.
        text = member.stream.read().replace(b"\n", b" ").replace(b"\r", b" ")
        if not text.strip():
            self._reject(state, Origin(source_id, None), world_local.run_id_of(member.posix), "an empty file")
            return
        if record not in packed:
            path = self._scratch / f"input-{state.input_id}-{record}.ndjson"
            packed[record] = _Packed(path, path.open("wb"))
        packed[record].out.write(text + b"\n")
        packed[record].origins.append(Origin(source_id, None))

    def _file(self, member: Member, state: _Input) -> None:
        start = member.stream.read(_SNIFF)
        first = _first_line(start)
        table = postgres_csv.table_of(first) if "," in first and not first.startswith(("{", "[")) else None
        if table == "stream":
            state.skipped += 1
        elif table is not None:
            self._table(table, start, member, state)
        elif _is_log(start, first):
            self._log(start, member, state)
        elif member.path == Path(state.path):
            raise InputError(state.path, _unknown(start))
        elif member.posix.suffix in _LOG_SUFFIXES:
            source_id = self._source(state, member.name)
            self._reject(state, Origin(source_id, 1), None, _unknown(start))
        else:
            state.skipped += 1

    def _log(self, start: bytes, member: Member, state: _Input) -> None:
        """auditor.log/v1, or bare events of the SDK, one JSON object a line."""
        path = member.path
        if path is None:
            path = self._scratch / f"input-{state.input_id}-{len(self._sources)}.ndjson"
            with path.open("wb") as out:
                out.write(start)
                shutil.copyfileobj(member.stream, out)
        manifest = _manifest(start)
        state.formats.add(LOG_SCHEMA)
        if manifest is not None:
            state.manifest = json.dumps(manifest)
            fields = manifest.get("fields")
            names = {name for name in fields if isinstance(name, str)} if isinstance(fields, list) else set()
            state.records |= {_FIELD_CAPABILITY[name] for name in names & _FIELD_CAPABILITY.keys()}
            if manifest.get("allRuns") is True:
                state.records.add(Capability.ALL_RUNS)
        elif _records_fences(path):
            state.records.add(Capability.FENCES)
        self._load(Batch("log", path, self._source(state, member.name)), state)

    def _table(self, table: str, start: bytes, member: Member, state: _Input) -> None:
        state.formats.add("postgres-csv")
        state.records |= {Capability.ALL_RUNS, Capability.DIGESTS}
        if table != "event":
            state.records.add(Capability.ENTITIES)
        source_id = self._source(state, member.name)
        path = self._scratch / f"input-{state.input_id}-{len(self._sources)}-{table}.ndjson"
        origins: list[Origin] = []
        with path.open("wb") as out:
            for line, row, run_id in postgres_csv.rows(table, _rejoined(start, member.stream)):
                if isinstance(row, BadRow):
                    self._reject(state, Origin(source_id, line), run_id, str(row))
                else:
                    out.write(row + b"\n")
                    origins.append(Origin(source_id, line))
        self._load(Batch(table, path, source_id, origins), state)

    def _load(self, batch: Batch, state: _Input) -> None:
        if batch.origins is not None and not batch.origins:
            return
        state.counts.add(load(self._con, batch, self._scratch))

    def _source(self, state: _Input, name: str) -> int:
        self._sources.append((len(self._sources) + 1, state.input_id, name))
        return len(self._sources)

    def _reject(self, state: _Input, origin: Origin, run_id: str | None, reason: str) -> None:
        values = [origin.source_id, origin.line, run_id, reason]
        self._con.execute("INSERT INTO reject VALUES (?, ?, ?, ?)", values)
        state.counts.rejects += 1

    def _record(self, state: _Input, problem: str | None) -> None:
        counts = state.counts
        values: list[Any] = [
            state.input_id,
            state.path,
            " + ".join(sorted(state.formats)) or None,
            counts.events,
            counts.entities,
            counts.refusals,
            counts.rejects,
            0,
            state.skipped,
            sorted(state.records),
            state.manifest,
            problem,
        ]
        self._con.execute("INSERT INTO input VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)


class _Rejoined(io.RawIOBase):
    """A stream whose first bytes have already been read."""

    def __init__(self, start: bytes, rest: IO[bytes]) -> None:
        self._start = io.BytesIO(start)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._start.read(len(buffer)) or self._rest.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _rejoined(start: bytes, rest: IO[bytes]) -> IO[bytes]:
    return io.BufferedReader(_Rejoined(start, rest))


def _first_line(start: bytes) -> str:
    """The first line that is not blank, without a byte order mark."""
    first = next((line for line in start.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()), b"")
    return first.decode("utf-8", "replace").strip()


def _is_log(start: bytes, first: str) -> bool:
    """Whether a file holds one JSON object a line, by its first line."""
    if not first.startswith("{") or first == "{":
        return False
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return b'"runId"' in start or b'"record"' in start
    return "runId" in value or "record" in value


def _manifest(start: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(_first_line(start))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and value.get("record") == "manifest" else None


def _records_fences(path: Path) -> bool:
    """Whether events without a manifest carry the key of a fence, be its value null or not.

    The key may also stand inside a payload, so a line that mentions it is looked at before it counts.
    """
    for line in lines_with(path, _FENCE_NAMES):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        params = value.get("params") if isinstance(value, dict) else None
        holders = [holder for holder in (value, params) if isinstance(holder, dict)]
        if any(name in holder for holder in holders for name in _FENCE_NAMES):
            return True
    return False


def _unknown(start: bytes) -> str:
    if not start.strip():
        return "is empty"
    if b"\0" in start[:1024]:
        return "is binary, and no archive that auditor reads (.tar, .tar.gz)"
    return "is no event log that auditor knows (auditor.log/v1, world-local, Postgres-world CSV)"

"""Read inputs of any accepted format into the ingested tables of an audit file.

A format is told by content and layout, never by the name of the input: a world-local folder by its `events/`
files, a table by its columns, everything else by its first bytes.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from auditor.errors import InputError, UsageError
from auditor.ingest import (
    auditor_log,
    foreign,
    foreign_text,
    live,
    parquet,
    sdk_json,
    sdk_tables,
    sqlite_world,
    world_local,
)
from auditor.ingest.intake import Intake, Ledger, Options
from auditor.ingest.members import Damaged, Member, is_packed, members
from auditor.ingest.merging import merge, note_capabilities
from auditor.ingest.staging import Origin

STDIN = "-"

INPUT_FORMATS: dict[str, Callable[[Member, Intake], None]] = {
    "ndjson": foreign_text.read_ndjson,
    "json": sdk_json.read,
    "csv": foreign_text.read_csv,
    "parquet": parquet.read,
    "sqlite": sqlite_world.read,
}
"""What `--input-format` may say of files that are not recognised, or taken for something else."""

KNOWN = (
    "auditor.log/v1, a world-local folder, `workflow inspect --json`, tables of the Postgres world, "
    "a SQLite world file, or any NDJSON, JSON, CSV or Parquet with --map"
)

_PROMISES = (".ndjson", ".jsonl", ".parquet", ".sqlite", ".csv", ".json", ".db")
"""Names that promise a log: a file so called that is none is a reject, not a bystander."""

_OURS = re.compile(
    rb'\s*\{\s*("record":\s*"report",\s*)?"schema":\s*"auditor\.(alert|baseline|replay|report)/'
    rb'|\s*\[\s*(\]\s*\Z|\{\s*"description":\s*"(?:[^"\\]|\\.)*",\s*"check_name":)'  # a report for GitLab
)
"""What we write about logs, and what often lies beside them, begins so."""


class Reader:
    """Reads inputs, one after the other, into the tables behind `con`.

    `scratch` is a private folder for the files between a format and DuckDB; it may hold payloads, so whoever
    makes it removes it. Use it in a `with` block: files are open until `finish`.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, scratch: Path, options: Options | None = None) -> None:
        self._ledger = Ledger(con, scratch, options or Options())

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._ledger.packer.abandon()

    def read(self, path: str, inputs: Sequence[str] = ()) -> None:
        """Read one input: a path, `-` for stdin, or the URL of a PostgreSQL server.

        `inputs` are all that are read: a link in a folder that leads into another one of them loses nothing. What
        cannot be read is recorded as the input's problem or as rejects. Raises UsageError if there is nothing at
        `path`.
        """
        if live.is_url(path):
            intake = self._ledger.intake(live.shown(path))
            self._guarded(lambda: live.read(path, intake), intake)
        else:
            intake = self._ledger.intake("<stdin>" if path == STDIN else path)
            named = [Path(each) for each in inputs if each != STDIN and not live.is_url(each)]
            self._files(self._spooled() if path == STDIN else Path(path), intake, named)

    def finish(self) -> None:
        """Load what is still to be loaded, count it, and merge the rows that were read more than once."""
        self._ledger.close()
        self._ledger.con.execute(
            "UPDATE input SET problem = ? WHERE problem IS NULL AND events + entities + rejects = 0",
            [f"holds no event log that auditor knows ({KNOWN})"],
        ).fetchall()
        merge(self._ledger.con)
        note_capabilities(self._ledger.con, kept=self._ledger.options.keep_payloads)

    def _spooled(self) -> Path:
        path = self._ledger.file("stdin")
        with path.open("wb") as out:
            shutil.copyfileobj(sys.stdin.buffer, out, 1 << 20)
        return path

    def _files(self, path: Path, intake: Intake, inputs: Sequence[Path]) -> None:
        try:
            exists = path.exists()
        except OSError as error:
            raise UsageError(f"{path}: cannot be a file or folder: {error.strerror or error}") from None
        if not exists:
            raise UsageError(f"{path}: there is no such file or folder")
        folder = path.is_dir()
        for member in members(path, inputs):
            if isinstance(member, Damaged):
                if member.start is None or _may_be_a_log(member.name, member.start, intake.options):
                    intake.problems.append(_named(path, member.name, member.problem))
                else:
                    intake.skipped += 1
                continue
            alone = not folder and member.path is not None
            self._guarded(lambda member=member, alone=alone: _member(member, intake, alone), intake)  # type: ignore[misc]

    @staticmethod
    def _guarded(work: Callable[[], None], intake: Intake) -> None:
        try:
            work()
        except InputError as error:
            intake.problems.append(_named(Path(intake.path), error.path, error.problem))


def _named(path: Path, name: str, problem: str) -> str:
    return f"{name}: {problem}" if name and name != path.name else problem


def _member(member: Member, intake: Intake, alone: bool) -> None:
    record = world_local.record_of(member.name)
    if record == world_local.ASIDE:
        intake.skipped += 1
    elif record is not None and not member.start()[:64].lstrip().startswith(b"["):  # else an array of the CLI
        world_local.read(record, member, intake)
    elif (read := _reader_of(member.start(), intake.options)) is not None:
        read(member, intake)
    elif alone:
        raise InputError(member.name, _unknown(member.start()))
    elif _promises_a_log(member.name):
        export = intake.export(member.name, None)
        intake.reject(Origin(intake.source(export, member.name), 1), None, _unknown(member.start()))
    else:
        intake.skipped += 1


def _may_be_a_log(name: str, start: bytes, options: Options) -> bool:
    """Whether a file that begins so would have been read, or missed."""
    return _promises_a_log(name) or is_log(name, start, options)


def is_log(name: str, start: bytes, options: Options) -> bool:
    """Whether a file in a folder, of this name in it, is read: as a log, or as an archive that may hold some."""
    record = world_local.record_of(name)
    if record is not None:
        return record != world_local.ASIDE
    return is_packed(start) or _reader_of(start, options) not in (None, _skip)


def _promises_a_log(name: str) -> bool:
    stem, _, last = name.rpartition(".")
    return (stem if last in ("gz", "zst", "bz2", "xz") else name).endswith(_PROMISES)


def _reader_of(start: bytes, options: Options) -> Callable[[Member, Intake], None] | None:
    """What reads a file that begins so; None if nothing does."""
    if options.format is not None:
        return INPUT_FORMATS[options.format]
    if start.startswith(parquet.MAGIC):
        return parquet.read
    if start.startswith(sqlite_world.MAGIC):
        return sqlite_world.read
    if start.startswith(sqlite_world.WAL_MAGIC):
        return sqlite_world.pass_over_wal
    if _OURS.match(start):
        return _skip
    line = auditor_log.first_line(start)
    columns = sdk_tables.columns_of(line)
    if table := sdk_tables.table_of(columns):
        return _skip if table == "stream" else lambda member, intake: sdk_tables.read_csv(table, member, intake)
    if columns and (options.fields or not foreign.missing(columns, {})):
        return foreign_text.read_csv
    if not options.fields and auditor_log.is_log(start):
        return auditor_log.read
    if line.startswith(("{", "[")):
        return _json_reader(start, line, options)
    return None


def _json_reader(start: bytes, line: str, options: Options) -> Callable[[Member, Intake], None] | None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"["):
        return sdk_json.read if text[1:].lstrip()[:1] in (b"{", b"]", b"") else None
    if options.fields and _is_object(line):
        return foreign_text.read_ndjson
    return sdk_json.read if any(key in text for key in (b'"runId"', b'"schema"', b'"hasMore"')) else None


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _skip(_: Member, intake: Intake) -> None:
    intake.skipped += 1


def _unknown(start: bytes) -> str:
    if not start.strip():
        return "is empty"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "is UTF-16, as PowerShell writes it; convert it to UTF-8"
    if b"\0" in start[:1024]:
        return "is binary, and no archive or table that auditor reads"
    return f"is no event log that auditor knows ({KNOWN})"

"""The export of a world: auditor.log/v1 as JSON lines, or as a folder of Parquet tables.

An export is one moment of the world, however long it takes and whatever is appended meanwhile. It is written beside
its target and takes the target's place when it is complete. Whatever the length of the log, a few batches of rows
are in memory.

Hook tokens are bearer credentials, and payloads are what users entrusted to their workflows. Both are exported as
they are stored, unless `payloads` is False: then of an event's data only what an audit reads in the clear is left,
and of a token its SHA-256. `dataSha256` stays, so the hash chain still verifies, and every rule sees what it would
have seen.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from auditor.__about__ import __version__
from auditor.errors import NotFound, UsageError
from auditor.model.records import EVENT, LOG_SCHEMA
from auditor.world.draft import iso
from auditor.world.protocol import World
from auditor.world.to_log import Row, lines_of

TABLES = ("event", "refusal", "entity", "run")
"""What is exported, in this order: a run's row gives its head, which is the last line of the run."""

FIELDS = (*(key for key, _, _ in EVENT.fields), "refusal", "entity", "head")
"""What a world records, as the manifest says it."""

PARQUET_FILES = ("manifest.json", "events.parquet", "refusals.parquet", "entities.parquet", "heads.parquet")
"""The files of a Parquet export."""

Format = Literal["ndjson", "parquet"]
Progress = Callable[[int, int], None]
"""Told after every batch: how many events are written, and how many there were when the export began."""


@dataclass(frozen=True, slots=True)
class Exported:
    """How many records of each kind an export holds; steps, waits and hooks are its entities."""

    runs: int
    events: int
    refusals: int
    entities: int


class Sink(Protocol):
    """Where the rows of an export go."""

    def write(self, table: str, rows: Sequence[Row]) -> None:
        """Take a batch of rows of one table; the tables come in the order of TABLES."""

    def finish(self) -> None:
        """Write what is still held back."""


async def export(
    world: World,
    target: Path | IO[bytes],
    *,
    format: Format = "ndjson",
    run_id: str | None = None,
    payloads: bool = True,
    force: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Export all runs of a world, or one, to a file, a folder (Parquet) or a binary stream (JSON lines).

    Without `payloads`, payloads and hook tokens are left out. Raises NotFound if there is no such run, UsageError
    if something is at the target already, unless `force`, and if the target cannot be written; then, as after every
    other error, what was there is untouched.
    """
    manifest = await _manifest(world, run_id)
    expected = await _expected(world, run_id) if progress is not None else 0

    async def fill(sink: Sink) -> Exported:
        exported = await _filled(sink, world, run_id, lambda done: progress and progress(done, expected))
        sink.finish()
        return exported

    if not isinstance(target, Path):
        if format == "parquet":
            raise UsageError("a Parquet export is a folder; name one to write it to")
        return await fill(_NdJson(target, manifest, payloads=payloads))
    with _replacing(target, folder=format == "parquet", force=force) as part:
        if format == "parquet":
            from auditor.world.parquet import ParquetFolder  # noqa: PLC0415 - pyarrow takes a while to import

            part.mkdir()
            with ParquetFolder(part, manifest, payloads=payloads) as tables:
                return await fill(tables)
        with part.open("wb") as out:
            return await fill(_NdJson(out, manifest, payloads=payloads))


async def _manifest(world: World, run_id: str | None) -> dict[str, Any]:
    if run_id is not None and await world.run(run_id) is None:
        raise NotFound(f"there is no run {run_id}", reason="no_such_run")
    return {
        "record": "manifest",
        "schema": LOG_SCHEMA,
        "producer": f"auditor world {__version__}",
        # Not later than the moment that is exported: nothing in it looks overdue that was not.
        "exportedAt": iso(await world.now()),
        "fields": list(FIELDS),
        "fencePolicy": None,
        "allRuns": run_id is None,
    }


async def _expected(world: World, run_id: str | None) -> int:
    position = len(_VERSION)
    return sum([row[position] async for _, rows in world.dump(["run"], run_id) for row in rows])


_VERSION = ()  # replaced below


async def _filled(sink: Sink, world: World, run_id: str | None, report: Callable[[int], object]) -> Exported:
    counts = dict.fromkeys(TABLES, 0)
    async for table, rows in world.dump(TABLES, run_id):
        sink.write(table, rows)
        counts[table] += len(rows)
        report(counts["event"])
    return Exported(counts["run"], counts["event"], counts["refusal"], counts["entity"])


class _NdJson:
    def __init__(self, out: IO[bytes], manifest: dict[str, Any], *, payloads: bool) -> None:
        self._out = out
        self._payloads = payloads
        out.write(json.dumps(manifest).encode() + b"\n")

    def write(self, table: str, rows: Sequence[Row]) -> None:
        lines = lines_of(table, rows, payloads=self._payloads)
        self._out.writelines(line.encode() + b"\n" for line in lines)

    def finish(self) -> None:
        self._out.flush()


@contextmanager
def _replacing(target: Path, *, folder: bool, force: bool) -> Iterator[Path]:
    """A path beside the target that takes its place at the end of the block, and is gone if the block fails."""
    _must_be_free(target, folder=folder, force=force)
    part = target.with_name(target.name + ".part")
    try:
        _remove(part)
        yield part
        _remove(target)
        part.replace(target)
    except OSError as error:
        raise UsageError(f"{error.filename or target}: cannot be written: {error.strerror or error}") from None
    finally:
        _remove(part)

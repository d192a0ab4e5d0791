"""The export of a world: auditor.log/v1 as JSON lines, or as a folder of Parquet tables.

An export is one moment of the world, however long it takes and whatever is appended meanwhile. It is written
beside its target and takes the target's place when it is complete. However long the log is, no more than a few
batches of rows are in memory.

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
from auditor.errors import UsageError
from auditor.model.records import EVENT, LOG_SCHEMA
from auditor.model.rows import Run
from auditor.world.draft import iso
from auditor.world.dumping import dumped, must_have_run
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


async def export(
    world: World,
    target: Path | IO[bytes],
    *,
    format: Format = "ndjson",
    run_id: str | None = None,
    payloads: bool = True,
    force: bool = False,
    fence_policy: str | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Export all runs of a world, or one, to a file, a folder (Parquet) or a binary stream (JSON lines).

    Without `payloads`, payloads and hook tokens are left out. `fence_policy` is what the runtime fences, if it is
    known: `full`, `wait_completed_only` or `off`. Raises NotFound if there is no such run, and UsageError if
    something is at the target already (unless `force`) or it cannot be written. What was at the target stays there
    until the export is complete.
    """
    if not isinstance(target, Path) and format == "parquet":
        raise UsageError("a Parquet export is a folder: name one to write it to")
    if run_id is not None:
        await must_have_run(world, run_id)
    manifest = {
        "record": "manifest",
        "schema": LOG_SCHEMA,
        "producer": f"auditor world {__version__}",
        # Not later than the moment that is exported: nothing in it can look overdue that was not.
        "exportedAt": iso(await world.now()),
        "fields": list(FIELDS),
        "fencePolicy": fence_policy,
        "allRuns": run_id is None,
    }
    if not isinstance(target, Path):
        return await _filled(NdJson(target, manifest, payloads=payloads), world, run_id, progress)
    with _replacing(target, folder=format == "parquet", force=force) as part:
        if format == "ndjson":
            with part.open("wb") as out:
                return await _filled(NdJson(out, manifest, payloads=payloads), world, run_id, progress)
        from auditor.world.parquet import ParquetFolder  # noqa: PLC0415 - pyarrow takes a while to import

        with ParquetFolder(part, manifest, payloads=payloads) as tables:
            return await _filled(tables, world, run_id, progress)


async def _filled(sink: Sink, world: World, run_id: str | None, progress: Progress | None) -> Exported:
    counts = dict.fromkeys(TABLES, 0)
    total = 0 if progress is None else await _events(world, run_id)
    async with dumped(world, TABLES, run_id) as batches:
        async for table, rows in batches:
            if rows:
                sink.write(table, rows)
                counts[table] += len(rows)
            if progress is not None:
                progress(counts["event"], total)
    return Exported(counts["run"], counts["event"], counts["refusal"], counts["entity"])


async def _events(world: World, run_id: str | None) -> int:
    async with dumped(world, ["run"], run_id) as batches:
        return sum([Run._make(row).version async for _, rows in batches for row in rows])


class NdJson:
    """JSON lines on a binary stream, the manifest first."""

    def __init__(self, out: IO[bytes], manifest: dict[str, Any], *, payloads: bool) -> None:
        self._out = out
        self._payloads = payloads
        out.write(json.dumps(manifest).encode() + b"\n")

    def write(self, table: str, rows: Sequence[Row]) -> None:
        """See `Sink.write`."""
        lines = lines_of(table, rows, payloads=self._payloads)
        self._out.writelines(line.encode() + b"\n" for line in lines)


@contextmanager
def _replacing(target: Path, *, folder: bool, force: bool) -> Iterator[Path]:
    """A path beside the target that takes its place at the end of the block, and is gone if the block fails."""
    _must_be_free(target, folder=folder, force=force)
    part, old = (target.with_name(target.name + end) for end in (".part", ".old"))
    try:
        _remove(part)
        yield part
        if target.is_dir():
            # A folder cannot be replaced by another in one step.
            _remove(old)
            target.replace(old)
        part.replace(target)
        _remove(old)
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        _remove(part)


def _must_be_free(target: Path, *, folder: bool, force: bool) -> None:
    """Raise UsageError if an export to this path would destroy what nobody asked it to destroy."""
    if not target.absolute().parent.is_dir():
        raise UsageError(f"{target.absolute().parent}: there is no such folder to write an export in")
    if not target.exists():
        return
    if not force:
        raise UsageError(f"{target} exists already; --force replaces it")
    if target.is_dir() != folder:
        raise UsageError(f"{target} is a {'file' if folder else 'folder'}; name another target")
    if folder and (others := sorted({path.name for path in target.iterdir()} - set(PARQUET_FILES))):
        raise UsageError(f"{target} holds {others[0]!r}, which is no part of an export; name another folder")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

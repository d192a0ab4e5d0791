"""Rows of JSON from many files, gathered and loaded at once: a statement costs more than reading a small file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import IO, TYPE_CHECKING

from auditor.errors import InputError
from auditor.ingest.staging import Batch, Origin, Origins

if TYPE_CHECKING:
    from auditor.ingest.intake import Intake

FULL = 512 * 1024**2
"""Bytes after which what was gathered is loaded, so that the scratch folder stays small."""


@dataclass(slots=True)
class _Pack:
    """Rows of one record kind, one a line."""

    path: Path
    out: IO[bytes]
    size: int = 0
    origins: Origins = field(default_factory=Origins)
    intakes: dict[int, Intake] = field(default_factory=dict)  # by source


class Packer:
    """Gathers rows by record kind. `load` reads a batch into the ingested tables; `file` gives a path for one."""

    def __init__(self, load: Callable[[Batch], None], file: Callable[[str], Path]) -> None:
        self._load = load
        self._file = file
        self._packs: dict[str, _Pack] = {}

    def add(self, intake: Intake, record: str, origin: Origin, row: bytes) -> None:
        """Take one row: JSON text without a line break."""
        pack = self._packs.get(record)
        if pack is None:
            path = self._file(f"{record}.ndjson")
            pack = self._packs[record] = _Pack(path, path.open("wb"))
        pack.out.write(row)
        pack.out.write(b"\n")
        pack.size += len(row) + 1
        pack.origins.append(origin)
        pack.intakes[origin.source_id] = intake
        if pack.size >= FULL:
            self._unpack(record)

    def load(self) -> None:
        """Load all that was gathered."""
        for record in list(self._packs):
            self._unpack(record)

    def abandon(self) -> None:
        """Close what was gathered and will not be loaded."""
        for pack in self._packs.values():
            pack.out.close()
        self._packs.clear()

    def _unpack(self, record: str) -> None:
        pack = self._packs.pop(record)
        pack.out.close()
        try:
            self._load(Batch(record, pack.path, 0, pack.origins))
        except InputError:
            # What is wrong with one file is no reason to lose the others.
            for batch in self._by_source(record, pack):
                try:
                    self._load(batch)
                except InputError as error:
                    pack.intakes[batch.source_id].problems.append(error.problem)
        pack.path.unlink()

    def _by_source(self, record: str, pack: _Pack) -> Iterator[Batch]:
        with pack.path.open("rb") as rows:
            for source_id, group in groupby(pack.origins, key=attrgetter("source_id")):
                path, origins = self._file(f"{record}.ndjson"), Origins()
                with path.open("wb") as out:
                    for origin in group:
                        out.write(rows.readline())
                        origins.append(origin)
                yield Batch(record, path, source_id, origins)

"""Files that a page was given, on their way to disk: under names that are safe, and never whole in memory."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Iterable
from typing import IO, BinaryIO

from .api.inbox import Received, safe_name
from .library import Library

_CHUNK = 1 << 20


def receive(library: Library, audit_id: str, files: Iterable[tuple[str, BinaryIO]]) -> None:
    """Copy files to the folder of an audit that is begun, and write them down. Closes each."""
    received: list[Received] = []
    taken: set[str] = set()
    for raw, stream in files:
        name = _free(safe_name(raw), taken)
        taken.add(name.casefold())
        target = library.uploads(audit_id) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with stream, target.open("xb") as out:
            copied = _Digesting(out)
            shutil.copyfileobj(stream, copied, _CHUNK)
        received.append(Received(name, copied.size, copied.digest.hexdigest()))
    library.received_all(audit_id, received)


def _free(name: str, taken: Collection[str]) -> str:
    """The name, or one with a number if it is taken, or would be both a file and a folder."""
    number, free = 1, name
    while any(_collide(free.casefold(), other) for other in taken):
        number += 1
        free = f"{number}-{name}"
    return free


def _collide(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


class _Digesting:
    """Writes to a file, and knows what it wrote."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Append."""
        self.digest.update(data)
        self.size += len(data)
        return self._out.write(data)

"""Files that a page was given, on their way to disk: under names that are safe, and never whole in memory."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import IO, BinaryIO

from .api.inbox import Received, safe_name
from .library import Library

_CHUNK = 1 << 20


def receive(library: Library, audit_id: str, files: Iterable[tuple[str, BinaryIO]]) -> None:
    """Copy files to the folder of an audit that is begun, and write them down. Closes each."""
    received: list[Received] = []
    names = _Names()
    for raw, stream in files:
        name = names.free(safe_name(raw))
        target = library.uploads(audit_id) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with stream, target.open("xb") as out:
            copied = _Digesting(out)
            shutil.copyfileobj(stream, copied, _CHUNK)
        received.append(Received(name, copied.size, copied.digest.hexdigest()))
    library.received_all(audit_id, received)


class _Names:
    """The names of one upload. Upper and lower case are one, as on many disks."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._numbers: Counter[str] = Counter()

    def free(self, name: str) -> str:
        """The name, or one with a number if it is taken, or would be both a file and a folder. It is taken now."""
        top = name.casefold().partition("/")[0]
        free = name
        while not self._is_free(free.casefold()):
            # Counted for the whole folder: who sends the same name again and again gets no slower answer.
            self._numbers[top] += 1
            free = f"{self._numbers[top] + 1}-{name}"
        self._files.add(free.casefold())
        self._folders.update(_folders(free.casefold()))
        return free

    def _is_free(self, name: str) -> bool:
        taken = name in self._files or name in self._folders
        return not taken and self._files.isdisjoint(_folders(name))


def _folders(name: str) -> list[str]:
    """Every folder that a file of this name lies in."""
    return [str(folder) for folder in PurePosixPath(name).parents][:-1]


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

"""The files inside what the user named: a file, a folder or a tar, one stream of members.

Archives are read front to back and never extracted; the names inside them are only ever read as names.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from auditor.errors import InputError

MAX_EXPANDED = 64 * 1024**3
"""Bytes that one archive may expand to."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file. `name` is its path relative to the input, with `/`; `path` is set for files on disk."""

    name: str
    stream: IO[bytes]
    path: str | None = None


_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""Names of archives that are looked into where they lie in a folder."""


def members(path: Path) -> Iterator[Member]:
    """Every file of an input, in a stable order. Raises InputError if it cannot be opened or read."""
    try:
        if path.is_dir():
            yield from _folder(path)
        elif is_tar(path):
            yield from _tar(path)
        else:
            with path.open("rb") as stream:
                yield Member(path.name, stream, str(path))
    except OSError as error:
        raise InputError(str(path), f"cannot be read: {error.strerror or error}") from None


def is_tar(path: Path) -> bool:
    """Whether a file's content (not its name) is a tar, gzipped or not."""
    try:
        with tarfile.open(path, "r|*"):
            return True
    except (tarfile.TarError, EOFError, OSError):
        return False


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


def rejoined(start: bytes, rest: IO[bytes]) -> IO[bytes]:
    """A stream from its first bytes, already read, and what follows them."""
    return io.BufferedReader(_Rejoined(start, rest))


def _folder(root: Path) -> Iterator[Member]:
    # Strings, not Paths: a world-local folder holds one file an event, and Paths cost more than reading them.
    for name in _files(str(root), ""):
        path = os.path.join(root, name)
        if name.endswith(_TAR_SUFFIXES) and is_tar(Path(path)):
            for member in _tar(Path(path)):
                yield Member(f"{name}/{member.name}", member.stream)
            continue
        with open(path, "rb") as stream:
            yield Member(name, stream, path)


def _files(folder: str, prefix: str) -> Iterator[str]:
    """The regular files below a folder, relative to it, sorted; links are not followed."""
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, f"{prefix}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            yield prefix + entry.name


def _tar(path: Path) -> Iterator[Member]:
    expanded = 0
    try:
        with _decompressed(path) as raw:
            watched = _Watched(raw)
            stream = io.BufferedReader(watched)
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for info in archive:
                    if not info.isfile():
                        continue
                    expanded += info.size
                    if expanded > MAX_EXPANDED:
                        raise InputError(str(path), f"expands to more than {MAX_EXPANDED // 1024**3} GiB")
                    content = archive.extractfile(info)
                    if content is not None:
                        yield Member(info.name, content)
            while stream.read(1 << 20):
                pass
            if watched.end != bytes(tarfile.BLOCKSIZE):
                # Cut off between two members, it would read as a shorter archive; a whole one ends in zeros.
                raise InputError(str(path), "the archive is damaged or cut off: its end is missing")
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise InputError(str(path), f"the archive is damaged or cut off: {error}") from None


def _decompressed(path: Path) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | io.BufferedReader:
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open(path)
    if magic.startswith(b"BZh"):
        return bz2.open(path)
    if magic.startswith(b"\xfd7zXZ"):
        return lzma.open(path)
    return path.open("rb")


class _Watched(io.RawIOBase):
    """A stream that remembers the end of what was read from it."""

    def __init__(self, raw: io.BufferedIOBase) -> None:
        self._raw = raw
        self.end = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._raw.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self.end = (self.end + chunk)[-tarfile.BLOCKSIZE :]
        return len(chunk)

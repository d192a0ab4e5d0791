"""The files inside what the user named: a file, a folder or an archive, one stream of members.

What a file is, is told by its first bytes. Archives are read front to back and never extracted; the names inside
them are only ever read as names. What is compressed is decompressed on the way, within the bounds below.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from auditor.errors import InputError

MAX_EXPANDED = 64 * 1024**3
"""Bytes that one compressed file may expand to."""

MAX_RATIO = 500
"""How many times larger than itself a compressed file may become; a log gives 10 to 30, a bomb 1,000 and more."""

RATIO_FREE = 64 * 1024**2
"""Bytes that anything may expand to, whatever the ratio."""

MAX_MEMBERS = 5_000_000
"""Members of one archive."""

MAX_DEPTH = 3
"""Archives within archives."""

START = 1 << 16
"""Bytes of a member that may be looked at before it is read."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file. `name` is its path relative to the input, with `/`; `path` is set for plain files on disk."""

    name: str
    stream: io.BufferedReader[Any]
    path: str | None = None

    def start(self) -> bytes:
        """The first bytes, which are still to be read; at most START."""
        return self.stream.peek(START)[:START]


@dataclass(frozen=True, slots=True)
class Damaged:
    """An archive that could not be read (to its end), and why."""

    name: str
    problem: str


def members(path: Path) -> Iterator[Member | Damaged]:
    """Every file of an input, in a stable order."""
    try:
        if path.is_dir():
            for name in _files(str(path), ""):
                yield from _file(os.path.join(path, name), name, inside=f"{name}/")
        else:
            yield from _file(str(path), path.name, inside="")
    except OSError as error:
        yield Damaged(path.name, f"cannot be read: {error.strerror or error}")


def _files(folder: str, prefix: str) -> Iterator[str]:
    """The regular files below a folder, relative to it, sorted; links are not followed."""
    # Strings, not Paths: a world-local folder holds one file an event, and Paths cost more than reading them.
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, f"{prefix}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            yield prefix + entry.name


def _file(path: str, name: str, inside: str) -> Iterator[Member | Damaged]:
    try:
        with io.BufferedReader(io.FileIO(path), START) as stream:
            yield from _unpacked(Member(name, stream, path), inside, depth=0)
    except OSError as error:
        yield Damaged(name, f"cannot be read: {error.strerror or error}")


def _unpacked(member: Member, inside: str, depth: int) -> Iterator[Member | Damaged]:
    """The member itself, or what it holds. `inside` is the prefix of the names of what it holds."""
    start = member.stream.peek(START)
    decompress = _decompressor(start)
    if decompress is None and not _is_archive(start):
        yield member
        return
    try:
        if depth == MAX_DEPTH:
            raise InputError(member.name, f"archives are nested more than {MAX_DEPTH} deep")
        if start.startswith(_ZIP):
            yield from _zip(member, inside, depth)
        elif decompress is None:
            yield from _tar(member.stream, inside, depth)
        else:
            counted = _Counted(member.stream)
            bounded = _Bounded(decompress(io.BufferedReader(counted)), lambda: counted.count)
            stream = io.BufferedReader(bounded, START)
            if _is_archive(stream.peek(START)):
                yield from _tar(stream, inside, depth)
            else:
                yield Member(member.name, stream)
    except InputError as error:
        yield Damaged(member.name, error.problem)
    except _BROKEN as error:
        yield Damaged(member.name, f"the archive is damaged or cut off: {error}")


_BROKEN = (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error, lzma.LZMAError, RuntimeError)
"""What the libraries raise on an archive that is not as it should be (RuntimeError: a zip with a password)."""

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


def _decompressor(start: bytes) -> Callable[[IO[bytes]], Any] | None:
    if start.startswith(b"\x1f\x8b"):
        return lambda raw: gzip.GzipFile(fileobj=raw)
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return lambda raw: pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd")
    if start.startswith(b"BZh"):
        return bz2.BZ2File
    if start.startswith(b"\xfd7zXZ"):
        return lzma.LZMAFile
    return None


def _is_archive(start: bytes) -> bool:
    return start.startswith(_ZIP) or start[257:262] == b"ustar"


def _tar(stream: IO[bytes], inside: str, depth: int) -> Iterator[Member | Damaged]:
    watched = _Watched(stream)
    whole = io.BufferedReader(watched)
    with tarfile.open(fileobj=whole, mode="r|") as archive:
        for number, info in enumerate(archive):
            if number == MAX_MEMBERS:
                raise InputError("", f"holds more than {MAX_MEMBERS} files")
            content = archive.extractfile(info) if info.isfile() else None
            if content is not None:
                held = Member(inside + info.name, io.BufferedReader(_Raw(content), START))
                yield from _unpacked(held, f"{inside}{info.name}/", depth + 1)
    while whole.read(1 << 20):
        pass
    if watched.end != bytes(tarfile.BLOCKSIZE):
        # Cut off between two members, it would read as a shorter archive; a whole one ends in zeros.
        raise InputError("", "the archive is damaged or cut off: its end is missing")


def _zip(member: Member, inside: str, depth: int) -> Iterator[Member | Damaged]:
    with tempfile.TemporaryFile() as spool:
        source: IO[bytes] = member.stream
        if member.path is None:
            shutil.copyfileobj(member.stream, spool)
            source = spool
        with zipfile.ZipFile(source) as archive:
            infos = archive.infolist()
            if len(infos) > MAX_MEMBERS:
                raise InputError("", f"holds more than {MAX_MEMBERS} files")
            for info in sorted(infos, key=lambda info: info.filename):
                if info.is_dir():
                    continue
                name = inside + info.filename
                with archive.open(info) as content:
                    bounded = _Bounded(content, partial(int, info.compress_size))
                    held = Member(name, io.BufferedReader(bounded, START))
                    yield from _unpacked(held, f"{name}/", depth + 1)


class _Raw(io.RawIOBase):
    """A stream of bytes that fills every read as far as it can, and says in our words what is wrong with it."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        filled = 0
        try:
            while filled < len(buffer) and (chunk := self._source.read(len(buffer) - filled)):
                buffer[filled : filled + len(chunk)] = chunk
                filled += len(chunk)
        except _BROKEN as error:
            raise InputError("", f"the archive is damaged or cut off: {error}") from None
        return filled


class _Counted(_Raw):
    """A stream that counts what was read from it."""

    count = 0

    def readinto(self, buffer: Any) -> int:
        read = super().readinto(buffer)
        self.count += read
        return read


class _Watched(_Raw):
    """A stream that remembers the end of what was read from it."""

    end = b""

    def readinto(self, buffer: Any) -> int:
        read = super().readinto(buffer)
        self.end = (self.end + bytes(buffer[:read]))[-tarfile.BLOCKSIZE :]
        return read


class _Bounded(_Counted):
    """A decompressed stream within its bounds; `packed` says how many compressed bytes it came from."""

    def __init__(self, source: Any, packed: Callable[[], int]) -> None:
        super().__init__(source)
        self._packed = packed

    def readinto(self, buffer: Any) -> int:
        read = super().readinto(buffer)
        if self.count > MAX_EXPANDED:
            raise InputError("", f"expands to more than {MAX_EXPANDED // 1024**3} GiB")
        if self.count > RATIO_FREE and self.count > MAX_RATIO * self._packed():
            raise InputError("", f"expands more than {MAX_RATIO}-fold, as no log does")
        return read

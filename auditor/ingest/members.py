"""The files inside what the user named: a file, a folder or an archive, one stream of members.

What a file is, is told by its first bytes. Archives are read front to back and never extracted; the names inside
them are only ever read as names. What is compressed is decompressed on the way, within the bounds below. Damage
ends a stream as the end of the file would, so that what came before it is read; the damage is named after it.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Self

import pyarrow as pa

from auditor.errors import InputError
from auditor.ingest import links
from auditor.ingest.json_rows import storable

MAX_EXPANDED = 64 * 1024**3
"""Bytes that one file may expand to, with all that is packed in it."""

MAX_RATIO = 200
"""How many times larger than itself a file may become; a log gives 10 to 30, a bomb 1,000 and more."""

RATIO_FREE = 64 * 1024**2
"""Bytes that anything may expand to, whatever the ratio."""

MAX_MEMBERS = 5_000_000
"""Members of one archive."""

MAX_DEPTH = 6
"""Archives and compressions within one another; a `.tar.gz` is two."""

MAX_FOLDERS = 100
"""Folders within folders."""

START = 1 << 16
"""Bytes of a member that may be looked at before it is read."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file. `name` is its path relative to the input, with `/`; `path` is set for plain files on disk."""

    name: str
    stream: io.BufferedReader[Any] | _Small
    path: str | None = None

    def start(self) -> bytes:
        """The first bytes, which are still to be read; at most START."""
        return self.stream.peek(START)[:START]


@dataclass(frozen=True, slots=True)
class Damaged:
    """What was not read (to its end), and why. `start`: how it begins, if it is a file that was only looked at."""

    name: str
    problem: str
    start: bytes | None = None


def members(path: Path, inputs: Sequence[Path] = ()) -> Iterator[Member | Damaged]:
    """Every file of an input, in a stable order. `inputs` are all that are read: links may lead into them."""
    if path.is_dir():
        yield from _folder(str(path), "", [os.path.realpath(each) for each in (path, *inputs)])
    elif path.is_file():
        yield from _file(str(path), storable(path.name), inside="")
    else:
        yield from _pipe(str(path), storable(path.name))


def _folder(path: str, prefix: str, roots: Sequence[str]) -> Iterator[Member | Damaged]:
    """The regular files below a folder, sorted; links are not followed."""
    # Strings, not Paths: a world-local folder holds one file an event, and Paths cost more than reading them.
    if prefix.count("/") > MAX_FOLDERS:
        yield Damaged(prefix, f"folders are nested more than {MAX_FOLDERS} deep")
        return
    try:
        with os.scandir(path) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        yield Damaged(prefix, f"cannot be read: {error.strerror or error}")
        return
    for entry in entries:
        name = prefix + storable(entry.name)
        if entry.is_dir(follow_symlinks=False):
            yield from _folder(entry.path, f"{name}/", roots)
        elif entry.is_file(follow_symlinks=False):
            yield from _file(entry.path, name, inside=f"{name}/")
        elif not entry.is_symlink():
            yield Damaged(name, links.NO_FILE)
        elif (problem := links.problem_of(entry.path, roots)) is not None:
            yield Damaged(name, problem, _beyond(entry.path))


def _beyond(link: str) -> bytes | None:
    """How the file begins that a link leads to; None if it leads to no file, or to one that cannot be opened."""
    try:
        there = os.stat(link)
        if not stat.S_ISREG(there.st_mode):
            return None
        return start_of(link) if there.st_size else b""  # as those of /proc are, which may keep us waiting
    except OSError:
        return None


def _file(path: str, name: str, inside: str) -> Iterator[Member | Damaged]:
    try:
        start = start_of(path)
        if len(start) < START and _opener(start) is None:
            yield Member(name, _Small(start), path)
            return
        with io.BufferedReader(io.FileIO(path), START) as stream:
            yield from _unpacked(Member(name, stream, path), inside)
    except OSError as error:
        yield Damaged(name, f"cannot be read: {error.strerror or error}")


def start_of(path: str) -> bytes:
    """The first bytes of a file, at most START. Raises OSError."""
    file = os.open(path, _READ)
    try:
        return os.read(file, START)
    finally:
        os.close(file)


_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)


class _Small(io.BytesIO):
    """A file that was read at once: a buffered reader costs more than reading one of a kilobyte."""

    def peek(self, size: int = START) -> bytes:
        """What is still to be read, which stays so."""
        return self.getvalue()[self.tell() :][:size]


def _pipe(path: str, name: str) -> Iterator[Member | Damaged]:
    """What can be read only once, as `<(zcat log.gz)` of a shell, is read to its end first."""
    with tempfile.TemporaryFile(buffering=0) as spool:
        with io.FileIO(path) as stream:
            shutil.copyfileobj(stream, spool)
        spool.seek(0)
        yield from _unpacked(Member(name, io.BufferedReader(spool, START)), "")


def _unpacked(
    member: Member, inside: str, depth: int = 0, budget: _Budget | None = None
) -> Iterator[Member | Damaged]:
    """The member itself, or what it holds. `inside` is the prefix of the names of what it holds."""
    open_ = _opener(member.start())
    if open_ is None:
        yield member
    elif depth == MAX_DEPTH:
        yield Damaged(member.name, f"archives are nested more than {MAX_DEPTH} deep")
    else:
        try:
            yield from open_(
                member, inside, depth + 1, budget or _Budget(os.fstat(member.stream.fileno()).st_size)
            )
        except _BROKEN as error:
            # A stream that ended early is named by whoever opened it.
            if getattr(getattr(member.stream, "raw", None), "problem", None) is None:
                yield Damaged(member.name, _damage(error))


_BROKEN = (
    InputError,
    tarfile.TarError,
    zipfile.BadZipFile,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
)
"""What the libraries raise on an archive that is not as it should be."""


def _damage(error: Exception) -> str:
    if isinstance(error, InputError):
        return error.problem
    return f"the archive is damaged or cut off: {error}"


_Opener = Callable[[Member, str, int, "_Budget"], Iterator[Member | Damaged]]


def is_packed(start: bytes) -> bool:
    """Whether what begins so is an archive, or compressed."""
    return _opener(start) is not None


def _opener(start: bytes) -> _Opener | None:
    """What opens a file that begins so, or None: it is no archive, and nothing compressed."""
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip
    if start[257:262] == b"ustar":
        return _tar
    for magic, decompress in _DECOMPRESS.items():
        if start.startswith(magic):
            return partial(_decompressed, decompress)
    return None


_DECOMPRESS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda packed: gzip.GzipFile(fileobj=packed),
    b"\x28\xb5\x2f\xfd": lambda packed: pa.CompressedInputStream(pa.PythonFile(packed, "r"), "zstd"),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}


def _decompressed(
    decompress: Callable[[Any], Any], member: Member, inside: str, depth: int, budget: _Budget
) -> Iterator[Member | Damaged]:
    content = _Content(decompress(member.stream), budget)
    yield from _unpacked(Member(member.name, io.BufferedReader(content, START)), inside, depth, budget)
    if content.problem:
        yield Damaged(member.name, content.problem)


def _tar(member: Member, inside: str, depth: int, budget: _Budget) -> Iterator[Member | Damaged]:
    with tarfile.open(fileobj=member.stream, mode="r|", tarinfo=_Header) as archive:
        number, names = 0, links.Names()
        while (info := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # it would keep every header that it has read
            number += 1
            if number > MAX_MEMBERS:
                raise InputError(member.name, f"holds more than {MAX_MEMBERS} files")
            name = inside + storable(info.name)
            if info.issym() or info.islnk():
                if not names.link(info.name, info.linkname, hard=info.islnk()):
                    yield Damaged(name, links.OUT_OF_AN_ARCHIVE)
                continue
            names.add(info.name)
            if info.issparse():
                yield Damaged(name, "is a sparse file in a tar; pack it without --sparse")
            elif info.isfile() and (file := archive.extractfile(info)) is not None:
                held = Member(name, io.BufferedReader(_Content(file), START))
                yield from _unpacked(held, f"{name}/", depth, budget)
            elif not info.isdir() and info.type not in _ASIDE:
                yield Damaged(name, links.NO_FILE)
        yield from _lost(names, inside)
    while rest := member.stream.read(1 << 20):
        if rest.strip(b"\0"):
            raise InputError(member.name, "the archive goes on after its end; unpack it first")


_ASIDE = (b"D", b"V")
"""Members of a tar that say something of others: the names in a folder, and what the archive is called."""


def _lost(names: links.Names, inside: str) -> Iterator[Damaged]:
    yield from (Damaged(inside + storable(name), links.OUT_OF_AN_ARCHIVE) for name in names.lost())


class _Header(tarfile.TarInfo):
    """The header of a tar's member. A damaged one is no end of the archive, as `tarfile` has it."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if bytes(buf) == bytes(tarfile.BLOCKSIZE):
                raise  # zeros: the end
            raise tarfile.ReadError("its end is missing" if not buf else str(error)) from None


def _zip(member: Member, inside: str, depth: int, budget: _Budget) -> Iterator[Member | Damaged]:
    with tempfile.TemporaryFile() as spool:
        source: IO[bytes] = member.stream
        if member.path is None:
            shutil.copyfileobj(member.stream, spool)
            source = spool
        with zipfile.ZipFile(source) as archive:
            infos = archive.infolist()
            if len(infos) > MAX_MEMBERS:
                raise InputError(member.name, f"holds more than {MAX_MEMBERS} files")
            names = links.Names()
            for info in sorted(infos, key=lambda info: info.filename):
                name = inside + storable(info.filename)
                if stat.S_ISLNK(info.external_attr >> 16):
                    if not names.link(info.filename, _target(archive, info)):
                        yield Damaged(name, links.OUT_OF_AN_ARCHIVE)
                    continue
                names.add(info.filename)
                if not info.is_dir():
                    yield from _zipped(archive, info, name, depth, budget)
            yield from _lost(names, inside)


def _target(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    """Where a link of a zip leads: that is what it holds. One that cannot be told leads out of it."""
    try:
        with archive.open(info) as file:
            return os.fsdecode(file.read(START))
    except _BROKEN:
        return "/"


def _zipped(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, depth: int, budget: _Budget
) -> Iterator[Member | Damaged]:
    if info.flag_bits & 1:
        yield Damaged(name, "is protected by a password; unpack it first")
        return
    try:
        file = archive.open(info)
    except _BROKEN as error:
        yield Damaged(name, _damage(error))
        return
    with file:
        content = _Content(file, budget)
        yield from _unpacked(Member(name, io.BufferedReader(content, START)), f"{name}/", depth, budget)
        if content.problem:
            yield Damaged(name, content.problem)


class _Budget:
    """How many bytes one file may still expand to."""

    def __init__(self, packed: int) -> None:
        self.whole = self.left = min(MAX_EXPANDED, max(RATIO_FREE, MAX_RATIO * packed))


class _Content(io.RawIOBase):
    """Bytes out of an archive. What is wrong with them ends them, and is in `problem`."""

    problem: str | None = None

    def __init__(self, source: Any, budget: _Budget | None = None) -> None:
        self._source = source
        self._budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        filled = 0
        while filled < len(buffer) and (chunk := self._chunk(len(buffer) - filled)):
            buffer[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
        return filled

    def _chunk(self, size: int) -> bytes:
        if self.problem is not None:
            return b""
        try:
            chunk: bytes = self._source.read1(size)
        except _BROKEN as error:
            self.problem = _damage(error)
            return b""
        if self._budget is not None:
            self._budget.left -= len(chunk)
            if self._budget.left < 0:
                limit = self._budget.whole // 1024**2
                self.problem = f"expands to more than {limit} MiB, as no log of its size does; unpack it first"
                return b""
        return chunk

"""Writes an upload to disk while it arrives, whatever it is called and however it ends."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from .problems import Problem

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

UNNAMED = "upload"
MOST_FILES = 20_000
"""In one upload: a world-local folder has a file an event."""

_LONGEST_PART = 200
_DEEPEST = 8


def safe_name(raw: str) -> str:
    """A path below the folder of uploads, of what an uploader calls a file.

    Folders stay, as some formats are folders. Nothing leads out of the folder, hides, or breaks a line.
    """
    parts = []
    for part in unicodedata.normalize("NFC", raw).replace("\\", "/").split("/"):
        seen = "".join(char for char in part if unicodedata.category(char)[0] != "C").strip().lstrip(".~")
        if seen:
            # From the end, as the end says what is in it; as many bytes as file systems take.
            parts.append(seen.encode()[-_LONGEST_PART:].decode("utf-8", "ignore"))
    return str(PurePosixPath(*parts[-_DEEPEST:])) if parts else UNNAMED


@dataclass(frozen=True, slots=True)
class Received:
    """One file that is complete."""

    name: str
    size: int
    sha256: str


class Inbox:
    """A folder that files are written into, one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: BinaryIO | None = None
        self._name = ""
        self._size = 0
        self._digest = hashlib.sha256()
        self.received: list[Received] = []

    def open(self, raw_name: str) -> None:
        """Begin a file. Raises Problem if there cannot be one of this name."""
        name = safe_name(raw_name)
        if len(self.received) >= MOST_FILES:
            raise Problem(413, f"An upload may have {MOST_FILES} files; send an archive instead.")
        path = self._folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb")
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise Problem(400, "Two files of this upload have the same name.") from None
        self._name, self._size, self._digest = name, 0, hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Add to the file."""
        if self._file is not None:
            self._file.write(data)
            self._digest.update(data)
            self._size += len(data)

    def close(self) -> None:
        """End the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self.received.append(Received(self._name, self._size, self._digest.hexdigest()))

    def abandon(self) -> None:
        """Close what is open; nothing of it counts."""
        if self._file is not None:
            self._file.close()
            self._file = None


class Body(Protocol):
    """The body of a request while it arrives."""

    def feed(self, data: bytes) -> None:
        """The next bytes."""

    def end(self) -> None:
        """That was all. Raises Problem if something is missing."""


class RawBody:
    """A body that is one file."""

    def __init__(self, inbox: Inbox, name: str) -> None:
        self._inbox = inbox
        inbox.open(name)

    def feed(self, data: bytes) -> None:
        """The next bytes of the file."""
        self._inbox.write(data)

    def end(self) -> None:
        """The file is complete."""
        self._inbox.close()


class FormBody:
    """A body that is a form: each part with a file name is a file, the others are passed over."""

    def __init__(self, inbox: Inbox, boundary: bytes) -> None:
        self._inbox = inbox
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = ""
        self._ended = False
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._into(self._header),
            "on_header_value": self._into(self._value),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": lambda data, start, end: inbox.write(data[start:end]),
            "on_part_end": inbox.close,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError:
            raise Problem(400, "The boundary of this form is too long.") from None

    def feed(self, data: bytes) -> None:
        """The next bytes of the form. Raises Problem if it is none."""
        try:
            self._parser.write(data)
        except FormParserError:
            raise Problem(400, "This is no valid multipart/form-data.") from None

    def end(self) -> None:
        """The form is complete. Raises Problem if its end is missing."""
        if not self._ended:
            raise Problem(400, "This form ends before its last boundary.")

    @staticmethod
    def _into(text: bytearray) -> Callable[[bytes, int, int], None]:
        return lambda data, start, end: text.extend(data[start:end])

    def _begin(self) -> None:
        self._disposition = ""

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value.decode("latin-1")
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if (name := options.get(b"filename")) is not None:
            self._inbox.open(name.decode("utf-8", "replace"))

    def _end(self) -> None:
        self._ended = True

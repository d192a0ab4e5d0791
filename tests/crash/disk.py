"""A disk between SQLite and the real one: it remembers every write and sync, and can fail.

It is a VFS (https://sqlite.org/vfs.html) around the one of the system, made with `ctypes` in the SQLite that this
Python is linked with: files of the name `recording` open as always, but their write, sync and truncate go
through here. What a power loss would leave can then be worked out (`crash.power`).
"""

from __future__ import annotations

import _sqlite3
import ctypes as c
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.world.sqlite import committer

NAME = b"recording"
OK = 0

HIDDEN = (
    "These tests reach into the SQLite that Python is linked with, and this Python hides it (it was linked "
    "statically). Run them with one that loads the library: that of the distribution, of pyenv, or of python.org."
)

_FILE = c.c_void_p
_OPEN = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, _FILE, c.c_int, c.c_void_p)
_WRITE = c.CFUNCTYPE(c.c_int, _FILE, c.c_void_p, c.c_int, c.c_int64)
_TRUNCATE = c.CFUNCTYPE(c.c_int, _FILE, c.c_int64)
_SYNC = c.CFUNCTYPE(c.c_int, _FILE, c.c_int)


class _Methods(c.Structure):
    """`sqlite3_io_methods`, as of version 3."""

    _fields_ = (
        ("version", c.c_int),
        ("close", c.c_void_p),
        ("read", c.c_void_p),
        ("write", _WRITE),
        ("truncate", _TRUNCATE),
        ("sync", _SYNC),
        ("others", c.c_void_p * 13),
    )


class _Vfs(c.Structure):
    """The head of `sqlite3_vfs`, as of version 3; the rest are functions that stay as they are."""

    _fields_ = (
        ("version", c.c_int),
        ("size_of_file", c.c_int),
        ("longest_path", c.c_int),
        ("next", c.c_void_p),
        ("name", c.c_char_p),
        ("data", c.c_void_p),
        ("open", _OPEN),
        ("others", c.c_void_p * 15),
    )


@dataclass(frozen=True)
class Did:
    """One call: `write`, `sync` or `truncate` of the file with this suffix ("" or "-wal")."""

    call: str
    suffix: str
    offset: int = 0
    data: bytes = b""


Before = Callable[[Did], int]
"""Sees each call before it happens; what it returns, if not OK, is the error code that SQLite gets instead."""


_REGISTERED: list[object] = []
"""SQLite keeps the addresses of our functions for as long as the process lives; so they must live as long."""


def _library() -> Any:
    library = c.CDLL(getattr(_sqlite3, "__file__", None))
    if not hasattr(library, "sqlite3_vfs_find"):
        raise RuntimeError(HIDDEN)
    library.sqlite3_vfs_find.restype = c.POINTER(_Vfs)
    return library


class Disk:
    """Register it once in a process; `path` is the world whose files are watched."""

    def __init__(self, path: Path, before: Before) -> None:
        self._path = str(path)
        self._before = before
        self._original: dict[int, _Methods] = {}
        self._suffix: dict[int, str] = {}
        self._kept: list[object] = []
        _REGISTERED.append(self)
        self._register()

    def connect_through(self, *, pages_between_checkpoints: int) -> None:
        """From now on, worlds that this process opens write through this disk."""

        def connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
            con = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=rw&vfs={NAME.decode()}",
                timeout=busy_seconds,
                isolation_level=None,
                check_same_thread=False,
                uri=True,
            )
            con.execute(f"PRAGMA wal_autocheckpoint = {pages_between_checkpoints}")
            return con

        committer.connect = connect  # type: ignore[assignment]

    def _register(self) -> None:
        library = _library()
        system = library.sqlite3_vfs_find(None).contents
        vfs = _Vfs.from_buffer_copy(system)
        vfs.name = NAME
        vfs.open = _OPEN(lambda *call: self._open(system.open, *call))
        self._kept += [system, vfs]
        assert library.sqlite3_vfs_register(c.byref(vfs), 0) == OK
        self._write, self._truncate, self._sync = (
            _WRITE(self._on_write),
            _TRUNCATE(self._on_truncate),
            _SYNC(self._on_sync),
        )

    def _open(self, opens: Any, vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
        # The pointer goes on as it came: SQLite keeps it, and what stands behind the name.
        code = int(opens(vfs, name, file, flags, out))
        path = c.string_at(name).decode() if name else ""
        if code == OK and path.startswith(self._path):
            held = c.cast(file, c.POINTER(c.POINTER(_Methods)))
            self._original[file] = held[0].contents
            self._suffix[file] = path.removeprefix(self._path)
            ours = _Methods.from_buffer_copy(held[0].contents)
            ours.write, ours.truncate, ours.sync = self._write, self._truncate, self._sync
            self._kept.append(ours)
            held[0] = c.pointer(ours)
        return code

    def _on_write(self, file: int, data: int, size: int, offset: int) -> int:
        did = Did("write", self._suffix[file], offset, c.string_at(data, size))
        return self._before(did) or int(self._original[file].write(file, data, size, offset))

    def _on_truncate(self, file: int, size: int) -> int:
        return self._before(Did("truncate", self._suffix[file], size)) or int(
            self._original[file].truncate(file, size)
        )

    def _on_sync(self, file: int, flags: int) -> int:
        return self._before(Did("sync", self._suffix[file])) or int(self._original[file].sync(file, flags))

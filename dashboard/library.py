"""The dashboard folder: audit files, and what is known about each."""

from __future__ import annotations

import json
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb
from ulid import ULID

from auditor import Audit

from .state import State, now_ms

_OPEN_AT_ONCE = 8
_ROOM = 1024**3
"""Bytes of disk that must be free before a new audit is begun."""

_LONGEST_NAME = 200
_DAY_MS = 86_400_000


ENDED = ("done", "failed", "cancelled")
"""The states of an audit that nothing changes any more."""

RETENTION = "retention"
"""Who deletes what is too old, as the trail calls it."""


class NoRoom(Exception):
    """The disk is too full for another audit; its text says so to people."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One audit of the folder, finished or not; a row of `audit` in `state.sql`, which says what each field is."""

    audit_id: str
    name: str
    created_at: int
    created_by: str
    state: str
    phase: str | None
    progress: float | None
    problem: str | None
    finished_at: int | None
    keep_payloads: bool
    uploaded_bytes: int
    audit_bytes: int | None
    summary: dict[str, Any] | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> Entry:
        """From a row of the table."""
        summary = json.loads(row["summary"]) if row["summary"] else None
        return cls(**{**row, "keep_payloads": bool(row["keep_payloads"]), "summary": summary})

    @property
    def is_done(self) -> bool:
        """Its audit file can be read."""
        return self.state == "done"

    @property
    def is_imported(self) -> bool:
        """Its audit file was there already: it was made elsewhere, or by another dashboard."""
        return self.finished_at is not None and self.finished_at <= self.created_at

    @property
    def made_at(self) -> int:
        """When it was made: of an audit file that was there already, when that was written."""
        return min(self.created_at, self.finished_at or self.created_at)


class Upload(Protocol):
    """One file of an upload: a row of `upload` in `state.sql`."""

    @property
    def name(self) -> str:
        """Relative to the folder of uploads."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def sha256(self) -> str:
        """Digest of the content, hex."""


@dataclass(slots=True)
class _Opened:
    """An audit that is open, and how many threads read it just now."""

    audit: Audit
    readers: int = 0


class Library:
    """The audits of one folder. Any thread may use it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.state = State(folder / "state.sqlite")
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _Opened] = OrderedDict()

    def entries(self) -> list[Entry]:
        """Every audit, the newest first."""
        return [
            Entry.of(row) for row in self.state.rows("SELECT * FROM audit ORDER BY created_at DESC, audit_id DESC")
        ]

    def entry(self, audit_id: str) -> Entry | None:
        """One audit."""
        rows = self.state.rows("SELECT * FROM audit WHERE audit_id = ?", [audit_id])
        return Entry.of(rows[0]) if rows else None

    def before(self, entry: Entry) -> Entry | None:
        """The finished audit that `entry` is compared with: the last one of the same name that was made before it.

        Never one of another name: what is new against the logs of another system is no news.
        """
        rows = self.state.rows(
            """
            SELECT * FROM audit
            WHERE state = 'done' AND name = ? AND (min(created_at, finished_at), audit_id) < (?, ?)
            ORDER BY min(created_at, finished_at) DESC, audit_id DESC LIMIT 1
            """,
            [entry.name, entry.made_at, entry.audit_id],
        )
        return Entry.of(rows[0]) if rows else None

    def begin(self, name: str, who: str, *, keep_payloads: bool = False, state: str = "receiving") -> str:
        """A new audit, and the folder that its uploads go to. Returns its id.

        Raises NoRoom if the disk is full.
        """
        if shutil.disk_usage(self.folder).free < _ROOM:
            raise NoRoom("The disk of the server is full: less than 1 GiB is free. Delete audits, then try again.")
        name = shown_name(name)
        audit_id = str(ULID())
        self.uploads(audit_id).mkdir(parents=True)
        try:
            with self.state.change() as con:
                con.execute(
                    "INSERT INTO audit (audit_id, name, created_at, created_by, state, keep_payloads)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    [audit_id, name, now_ms(), who, state, keep_payloads],
                )
                self.state.note(con, who, "import", audit_id, name=name, keep_payloads=keep_payloads)
        except BaseException:
            self._remove(audit_id)
            raise
        return audit_id

    def file(self, audit_id: str) -> Path:
        """Where its audit file is, or will be."""
        return self.folder / f"{audit_id}.duckdb"

    def uploads(self, audit_id: str) -> Path:
        """Where its uploads wait for the audit."""
        return self.folder / "uploads" / audit_id

    def received_all(self, audit_id: str, uploads: Sequence[Upload]) -> None:
        """Write down the uploads of an audit; they are complete, and stand below `uploads`."""
        with self.state.change() as con:
            con.executemany(
                "INSERT INTO upload VALUES (?, ?, ?, ?)",
                [(audit_id, upload.name, upload.size, upload.sha256) for upload in uploads],
            )
            con.execute(
                "UPDATE audit SET uploaded_bytes = ? WHERE audit_id = ?",
                [sum(upload.size for upload in uploads), audit_id],
            )

    def abandon(self, audit_id: str) -> None:
        """Forget an audit whose uploads did not arrive."""
        self._remove(audit_id)
        with self.state.change() as con:
            con.execute("DELETE FROM audit WHERE audit_id = ?", [audit_id])

    def rename(self, audit_id: str, name: str, who: str) -> None:
        """Call an audit something else."""
        with self.state.change() as con:
            con.execute("UPDATE audit SET name = ? WHERE audit_id = ?", [shown_name(name), audit_id])
            self.state.note(con, who, "rename", audit_id, name=shown_name(name))

    @contextmanager
    def reading(self, audit_id: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to a finished audit, for this thread alone. Raises InputError if it is none.

        The audit stays open for the next who asks.
        """
        with self._lock:
            opened = self._open.pop(audit_id, None) or _Opened(Audit.open(self.file(audit_id)))
            self._open[audit_id] = opened
            cursor = opened.audit.con.cursor()
            opened.readers += 1
            self._close_idle()
        try:
            yield cursor
        finally:
            cursor.close()
            with self._lock:
                opened.readers -= 1
                # Somebody may have deleted it meanwhile: then who reads it last closes it.
                if not opened.readers and self._open.get(audit_id) is not opened:
                    opened.audit.close()

    def _close_idle(self) -> None:
        idle = [audit_id for audit_id, opened in self._open.items() if not opened.readers]
        for audit_id in idle[: max(0, len(self._open) - _OPEN_AT_ONCE)]:
            self._open.pop(audit_id).audit.close()

    def delete(self, audit_id: str, who: str) -> None:
        """Remove an audit, its file and its uploads. What was decided about findings stays."""
        entry = self.entry(audit_id)
        with self._lock:
            opened = self._open.pop(audit_id, None)
            if opened is not None and not opened.readers:
                opened.audit.close()
        self._remove(audit_id)
        with self.state.change() as con:
            con.execute("DELETE FROM audit WHERE audit_id = ?", [audit_id])
            self.state.note(con, who, "delete", audit_id, name=entry.name if entry else "")
        # It may have been under way, and finished while we were here.
        self._remove(audit_id)

    def _remove(self, audit_id: str) -> None:
        """Remove its files. Before anything is written about it: a full disk has no room for that."""
        self.file(audit_id).unlink(missing_ok=True)
        shutil.rmtree(self.uploads(audit_id), ignore_errors=True)

    def expire(self, days: int, now: int) -> None:
        """Delete what ended and was made more than `days` before `now` (milliseconds since 1970)."""
        oldest = now - days * _DAY_MS
        for entry in self.entries():
            if entry.created_at < oldest and entry.state in ENDED:
                self.delete(entry.audit_id, RETENTION)


def shown_name(name: str) -> str:
    """A name on one line, without what cannot be seen."""
    seen = "".join(char for char in " ".join(name.split()) if char.isprintable())
    return seen[:_LONGEST_NAME].strip() or "unnamed"

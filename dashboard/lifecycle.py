"""An audit from queued to done, failed or cancelled: every change of its row, and what is removed with it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from typing import Any

from .library import Entry, Library
from .state import now_ms

_INTERRUPTED = "The server ended before the upload was complete. Upload it again."


def queue(library: Library, audit_id: str) -> None:
    """Its uploads are complete: it waits for its turn."""
    with library.state.change() as con:
        con.execute("UPDATE audit SET state = 'queued' WHERE audit_id = ? AND state = 'receiving'", [audit_id])


def waiting(library: Library) -> int:
    """How many audits are received, or wait for their turn."""
    return int(
        library.state.rows("SELECT count(*) AS n FROM audit WHERE state IN ('receiving', 'queued')")[0]["n"]
    )


def claim(library: Library) -> Entry | None:
    """The audit whose turn it is; it runs from now on."""
    with library.state.change() as con:
        rows = con.execute(
            """
            UPDATE audit SET state = 'running', phase = NULL, progress = NULL
            WHERE audit_id = (
                SELECT audit_id FROM audit WHERE state = 'queued' ORDER BY created_at, audit_id LIMIT 1
            )
            RETURNING *
            """
        ).fetchall()
    return Entry.of(dict(rows[0])) if rows else None


def tell(library: Library, audit_id: str, phase: str, done: int, total: int) -> bool:
    """How far it is. False if it is to run no longer."""
    with library.state.change() as con:
        return _changed(
            con,
            "UPDATE audit SET phase = ?, progress = ? WHERE audit_id = ? AND state = 'running'",
            [phase, done / total if total > 1 else None, audit_id],
        )


def finish(library: Library, audit_id: str, summary: dict[str, Any]) -> None:
    """It is done, and its file complete; unless it was cancelled or deleted in that moment."""
    size = library.file(audit_id).stat().st_size
    with library.state.change() as con:
        kept = _changed(
            con,
            """
            UPDATE audit SET
                state = 'done', phase = NULL, progress = NULL, finished_at = ?, audit_bytes = ?, summary = ?
            WHERE audit_id = ? AND state = 'running'
            """,
            [now_ms(), size, json.dumps(summary), audit_id],
        )
    if not kept:
        library.file(audit_id).unlink(missing_ok=True)
    _clear(library, audit_id)


def fail(library: Library, audit_id: str, problem: str) -> None:
    """It cannot be made; `problem` says why, to people."""
    # First of all: a full disk has no room to write that it failed.
    library.file(audit_id).unlink(missing_ok=True)
    _clear(library, audit_id)
    with library.state.change() as con:
        _end(con, audit_id, "failed", problem)


def cancel(library: Library, audit_id: str, who: str) -> None:
    """Somebody does not want it any more."""
    try:
        with library.state.change() as con:
            if _end(con, audit_id, "cancelled", None):
                library.state.note(con, who, "cancel", audit_id)
    finally:
        _clear(library, audit_id)


def recover(library: Library) -> None:
    """After a server that ended in the middle: queue again what was running, fail what was not yet received."""
    for row in library.state.rows(
        "SELECT audit_id, state FROM audit WHERE state IN ('receiving', 'running', 'queued')"
    ):
        audit_id = row["audit_id"]
        uploads = library.uploads(audit_id)
        if row["state"] == "receiving" or not (uploads.is_dir() and any(uploads.iterdir())):
            fail(library, audit_id, _INTERRUPTED)
        else:
            with library.state.change() as con:
                con.execute("UPDATE audit SET state = 'queued' WHERE audit_id = ?", [audit_id])
    queued = {row["audit_id"] for row in library.state.rows("SELECT audit_id FROM audit WHERE state = 'queued'")}
    for left in library.uploads("").glob("*"):
        if left.name not in queued:
            _clear(library, left.name)


def forget_lost(library: Library) -> None:
    """Uploads that ended when not even that could be written: their files are gone, their entries are not."""
    for row in library.state.rows("SELECT audit_id FROM audit WHERE state = 'receiving'"):
        if not library.uploads(row["audit_id"]).exists():
            library.abandon(row["audit_id"])


def _end(con: sqlite3.Connection, audit_id: str, state: str, problem: str | None) -> bool:
    return _changed(
        con,
        """
        UPDATE audit SET state = ?, problem = ?, phase = NULL, progress = NULL, finished_at = ?
        WHERE audit_id = ? AND state IN ('receiving', 'queued', 'running')
        """,
        [state, problem, now_ms(), audit_id],
    )


def _changed(con: sqlite3.Connection, sql: str, values: list[Any]) -> bool:
    return con.execute(sql, values).rowcount > 0


def _clear(library: Library, audit_id: str) -> None:
    shutil.rmtree(library.uploads(audit_id), ignore_errors=True)

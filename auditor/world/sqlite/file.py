"""The file of a SQLite world: how it is made, opened and brought up to date, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path

from auditor import schemas
from auditor.errors import NotAWorld, StoreBusy, StoreFull, StoreUnavailable, WorldError

SCHEMA = "auditor.world/v1"

BUSY_SECONDS = 30.0
"""How long a writer waits for the lock of another process."""

CHECKPOINT_PAGES = 4_000
"""Pages in the write-ahead log (16 MB) before they go into the file. An append changes some ten of them, mostly
the same ones, and only their last version has to be moved."""

CACHE_KIB = 32_768
"""Memory of one connection for pages."""

_OWN_TABLES = resources.files(__package__).joinpath("store.sql")

MIGRATIONS: tuple[Callable[[], str], ...] = (
    lambda: schemas.text("world") + f"INSERT INTO meta VALUES ('schema', '{SCHEMA}');",
    lambda: _OWN_TABLES.read_text("utf-8"),
)
"""The steps from nothing to the tables of this version; `PRAGMA user_version` is how many were made."""


def create(path: Path) -> None:
    """Make a new world. Raises NotAWorld if something is there already."""
    if path.exists() and path.stat().st_size > 0 and not _has_no_tables(path):
        raise NotAWorld(f"{path} exists already; `auditor world stats` says what it is")
    if not path.parent.is_dir():
        raise NotAWorld(f"{path}: the folder {path.parent} does not exist")
    with translated(str(path)):
        con = connect(path, BUSY_SECONDS, "rwc")
        try:
            con.execute("PRAGMA journal_mode = WAL")
            migrate(con, str(path), new=True)
        finally:
            con.close()


def _has_no_tables(path: Path) -> bool:
    """Whether a process died there that was making a world."""
    try:
        with closing(connect(path, BUSY_SECONDS)) as con:
            return bool(con.execute("SELECT NOT EXISTS (SELECT 1 FROM sqlite_master)").fetchone()[0])
    except sqlite3.Error:
        return False


def connect(path: Path, busy_seconds: float, mode: str = "rw") -> sqlite3.Connection:
    """A connection in autocommit mode that any one thread at a time may use."""
    con = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        uri=True,
    )
    con.execute("PRAGMA trusted_schema = OFF")
    con.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    con.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    return con


def migrate(con: sqlite3.Connection, name: str, *, new: bool = False) -> None:
    """Bring the tables up to date, in one transaction.

    Raises NotAWorld if they are not ours, or of a later version. Any number of processes may do so at once: the
    first one does it, the others find it done.
    """
    if not new and _version(con) == len(MIGRATIONS):
        _must_be_ours(con, name)
        return
    con.execute("BEGIN IMMEDIATE")
    try:
        done = _version(con)
        if not new:
            _must_be_ours(con, name)
        if done > len(MIGRATIONS):
            raise NotAWorld(
                f"{name} was written by a newer auditor (its tables are of version {done}, this one knows "
                f"{len(MIGRATIONS)}): pip install --upgrade workflow-auditor"
            )
        for step in MIGRATIONS[done:]:
            for statement in _statements(step()):
                con.execute(statement)
        con.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        con.execute("COMMIT")
    finally:
        if con.in_transaction:
            con.execute("ROLLBACK")


def _version(con: sqlite3.Connection) -> int:
    return int(con.execute("PRAGMA user_version").fetchone()[0])


def _must_be_ours(con: sqlite3.Connection, name: str) -> None:
    try:
        row = con.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_ERROR":
            raise
        row = None
    if row is None:
        raise NotAWorld(f"{name} is no world of auditor; `auditor world init` makes one in a new file")
    if row[0] != SCHEMA:
        raise NotAWorld(f"{name} was written as {row[0]!r}, this auditor knows {SCHEMA}")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Errors of SQLite as our own, which say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise meaning(name, error) from error


def identity(path: Path) -> tuple[int, int] | None:
    """Which file it is that has this name now; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def whole(name: str, last_commit: tuple[object, ...] | None) -> tuple[int, int]:
    """Number and time of the last commit. Raises StoreUnavailable if SQLite did not see that they are damaged."""
    match last_commit:
        case (int(number), int(at)):
            return number, at
        case _:
            raise _damaged(name, "it does not know its last commit")


def _damaged(name: str, what: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"{name} is damaged: {what}; `sqlite3 FILE .recover | sqlite3 NEW` saves what can still be read"
    )


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another process was in the way."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def meaning(name: str, error: sqlite3.Error, committing: bool = False) -> WorldError:
    """What an error of SQLite means for a caller.

    Nothing of the write is in the file; but a commit whose sync failed may lie in the write-ahead log, where a
    process that recovers the file before the next write finds it.
    """
    code = getattr(error, "sqlite_errorname", "")
    if is_locked(error):
        return StoreBusy(f"{name} is locked by another process; nothing was written: try again")
    if code.startswith("SQLITE_FULL"):
        return StoreFull(f"{name}: the disk is full; nothing was written: make room and try again")
    if code.startswith("SQLITE_NOTADB"):
        return NotAWorld(f"{name} is no SQLite file; `auditor world init` makes a world in a new one")
    if code.startswith("SQLITE_CANTOPEN"):
        return NotAWorld(f"{name} cannot be opened: is it there, and may it and its folder be written to?")
    if code.startswith("SQLITE_READONLY"):
        return StoreUnavailable(f"{name} may not be written to: {error}")
    if code.startswith("SQLITE_CORRUPT"):
        return _damaged(name, str(error))
    return StoreUnavailable(f"{name} cannot be used now: {error} ({code})", outcome_unknown=committing)

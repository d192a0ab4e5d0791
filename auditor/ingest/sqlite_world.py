"""SQLite files of our own world, also while a world writes to them.

The file is never written, and nothing is left beside it. How it can be opened depends on what lies there:

    write-ahead log and its index beside it   in place, read-only: a process has it open, or died with it open
    write-ahead log without its index         copied first, since SQLite would make the index
    WAL mode, but no write-ahead log          in place, as a file that nobody writes: SQLite would make both files
    anything else                             in place, read-only

Where SQLite cannot read in place without writing (a transaction to roll back, a folder that is closed to it), the
file is copied first, with its log.

All tables are read in one transaction, so they agree with each other.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from auditor.errors import InputError
from auditor.ingest import world_tables
from auditor.ingest.intake import Intake
from auditor.ingest.members import Member
from auditor.ingest.staging import Batch
from auditor.model import records

MAGIC = b"SQLite format 3\0"
WAL_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")

BUSY_SECONDS = 5
"""How long to wait for another process that has locked the file."""

_WAL_MODE = 2
_READ_VERSION = 19  # the byte of the header that says it

_NOT_IN_PLACE = ("SQLITE_READONLY", "SQLITE_CANTOPEN")
"""How SQLite says that it would have to write something to read the file."""

_TABLES = """
SELECT t.name, c.name
FROM sqlite_master AS t, pragma_table_info(t.name) AS c
WHERE t.type = 'table' AND t.sql NOT LIKE 'CREATE VIRTUAL%'
"""


def read(member: Member, intake: Intake) -> None:
    """Read one file. Raises InputError if it is damaged, locked, or no world of ours; nothing is loaded then."""
    mode = member.start()[_READ_VERSION : _READ_VERSION + 1]
    path = intake.on_disk(member).resolve()
    try:
        batches = _read(path, mode == bytes([_WAL_MODE]), member.name, intake)
    except sqlite3.Error as error:
        raise InputError(member.name, _explained(error)) from None
    except OSError as error:
        raise InputError(member.name, f"cannot be read: {error.strerror or error}") from None
    before = intake.rows
    for batch in batches:
        intake.load(batch)
    if intake.rows == before:
        raise InputError(member.name, "is a world with no run in it yet")


def _read(path: Path, wal_mode: bool, name: str, intake: Intake) -> list[Batch]:
    log = "-wal" if wal_mode else "-journal"
    left = _beside(path, log).exists()
    if wal_mode and not left:
        with _unchanged(path, name):
            return _rows(path, "immutable=1", name, intake)
    if not wal_mode or _beside(path, "-shm").exists():
        try:
            return _rows(path, "mode=ro", name, intake)
        except sqlite3.OperationalError as error:
            if not left or not error.sqlite_errorname.startswith(_NOT_IN_PLACE):
                raise
    return _rows(_copied(path, log, name, intake), "mode=rw", name, intake)


def _rows(path: Path, how: str, name: str, intake: Intake) -> list[Batch]:
    """Everything in the file, written out but not loaded."""
    uri = f"{path.as_uri()}?{how}"
    with closing(sqlite3.connect(uri, BUSY_SECONDS, isolation_level=None, uri=True)) as con:
        con.text_factory = bytes  # what is no UTF-8 is rejected with its row
        con.execute("PRAGMA query_only = ON")
        con.execute("PRAGMA trusted_schema = OFF")  # the file is not ours to trust
        con.execute("BEGIN")
        tables = _tables(con)
        world_tables.require(name, _schema(con, tables), tables)
        sources = world_tables.opened(name, f"{name}/", intake)
        return [
            world_tables.write(record, con.execute(_select(record)), sources[record.table], intake)
            for record in records.ALL
        ]


def _select(record: records.Record) -> str:
    return world_tables.select(record, world_tables.SQLITE)


def _tables(con: sqlite3.Connection) -> dict[str, set[str]]:
    tables: dict[str, set[str]] = {}
    for table, column in con.execute(_TABLES):
        tables.setdefault(table.decode("utf-8", "replace"), set()).add(column.decode("utf-8", "replace"))
    return tables


def _schema(con: sqlite3.Connection, tables: dict[str, set[str]]) -> str | None:
    if not tables.get("meta", set()) >= {"key", "value"}:
        return None
    row = con.execute("SELECT CAST(value AS TEXT) FROM meta WHERE key = 'schema'").fetchone()
    return row[0].decode("utf-8", "replace") if row and row[0] is not None else None


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _copied(path: Path, suffix: str, name: str, intake: Intake) -> Path:
    """A copy of the file and of what belongs to it, in the scratch folder."""
    copy = intake.file("world.db")
    with _unchanged(path, name):
        shutil.copyfile(path, copy)
        shutil.copyfile(_beside(path, suffix), _beside(copy, suffix))
    return copy


@contextmanager
def _unchanged(path: Path, name: str) -> Iterator[None]:
    """Raise InputError if somebody began to write to the file inside this block."""

    def state() -> tuple[int, int, bool]:
        stat = path.stat()
        return stat.st_size, stat.st_mtime_ns, _beside(path, "-shm").exists()

    before = state()
    yield
    if state() != before:
        raise InputError(name, "was written to while it was read; audit it again, or a copy of it")


def _explained(error: sqlite3.Error) -> str:
    """What is wrong, and what to do."""
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return (
            f"is locked by a process that writes to it, for more than {BUSY_SECONDS} s; stop it, or audit a backup"
        )
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR_SHORT_READ")):
        return f"is damaged SQLite: {error}; `sqlite3 FILE .recover | sqlite3 NEW` saves what can still be read"
    if code.startswith("SQLITE_CANTOPEN"):
        return "cannot be opened; may it be read, and its folder be entered?"
    return f"cannot be read as SQLite: {error}"


def pass_over_wal(member: Member, intake: Intake) -> None:
    """A write-ahead log is read with its file. Raises InputError in an archive, where it cannot be."""
    if member.path is None:
        raise InputError(
            member.name,
            "is the write-ahead log of a SQLite file; run `PRAGMA wal_checkpoint(TRUNCATE)` before packing it",
        )
    intake.skipped += 1

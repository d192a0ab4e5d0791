"""Worlds by URL."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

from auditor.errors import UsageError
from auditor.world.memory import MemoryWorld
from auditor.world.protocol import World
from auditor.world.sqlite import SqliteWorld
from auditor.world.sqlite import file as sqlite_file

FORMS = "memory://, sqlite:///rel.db, sqlite:////abs.db, or postgresql://USER@HOST/DB"


async def create_world(url: str) -> None:
    """Make a new, empty world at a URL. Raises NotAWorld if there is one, or something else, already."""
    kind = _kind(url)
    if kind == "sqlite":
        sqlite_file.create(_path(url))
    elif kind == "postgresql":
        await _postgres().create(url)
    else:
        raise UsageError(f"{url}: a world in memory lives inside one process; give {FORMS}")


async def open_world(url: str) -> World:
    """The world at a URL. Raises NotAWorld if there is none, and UsageError if it is no URL of a world."""
    kind = _kind(url)
    if kind == "memory":
        return MemoryWorld()
    if kind == "sqlite":
        return SqliteWorld(_path(url))
    _postgres()
    from auditor.world.postgres import PostgresWorld  # noqa: PLC0415 - an extra

    return await PostgresWorld.open(url)


def _postgres() -> ModuleType:
    """The module that knows PostgreSQL. Raises UsageError if its extra is not installed."""
    try:
        from auditor.world.postgres import database  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError(f"PostgreSQL needs psycopg ({error}): pip install 'workflow-auditor[postgres]'") from None
    return database


def _kind(url: str) -> str:
    scheme, mark, _ = url.partition("://")
    kind = {"postgres": "postgresql"}.get(scheme, scheme)
    if not mark or kind not in ("memory", "sqlite", "postgresql"):
        # What is behind the scheme may hold a password.
        raise UsageError(f"{scheme[:20]!r} is no URL of a world; give {FORMS}")
    return kind


def _path(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc or not parts.path.strip("/"):
        raise UsageError(f"{url!r} names no file; give sqlite:///rel.db, or sqlite:////abs.db")
    return Path(parts.path[1:])

"""The database of a PostgreSQL world: its tables, its connections, and what its errors mean."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import AsyncConnection, errors, sql
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from auditor import schemas
from auditor.errors import NotAWorld, StoreBusy, StoreFull, StoreUnavailable, UsageError, WorldError

T = TypeVar("T")
Connection = AsyncConnection[tuple[Any, ...]]
Values = Sequence[object] | Mapping[str, object]

SCHEMA = "auditor.world/v1"
OLDEST_SERVER = 14

TIMEOUT_SECONDS = 30.0
"""How long a call may take in all: waiting for a connection, for locks, and for a server that comes back."""

GRACE_SECONDS = 1.0
"""How much longer than the server to wait for its answer: it gives up by itself, if it still can."""

_OWN_TABLES = resources.files(__package__).joinpath("store.sql")
_PORTS = re.compile("[0-9,]*")
_LOCK = 0x6175_6469_746F_7221
"""Of everyone who makes or changes the tables: one at a time."""

MIGRATIONS: tuple[Callable[[], str], ...] = (
    lambda: schemas.text("world") + f"INSERT INTO meta VALUES ('schema', '{SCHEMA}'), ('store_version', '0');",
    lambda: _OWN_TABLES.read_text("utf-8"),
)
"""The steps from nothing to the tables of this version; `store_version` in `meta` is how many were made."""

_SETTINGS = {
    "search_path": "auditor",
    # A server that acknowledges before it has written would lose what we call committed.
    "synchronous_commit": "on",
    # Every statement finds its few rows by an index. Plans are made while tables are small, and kept.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}

_KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}

LOST = (psycopg.OperationalError, psycopg.InterfaceError)
"""What psycopg raises when a connection breaks, and for a server that is not there."""

AGAIN = (errors.UniqueViolation, errors.SerializationFailure, errors.DeadlockDetected)
"""Somebody else was faster, or both were stopped: look again."""

_BUSY = (errors.LockNotAvailable, errors.QueryCanceled, errors.TooManyConnections)
_FULL = (errors.DiskFull, errors.OutOfMemory)
_ABSENT = (errors.UndefinedTable, errors.InvalidSchemaName, errors.UndefinedColumn, errors.UndefinedFunction)
_DENIED = (
    errors.InsufficientPrivilege,
    errors.InvalidPassword,
    errors.InvalidAuthorizationSpecification,
    errors.InvalidCatalogName,
)


class Database:
    """A pool of connections to one world, and calls on it that outlive a lost connection."""

    def __init__(self, url: str, connections: int, timeout_seconds: float) -> None:
        self.name = shown(url)
        self._url = url
        self._timeout = timeout_seconds
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=connections,
            timeout=timeout_seconds,
            reconnect_timeout=timeout_seconds,
            kwargs={"autocommit": True, "application_name": "auditor world", "connect_timeout": 10, **_KEEPALIVES},
            configure=self._configure,
            open=False,
        )

    async def open(self) -> None:
        """Connect, and see that a world of this version is there. Raises NotAWorld or StoreUnavailable."""
        await must_be_current(self._url, self.name)
        await self._pool.open()

    async def close(self) -> None:
        """Let go of all connections."""
        await self._pool.close()

    async def _configure(self, con: Connection) -> None:
        settings = _SETTINGS | {"statement_timeout": str(int(self._timeout * 1000))}
        await con.execute(
            "SELECT set_config(name, value, FALSE) FROM unnest(%s::text[], %s::text[]) AS wanted (name, value) "
            "WHERE name <> 'synchronous_commit' OR current_setting(name) = 'off'",
            (list(settings), list(settings.values())),
        )

    def deadline(self) -> float:
        """When a call that begins now must be answered, by the clock of the event loop."""
        return asyncio.get_running_loop().time() + self._timeout

    async def call(self, work: Callable[[Connection], Awaitable[T]], deadline: float | None = None) -> T:
        """Do some work on a connection; on another one if it breaks, until the deadline.

        For work that may be done twice. Raises StoreUnavailable and its kind.
        """
        until = self.deadline() if deadline is None else deadline
        tries = 0
        while True:
            try:
                return await self.once(work)
            except StoreUnavailable as error:
                tries += 1
                if not error.outcome_unknown or not await self.patience(tries, until):
                    raise
            except AGAIN as error:
                tries += 1
                if not await self.patience(tries, until):
                    raise self.meaning(error) from error

    async def rows(self, query: LiteralString, values: Values) -> list[tuple[Any, ...]]:
        """The rows of a query that may be asked twice."""

        async def work(con: Connection) -> list[tuple[Any, ...]]:
            return await (await con.execute(query, values)).fetchall()

        return await self.call(work)

    async def execute(self, statement: LiteralString, values: Values) -> int:
        """Run a statement that may be run twice; how many rows it changed."""

        async def work(con: Connection) -> int:
            return (await con.execute(statement, values)).rowcount

        return await self.call(work)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """A connection of its own, on which everything that is read is of one moment."""
        con = await connect(self._url, self.name)
        try:
            async with con, con.transaction():
                await con.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                await con.execute("SET LOCAL search_path = auditor")
                yield con
        except psycopg.Error as error:
            raise self.meaning(error) from error

    async def patience(self, tries: int, deadline: float) -> bool:
        """Wait a little before the next try; False if there is no time left for one."""
        pause = min(0.005 * 2**tries, 0.5) * (0.5 + random.random() / 2)  # noqa: S311 - spreads retries
        if asyncio.get_running_loop().time() + pause > deadline:
            return False
        await asyncio.sleep(pause)
        return True

    async def once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do some work on a connection, once.

        Raises AGAIN as it is. Raises StoreUnavailable with `outcome_unknown` if the connection broke on the way.
        """
        try:
            async with asyncio.timeout(self._timeout + GRACE_SECONDS), self._pool.connection() as con:
                return await work(con)
        except AGAIN:
            raise
        except TimeoutError as error:
            raise StoreUnavailable(
                f"{self.name} has not answered for {self._timeout + GRACE_SECONDS:g} s", outcome_unknown=True
            ) from error
        except PoolTimeout as error:
            raise StoreUnavailable(
                f"{self.name}: no connection within {self._timeout:g} s: is the server up, and are there enough?"
            ) from error
        except PoolClosed as error:
            raise StoreUnavailable(f"{self.name} was closed") from error
        except psycopg.Error as error:
            raise self.meaning(error) from error

    def meaning(self, error: psycopg.Error) -> WorldError:
        """What an error of PostgreSQL means for a caller."""
        return meaning(self.name, error)


def meaning(name: str, error: psycopg.Error) -> WorldError:
    """What an error of PostgreSQL means for a caller; `name` is the URL without its password."""
    said = (str(error).splitlines() or [type(error).__name__])[0]
    if isinstance(error, _BUSY):
        return StoreBusy(f"{name} took too long, or has no connection free; nothing was written: {said}")
    if isinstance(error, _FULL):
        return StoreFull(f"{name} has no room left; nothing was written: {said}")
    if isinstance(error, _ABSENT):
        return NotAWorld(f"{name} holds no world; `auditor world init URL` makes one ({said})")
    if isinstance(error, _DENIED):
        return NotAWorld(f"{name} may not be used: {said}")
    if isinstance(error, LOST):
        return StoreUnavailable(f"{name}: the connection was lost: {said}", outcome_unknown=True)
    return StoreUnavailable(f"{name} cannot do this: {said} ({error.sqlstate})")


def shown(url: str) -> str:
    """A URL without its password. Raises UsageError if it is none that PostgreSQL understands."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        # Behind the colon libpq repeats what it did not understand, which may be the password.
        raise _no_url(str(error).partition(': "')[0]) from None
    host = str(parts.get("host", "localhost"))
    if "@" in host or "@" in str(parts.get("dbname", "")) or not _PORTS.fullmatch(str(parts.get("port", ""))):
        raise _no_url("the password does not end where it should")
    where = f":{parts['port']}" if "port" in parts else ""
    return f"postgresql://{host if not host.startswith('/') else ''}{where}/{parts.get('dbname', '')}"


def _no_url(problem: str) -> UsageError:
    return UsageError(
        f"this is no URL of a PostgreSQL server ({problem}): postgresql://USER:PASSWORD@HOST:PORT/DATABASE. "
        "In a password, write % as %25, @ as %40 and / as %2F; or leave it out and set PGPASSWORD"
    )


async def connect(url: str, name: str) -> Connection:
    """One connection outside of any pool. Raises NotAWorld or StoreUnavailable."""
    try:
        return await AsyncConnection.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.Error as error:
        # A server that says no says it in the first line; psycopg knows no class for it.
        raise _refused(name, error) from error


def _refused(name: str, error: psycopg.Error) -> WorldError:
    said = (str(error).splitlines() or [type(error).__name__])[0]
    return StoreUnavailable(f"{name} cannot be reached: {said}")


async def create(url: str) -> None:
    """Make a world in a database. Raises NotAWorld if there is a schema `auditor` already."""
    name = shown(url)
    con = await connect(url, name)
    async with con:
        if con.info.server_version < OLDEST_SERVER * 10_000:
            raise NotAWorld(
                f"{name} runs PostgreSQL {con.info.server_version // 10_000}; a world needs 14 or newer"
            )
        try:
            async with con.transaction():
                await con.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                there = await (await con.execute("SELECT to_regnamespace('auditor') IS NOT NULL")).fetchone()
                if there is not None and there[0]:
                    raise NotAWorld(
                        f"{name} has a schema auditor already; `auditor world stats` says what it holds"
                    )
                await con.execute("CREATE SCHEMA auditor")
                await con.execute("SET LOCAL search_path = auditor")
                await _migrate(con, 0)
        except psycopg.Error as error:
            raise meaning(name, error) from error


async def must_be_current(url: str, name: str) -> None:
    """See that a world is there, and bring its tables up to date. Raises NotAWorld or StoreUnavailable."""
    con = await connect(url, name)
    async with con:
        try:
            async with con.transaction():
                done = await _version(con, name)
                if done == len(MIGRATIONS):
                    return
                await con.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                await con.execute("SET LOCAL search_path = auditor")
                await _migrate(con, await _version(con, name))
        except psycopg.Error as error:
            raise meaning(name, error) from error


async def _version(con: Connection, name: str) -> int:
    cursor = await con.execute("SELECT key, value FROM auditor.meta WHERE key IN ('schema', 'store_version')")
    known: dict[str, str] = dict(await cursor.fetchall())
    if known.get("schema") != SCHEMA:
        raise NotAWorld(f"{name} was written as {known.get('schema')!r}, this auditor knows {SCHEMA}")
    # Tables without a version were made by hand from `auditor schema world`: only the first step is done.
    done = int(known.get("store_version", "1"))
    if done > len(MIGRATIONS):
        raise NotAWorld(
            f"{name} was written by a newer auditor (its tables are of version {done}, this one knows "
            f"{len(MIGRATIONS)}): pip install --upgrade workflow-auditor"
        )
    return done


async def _migrate(con: Connection, done: int) -> None:
    for step in MIGRATIONS[done:]:
        await con.execute(sql.SQL(step()))
    await con.execute(
        "INSERT INTO meta VALUES ('store_version', %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (str(len(MIGRATIONS)),),
    )

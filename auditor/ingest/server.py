"""One snapshot of a PostgreSQL server, read-only, over ADBC: rows come as columns and stream.

Of the URL, and of what the driver says, only what cannot be a secret is ever shown or stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa

from auditor.database import quoted
from auditor.errors import InputError, UsageError

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection

SCHEMES = ("postgresql://", "postgres://")

CONNECT_SECONDS = 10
"""How long to wait for a server that does not answer (per address)."""

LOCK_TIMEOUT = "10s"
"""How long to wait for a table that somebody has locked, such as a migration."""

STATEMENT_TIMEOUT = "1h"
"""How long one table may take; what a forgotten audit may cost the server at most."""

_HOST = r"(?:[\w.~%-]*|\[[0-9a-fA-F:.%]+\])(?::\d*)?"
_URL = re.compile(
    rf"""
    (?P<scheme>postgres(?:ql)?)://
    (?:(?P<user>[^:@/?\#]*)(?::(?P<password>[^@/]*))?@)?
    (?P<hosts>{_HOST}(?:,{_HOST})*)
    (?P<database>/[^@/?\#:]*)?
    (?:\?(?P<query>[^@]*))?
    """,
    re.VERBOSE | re.ASCII,
)
"""What the client library takes for a URL, and nothing in which a secret could stand elsewhere than we think."""

_BROKEN_ESCAPE = re.compile("%(?![0-9a-fA-F]{2})")

_SHOWN = {"host", "hostaddr", "port", "dbname", "user", "sslmode", "target_session_attrs", "application_name"}
"""Parameters of a URL that are shown; in any other, a password or the path of a key may stand."""

_PARAMETERS = {
    "fallback_application_name": "auditor",
    "connect_timeout": str(CONNECT_SECONDS),
    # A server that vanishes without a word is noticed in a minute, not in two hours.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}

_SETTINGS = {
    "search_path": "pg_catalog",  # nobody's functions but the server's own
    "statement_timeout": STATEMENT_TIMEOUT,
    "lock_timeout": LOCK_TIMEOUT,
    "idle_in_transaction_session_timeout": STATEMENT_TIMEOUT,
    "row_security": "off",  # rows that a policy hides are an error then; an audit of the rest would look complete
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
}

_ENCODING = "CASE current_setting('server_encoding') WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END"
"""A server that does not know what its bytes mean would refuse a whole table for one that is no UTF-8."""


def shown(url: str) -> str:
    """The URL without its password and whatever else in it may be secret; how it is stored in the audit."""
    match = _URL.fullmatch(url)
    if match is None:
        return f"{url.partition('://')[0]}://..."
    user = f"{match['user']}@" if match["user"] else ""
    pairs = [pair for pair in _pairs(match) if pair.partition("=")[0] in _SHOWN]
    query = f"?{'&'.join(pairs)}" if pairs else ""
    return f"{match['scheme']}://{user}{match['hosts']}{match['database'] or ''}{query}"


class Snapshot:
    """The server as it was when the transaction began. All text in UTF-8, if the server knows what it holds."""

    def __init__(self, con: Connection) -> None:
        self._con = con

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a small result."""
        with self._con.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    @contextmanager
    def batches(self, sql: str) -> Iterator[pa.RecordBatchReader]:
        """A result of any size, some megabytes at a time."""
        with self._con.cursor() as cursor:
            cursor.execute(sql)
            with cursor.fetch_record_batch() as reader:
                yield reader


@contextmanager
def snapshot(url: str) -> Iterator[Snapshot]:
    """One read-only transaction on the server, in which all tables agree with each other.

    Raises InputError, in plain words, if the server cannot be reached or refuses, also in the middle of the
    block; UsageError if the driver is not installed.
    """
    with _plain_errors(url), closing(_connected(url)) as con:
        with con.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        view = Snapshot(con)
        settings = [f"set_config({quoted(name)}, {quoted(value)}, true)" for name, value in _SETTINGS.items()]
        view.rows(f"SELECT set_config('client_encoding', {_ENCODING}, true), {', '.join(settings)}")
        yield view


def _connected(url: str) -> Connection:
    try:
        # Here, not above: it takes longer than the rest of the start, and few audits need it.
        from adbc_driver_postgresql import dbapi  # noqa: PLC0415
    except ImportError:
        raise UsageError(
            "PostgreSQL is read with a driver that is not installed: pip install 'workflow-auditor[postgres]'"
        ) from None
    match = _URL.fullmatch(url)
    if match is None or _BROKEN_ESCAPE.search(url):
        raise InputError(
            "",
            "is no URL of a PostgreSQL server: postgresql://USER:PASSWORD@HOST:PORT/DATABASE. In a password, "
            "write % as %25, @ as %40 and / as %2F; or leave it out and set PGPASSWORD",
        )
    pairs = _pairs(match)
    given = {pair.partition("=")[0] for pair in pairs}
    pairs += [f"{name}={value}" for name, value in _PARAMETERS.items() if name not in given]
    bare = url if match["query"] is None else url[: match.start("query") - 1]
    con: Connection = dbapi.connect(f"{bare}?{'&'.join(pairs)}")
    return con


def _pairs(url: re.Match[str]) -> list[str]:
    """The parameters of a URL."""
    return [pair for pair in (url["query"] or "").split("&") if pair]


# What goes wrong ----------------------------------------------------------------------------------------------


@contextmanager
def _plain_errors(url: str) -> Iterator[None]:
    """What the driver raises inside this block, as an InputError in plain words."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise InputError("", _explained(str(error), url)) from None
    except Exception as error:
        # By name, since the driver may not be installed.
        if type(error).__module__.partition(".")[0] != "adbc_driver_manager":
            raise
        raise InputError("", _explained(str(error), url)) from None


_MEANINGS = (
    ("password authentication failed|no password supplied", "the server refuses the user or the password"),
    ("[Cc]onnection refused", "nothing listens there: is the server up, and are host and port right?"),
    ("No such file or directory", "no server listens on that socket"),
    ("could not translate host name", "there is no host of that name"),
    ("timeout expired", f"the server did not answer within {CONNECT_SECONDS} s"),
    ('database ".*" does not exist', "the server has no database of that name"),
    ("lock timeout", f"a table was locked for more than {LOCK_TIMEOUT}: is a migration running?"),
    ("statement timeout", f"one table took longer than {STATEMENT_TIMEOUT}"),
    ("conflict with recovery", "this server is a replica and dropped the snapshot: audit again, or the primary"),
    ("row-level security", "a policy hides rows from this user, and an audit needs them all: ask for BYPASSRLS"),
    ("permission denied", "this user may not read that"),
    (
        "server closed the connection|terminating connection|could not receive data|SSL SYSCALL|no connection to",
        "the connection was lost before everything was read: audit again",
    ),
)
"""What a message of the driver or the server means, and what to do. A server may speak another language than
English: then its own words have to do."""


def _explained(message: str, url: str) -> str:
    """What went wrong, and what to do; what the server said follows in brackets."""
    if " URI " in message:
        return "the URL has a parameter that PostgreSQL does not know"  # the message quotes it, whatever it is
    said = _said(message)
    meaning = next((meaning for pattern, meaning in _MEANINGS if re.search(pattern, said)), None)
    said = _without_password(said, url)
    return f"{meaning} ({said})" if meaning else f"the server could not be read: {said}"


def _said(message: str) -> str:
    """The first line of a message, without what the driver wraps it in."""
    core = message.partition("Failed to connect: ")[2] or message.partition("ERROR: ")[2] or message
    line = (core.strip() or "no reason was given").splitlines()[0]
    return re.sub(r"^.*?FATAL: +", "", line)[:300].strip()


def _without_password(text: str, url: str) -> str:
    """No message quotes a password; this is in case one does. One of three letters would be found in any text."""
    match = _URL.fullmatch(url)
    if match is None:
        return text
    secrets = [match["password"] or ""] + [pair.partition("=")[2] for pair in _pairs(match) if "password" in pair]
    for secret in {*secrets, *map(unquote, secrets)}:
        text = text.replace(secret, "***") if len(secret) > 3 else text
    return text

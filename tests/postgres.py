"""A PostgreSQL server of our own, for as long as the tests run: in a temporary folder, on loopback and a socket.

`server()` starts one and stops it. The server refuses to run as root, so for root it runs as an unprivileged user.
Without a server binary the tests fail, and say how to get one; they are never skipped.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HOW_TO_GET_ONE = (
    "These tests need a PostgreSQL server (14 or newer): `initdb`, `postgres` and `psql`, found on the PATH or in "
    "/usr/lib/postgresql/*/bin. `make test` as root on Debian or Ubuntu installs it; else "
    "`apt-get install postgresql`, `dnf install postgresql-server`, `brew install postgresql@16`."
)

OWNER = "owner"
PASSWORD = "open sesame/@:?#%"  # noqa: S105 - of a server that lives as long as the tests; every sign a URL trips over

STARTS = 60
"""Seconds that the server may take to come up."""

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "dynamic_shared_memory_type": "mmap",  # /dev/shm of a container may be tiny
    "listen_addresses": "127.0.0.1",
}


@dataclass
class Server:
    """A server on loopback and a socket. Its superuser is `owner`, who needs no password on the socket."""

    programs: Path
    folder: Path
    port: int
    user: dict[str, Any]
    settings: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server on its data, and wait until it answers."""
        settings = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        call = [self.programs / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-k", self.folder]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*call, *settings], stdout=log, stderr=log, cwd=self.folder, **self.user
            )
        self._await(self.process)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends its sessions, SIGQUIT drops everything as a crash does (`immediate`)."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(STARTS)
            self.process = None

    def wait_until_ready(self) -> None:
        """Wait until the server, which may be recovering, answers again."""
        assert self.process is not None
        self._await(self.process)

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        ask = [
            self.programs / "psql",
            "-X",
            "-h",
            self.folder,
            "-p",
            str(self.port),
            "-U",
            OWNER,
            "-d",
            "postgres",
        ]
        deadline = time.monotonic() + STARTS
        while (
            subprocess.run([*ask, "-c", "SELECT 1"], check=False, capture_output=True, timeout=STARTS).returncode
            != 0
        ):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(
                    f"the PostgreSQL server did not start:\n{(self.folder / 'log').read_text()}", pytrace=False
                )
            time.sleep(0.1)

    def psql(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as the superuser and return what it gave, unaligned; stops at the first error."""
        call = [self.programs / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        where = {"PGHOST": str(self.folder), "PGPORT": str(self.port), "PGUSER": OWNER, "PGDATABASE": database}
        env = {**os.environ, **where, "PGCLIENTENCODING": "UTF8"}
        done = subprocess.run(call, check=False, env=env, input=sql, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def database(self, name: str, options: str = "") -> str:
        """A new, empty database, in place of one of that name; its URL."""
        self.psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.psql(f'CREATE DATABASE "{name}" TEMPLATE template0 {options}')
        return self.url(name)

    def url(self, database: str, user: str = OWNER, password: str = "") -> str:
        """The URL of a database, over loopback if a password is given, else over the socket."""
        if password:
            return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}"


@contextmanager
def server(settings: Mapping[str, str] = SETTINGS) -> Iterator[Server]:
    """A new server, stopped and removed at the end of the block."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # not pytest's: the path of a socket has 107 characters at most
    user = _unprivileged()
    try:
        if user:
            shutil.chown(folder, user["user"], user["group"])
        _initialise(programs, folder, user)
        running = Server(programs, folder, free_port(), user, settings)
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    on_path = shutil.which("initdb")
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    for folder in [*([Path(on_path).resolve().parent] if on_path else []), *reversed(newest)]:
        if all((folder / name).exists() for name in ("initdb", "postgres", "psql")):
            return folder
    pytest.fail(HOW_TO_GET_ONE, pytrace=False)


def _unprivileged() -> dict[str, Any]:
    """What makes a subprocess run as somebody else than root; nothing if we are not root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _initialise(programs: Path, folder: Path, user: dict[str, Any]) -> None:
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    call = [programs / "initdb", "-D", folder / "data", "-U", OWNER, "--pwfile", secret, "-E", "UTF8"]
    call += ["--no-locale", "--no-sync", "--auth-local", "trust", "--auth-host", "scram-sha-256"]
    done = subprocess.run(call, check=False, capture_output=True, text=True, timeout=STARTS, cwd=folder, **user)
    assert done.returncode == 0, done.stdout + done.stderr


def free_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

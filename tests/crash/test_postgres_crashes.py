"""A PostgreSQL world whose writers, connections and server are killed: nothing acknowledged is lost or doubled.

The server runs as it would anywhere (`fsync` on). That it keeps through a power loss what it had synced is its own
promise; here its processes die, and the machine goes on.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import postgres
import pytest
from crash.campaign import WRITERS
from crash.evidence import facts
from crash.journal import read
from crash.lab import laboratory
from crash.points import ANSWERED, OUTSIDE, SENT, UNSENT
from postgres import Server

from auditor import audit
from auditor.model.judgement import Verdict
from auditor.world import create_world

SETTINGS = {
    **{name: value for name, value in postgres.SETTINGS.items() if name not in ("fsync", "full_page_writes")},
    "max_connections": "60",
}
WORKING = 60.0
"""Seconds that a campaign may take beside its kills."""


@pytest.fixture(scope="module")
def doomed() -> Iterator[Server]:
    """A server that may be killed: nobody else uses it."""
    with postgres.server(SETTINGS) as server:
        yield server


def world_in(server: Server, name: str) -> str:
    url = server.database(name)
    asyncio.run(create_world(url))
    return url


def must_be_whole(url: str, folder: Path) -> None:
    """Every run came to its end, every request was answered, and an audit finds nothing."""
    laboratory("crash.campaign:finish", url=url, folder=str(folder))
    assert not read(folder).unanswered
    stored = facts(url)
    assert stored.runs
    assert {run.status for run in stored.runs.values()} == {"completed"}
    with audit(url) as result:
        assert result.verdict is Verdict.SOUND
        assert [finding for finding in result.findings if finding["severity"] == "error"] == []


def writers_killed(server: Server, folder: Path, kills: int, seed: int) -> Counter[str]:
    url = world_in(server, f"killed_{seed}")
    told = laboratory(
        "crash.campaign:kill_writers", timeout=WORKING + kills, url=url, folder=str(folder), kills=kills, seed=seed
    )
    must_be_whole(url, folder)
    at = Counter(told["aimed"]) + Counter(told["met"])
    print(f"\n{at.total()} writers killed: {dict(sorted(at.items()))}")
    return at


def test_writers_may_be_killed_before_and_after_their_statement_and_while_it_runs(
    doomed: Server, tmp_path: Path
) -> None:
    at = writers_killed(doomed, tmp_path, 24, seed=1)
    assert at.total() >= 24
    assert all(at[point] > 0 for point in (UNSENT, SENT, ANSWERED))
    assert set(at) <= {UNSENT, SENT, ANSWERED, OUTSIDE}


def server_killed(server: Server, folder: Path, blows: Counter[str], seed: int) -> Counter[str]:
    """Let writers work while connections, backends and the server die under them; the blows that met somebody."""
    url = world_in(server, f"struck_{seed}")
    chance = random.Random(seed)
    struck: Counter[str] = Counter()
    stop = folder / "stop"
    with ThreadPoolExecutor(1) as thread:
        working: Future[object] = thread.submit(
            laboratory,
            "crash.campaign:work_until",
            timeout=WORKING + 3 * blows.total(),
            url=url,
            folder=str(folder),
            stop=str(stop),
            seed=seed,
        )
        try:
            _wait_for_backends(server, url, WRITERS)  # to open a world while its server is down is another matter
            for how in chance.sample(
                sorted(blows), counts=[blows[name] for name in sorted(blows)], k=blows.total()
            ):
                _wait_for_backends(server, url, 1)
                time.sleep(chance.uniform(0.0, 0.2))
                struck[how] += BLOWS[how](server, url, chance)
                assert not working.done(), working.result()
            server.psql("SELECT 1")
        finally:
            stop.touch()
        working.result()
    must_be_whole(url, folder)
    print(f"\nstruck while they worked: {dict(struck)}")
    return struck


def _backends(server: Server, url: str) -> list[int]:
    name = urlsplit(url).path.strip("/")
    sql = f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}' AND application_name = 'auditor world'"
    return [int(pid) for pid in server.psql(sql).split()]


def _wait_for_backends(server: Server, url: str, count: int) -> None:
    end = time.monotonic() + WORKING
    while len(_backends(server, url)) < count:
        assert time.monotonic() < end, "the writers do not come back"
        time.sleep(0.02)


def _end_connection(server: Server, url: str, chance: random.Random) -> bool:
    """One backend is told to end, as an administrator or a failover does."""
    if pids := _backends(server, url):
        os.kill(chance.choice(pids), signal.SIGTERM)
    return bool(pids)


def _kill_backend(server: Server, url: str, chance: random.Random) -> bool:
    """One backend dies; the server then drops all others, and recovers."""
    pids = _backends(server, url)
    if pids:
        os.kill(chance.choice(pids), signal.SIGKILL)
        server.wait_until_ready()
    return bool(pids)


def _crash_server(server: Server, url: str, _chance: random.Random) -> bool:
    """The server stops as if it had crashed, and starts again."""
    met = bool(_backends(server, url))
    server.stop(signal.SIGQUIT)
    server.start()
    return met


BLOWS = {"connection ended": _end_connection, "backend killed": _kill_backend, "server crashed": _crash_server}


def test_connections_backends_and_the_server_may_die_under_writers(doomed: Server, tmp_path: Path) -> None:
    blows = Counter({"connection ended": 12, "backend killed": 6, "server crashed": 3})
    struck = server_killed(doomed, tmp_path, blows, seed=1)
    assert struck.total() >= 18, "the blows met nobody"
    assert all(struck[how] > 0 for how in blows)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(2, 12))
def test_two_hundred_writers_and_a_hundred_blows(doomed: Server, tmp_path: Path, seed: int) -> None:
    (tmp_path / "writers").mkdir()
    (tmp_path / "server").mkdir()
    assert writers_killed(doomed, tmp_path / "writers", 200, seed).total() >= 200
    blows = Counter({"connection ended": 60, "backend killed": 30, "server crashed": 10})
    assert server_killed(doomed, tmp_path / "server", blows, seed).total() >= 90

"""What a dashboard is given when it starts is audited where it stands, and stays there whatever becomes of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from ingest import worlds
from pages import SAMPLES

from auditor import UsageError, audit
from dashboard import lifecycle, starting
from dashboard.library import Entry
from dashboard.service import Service

PATIENCE = 60.0


def ended(here: Service) -> Entry:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        (entry,) = here.library.entries()
        if entry.state in ("done", "failed", "cancelled"):
            return entry
        time.sleep(0.02)
    raise AssertionError(entry)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder of logs, with links that lead nowhere and in a circle."""
    folder = tmp_path / "logs"
    (folder / "deep").mkdir(parents=True)
    shutil.copy(SAMPLES / "orphaned-wait.ndjson", folder / "deep")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "deep" / "circle").symlink_to("..")
    return folder


def test_a_world_in_use_is_audited_with_what_stands_in_its_write_ahead_log(empty: Service, tmp_path: Path) -> None:
    path = tmp_path / "world.db"
    statements = list(worlds.statements(worlds.golden()))
    events = [statement for statement in statements if statement.startswith("INSERT INTO event")]
    late = set(events[len(events) // 2 :])
    with closing(sqlite3.connect(path, isolation_level=None)) as con:
        con.execute("PRAGMA journal_mode = WAL")
        con.execute("PRAGMA wal_autocheckpoint = 0")
        con.executescript("".join(statement for statement in statements if statement not in late))
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        con.executescript("".join(late))
        starting.begin(empty, [path])
        empty.worker.start()
        entry = ended(empty)
        with audit(path) as expected:
            counts, verdict = expected.report["counts"], expected.verdict
    assert entry.summary is not None, entry.problem
    assert (entry.summary["counts"]["events"], entry.summary["verdict"]) == (len(events), verdict)
    assert entry.summary["counts"] == counts


def test_a_folder_is_audited_as_by_check(empty: Service, logs: Path) -> None:
    starting.begin(empty, [logs])
    empty.worker.start()
    entry = ended(empty)
    with audit(logs) as expected:
        assert entry.summary is not None, entry.problem
        assert entry.summary["counts"] == expected.report["counts"]
    assert entry.name == "logs"
    with empty.library.reading(entry.audit_id) as con:
        assert con.execute("SELECT path FROM input").fetchall() == [("logs",)]


def done(here: Service, audit_id: str) -> None:
    here.worker.start()
    assert ended(here).state == "done"
    here.worker.stop()


def failed(here: Service, audit_id: str) -> None:
    lifecycle.claim(here.library)
    lifecycle.fail(here.library, audit_id, "So it is.")


def cancelled(here: Service, audit_id: str) -> None:
    here.worker.cancel(audit_id, "somebody")


def deleted(here: Service, audit_id: str) -> None:
    here.worker.delete(audit_id, "somebody")


def abandoned(here: Service, audit_id: str) -> None:
    here.library.abandon(audit_id)


def swept_up(here: Service, audit_id: str) -> None:
    with here.library.state.change() as con:
        con.execute("DELETE FROM audit")
    lifecycle.recover(here.library)


@pytest.mark.parametrize("fate", [done, failed, cancelled, deleted, abandoned, swept_up])
@pytest.mark.parametrize("what", ["a folder", "a file"])
def test_the_logs_themselves_are_never_touched(
    empty: Service, logs: Path, what: str, fate: Callable[[Service, str], None]
) -> None:
    path = logs if what == "a folder" else logs / "deep" / "orphaned-wait.ndjson"
    before = state_of(logs)
    starting.begin(empty, [path])
    fate(empty, empty.library.entries()[0].audit_id)
    assert state_of(logs) == before
    assert not list((empty.settings.folder / "uploads").iterdir())


def state_of(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """All that stands in a folder, with what a link, a copy or a write would change of it."""
    stats = {str(path): path.lstat() for path in folder.rglob("*")}
    return {path: (stat.st_ino, stat.st_nlink, stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


def test_after_a_restart_it_is_audited_all_the_same(empty: Service, logs: Path) -> None:
    starting.begin(empty, [logs])
    assert lifecycle.claim(empty.library)
    again = Service.of(empty.settings)
    again.worker.start()
    assert ended(again).state == "done"
    again.worker.stop()


def test_what_can_be_read_only_once_is_refused(empty: Service, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="save it in a file first"):
        starting.begin(empty, [tmp_path / "pipe"])
    assert not empty.library.entries()

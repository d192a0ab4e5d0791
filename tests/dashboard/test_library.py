"""The folder of a dashboard: audits come, are read by many at once, and go."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from pages import put

from auditor import InputError
from dashboard import lifecycle
from dashboard.library import Library, NoRoom
from dashboard.service import Service

DAY = 86_400_000


def is_open(file: str) -> bool:
    """Whether this process has a file open, deleted or not."""
    return any(os.path.realpath(handle).startswith(file) for handle in Path("/proc/self/fd").iterdir())


def test_an_audit_stays_readable_while_others_are_opened_or_it_is_deleted(
    empty: Service, samples_audit: Path
) -> None:
    library = empty.library
    ids = [put(library, samples_audit, f"audit {number}") for number in range(10)]
    with library.reading(ids[0]) as con:
        for other in ids[1:]:
            with library.reading(other) as beside:
                assert beside.execute("SELECT count(*) FROM run").fetchall() == [(12,)]
        library.delete(ids[0], "somebody")
        assert con.execute("SELECT count(*) FROM run").fetchall() == [(12,)]
    assert not library.file(ids[0]).exists()
    with pytest.raises(InputError), library.reading(ids[0]):
        pass


def test_what_is_read_last_of_a_deleted_audit_is_closed(full: Service) -> None:
    (entry,) = full.library.entries()
    file = str(full.library.file(entry.audit_id))
    with full.library.reading(entry.audit_id):
        full.library.delete(entry.audit_id, "somebody")
        assert is_open(file)
    assert not is_open(file)


def test_old_audits_expire_and_the_trail_says_so(empty: Service, samples_audit: Path) -> None:
    library = empty.library
    old, waiting = put(library, samples_audit, "old"), library.begin("waiting", "somebody", state="queued")
    made = library.entries()[0].created_at
    library.expire(30, made + 29 * DAY)
    assert len(library.entries()) == 2
    library.expire(30, made + 31 * DAY)
    assert [entry.audit_id for entry in library.entries()] == [waiting]
    assert not library.file(old).exists()
    (note,) = library.state.rows("SELECT who, subject FROM trail WHERE action = 'delete'")
    assert note == {"who": "retention", "subject": old}


def test_an_audit_is_compared_with_the_one_of_its_name_that_was_made_before(
    empty: Service, samples_audit: Path
) -> None:
    library = empty.library
    first, other, second = (put(library, samples_audit, name) for name in ("nightly", "other", "nightly"))
    entries = {entry.audit_id: entry for entry in library.entries()}
    assert [library.before(entries[audit_id]) for audit_id in (second, first, other)] == [
        entries[first],
        None,
        None,
    ]


def test_no_audit_is_begun_on_a_full_disk(empty: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 10, 1024**3 - 1))
    with pytest.raises(NoRoom, match="less than 1 GiB"):
        empty.library.begin("x", "somebody")
    assert not empty.library.entries()


def full_disk(library: Library, change: str) -> None:
    """From now on no row of an audit can be changed so."""
    with library.state.change() as con:
        con.execute(
            f"CREATE TRIGGER full_disk BEFORE {change} ON audit BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )


def room_again(library: Library) -> None:
    with library.state.change() as con:
        con.execute("DROP TRIGGER full_disk")


def test_on_a_full_disk_an_audit_that_is_deleted_makes_room(full: Service) -> None:
    library = full.library
    (entry,) = library.entries()
    full_disk(library, "DELETE")
    with pytest.raises(sqlite3.Error, match="full"):
        library.delete(entry.audit_id, "somebody")
    assert not library.file(entry.audit_id).exists()
    room_again(library)
    library.delete(entry.audit_id, "somebody")
    assert not library.entries()


def test_on_a_full_disk_an_upload_that_ended_makes_room_and_is_forgotten_later(empty: Service) -> None:
    library = empty.library
    ended, arriving = library.begin("ended", "somebody"), library.begin("arriving", "somebody")
    (library.uploads(ended) / "half").write_bytes(b"x")
    full_disk(library, "DELETE")
    with pytest.raises(sqlite3.Error, match="full"):
        library.abandon(ended)
    assert not library.uploads(ended).exists()
    room_again(library)
    lifecycle.forget_lost(library)
    assert [entry.audit_id for entry in library.entries()] == [arriving]


@pytest.mark.parametrize("end", [partial(lifecycle.fail, problem="x"), partial(lifecycle.cancel, who="x")])
def test_on_a_full_disk_an_audit_that_ends_makes_room(empty: Service, end: Callable[..., None]) -> None:
    library = empty.library
    audit_id = library.begin("x", "somebody", state="queued")
    full_disk(library, "UPDATE")
    with pytest.raises(sqlite3.Error, match="full"):
        end(library, audit_id)
    assert not library.uploads(audit_id).exists()


def test_on_a_full_disk_nothing_is_begun_by_halves(empty: Service) -> None:
    full_disk(empty.library, "INSERT")
    with pytest.raises(sqlite3.Error, match="full"):
        empty.library.begin("x", "somebody")
    assert not list((empty.library.folder / "uploads").iterdir())


def test_names_are_shown_on_one_line_without_what_cannot_be_seen(empty: Service) -> None:
    audit_id = empty.library.begin("a\n b\x1b[2J\u202e", "somebody")
    assert empty.library.entries()[0].name == "a b[2J"
    empty.library.rename(audit_id, " \u200b ", "somebody")
    assert empty.library.entries()[0].name == "unnamed"


def test_after_a_crash_what_ran_is_queued_again_if_its_upload_is_there(empty: Service) -> None:
    library = empty.library
    ran, lost, cut = (library.begin(name, "somebody") for name in ("ran", "lost", "cut"))
    (library.uploads(ran) / "log.ndjson").write_text("{}", "utf-8")
    for audit_id in (ran, lost):
        lifecycle.queue(library, audit_id)
        lifecycle.claim(library)
    again = Library(library.folder)
    lifecycle.recover(again)
    states = {entry.name: entry.state for entry in again.entries()}
    assert states == {"ran": "queued", "lost": "failed", "cut": "failed"}
    assert not again.uploads(cut).exists()


def test_after_a_crash_uploads_that_nobody_knows_are_removed(empty: Service) -> None:
    left = empty.library.uploads("left")
    left.mkdir(parents=True)
    kept = empty.library.begin("kept", "somebody", state="queued")
    (empty.library.uploads(kept) / "log.ndjson").write_text("{}", "utf-8")
    lifecycle.recover(empty.library)
    assert [path.name for path in left.parent.iterdir()] == [kept]


def test_a_cancelled_audit_does_not_come_back_when_its_process_ends_well(
    empty: Service, samples_audit: Path
) -> None:
    library = empty.library
    audit_id = library.begin("x", "somebody", state="queued")
    lifecycle.claim(library)
    lifecycle.cancel(library, audit_id, "somebody")
    assert not lifecycle.tell(library, audit_id, "checking", 1, 2)
    shutil.copy(samples_audit, library.file(audit_id))
    lifecycle.finish(library, audit_id, {})
    assert library.entries()[0].state == "cancelled"
    assert not library.file(audit_id).exists()

"""A SQLite file of our own world: the same audit as the same log in JSON lines, and the file is left alone."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ingest import worlds
from ingest.facts import NOW, facts, ingested, problem, rows
from ingest.reading import PLACE, Ingested, read_each
from logs import write

from auditor import UsageError, audit
from auditor.ingest import sqlite_world, world_tables
from auditor.ingest.staging import Batch

RUN = worlds.golden()[1]["runId"]
RUNS = {record["runId"] for record in worlds.golden() if "runId" in record}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    folder = tmp_path / "world"
    folder.mkdir()
    return worlds.sqlite(worlds.golden(), folder / "world.db")


def of_its_own(name: str) -> list[worlds.Record]:
    """The golden records under run ids of their own, so that many such worlds can be read at once."""
    text = json.dumps(worlds.golden())
    for run_id in RUNS:
        text = text.replace(run_id, f"{run_id}-{name}")
    return list(json.loads(text))


def told(found: Ingested, name: str) -> list[str]:
    """Every row that was read of a world that is `of_its_own`, under the run ids that all such worlds share."""
    places = {*PLACE, "refusal_no", "entity_no"}
    return sorted(
        repr({key: value for key, value in row.items() if key not in places}).replace(f"-{name}'", "'")
        for row in (*found.events, *found.refusals, *found.entities, *found.heads)
    )


@pytest.fixture
def live(world: Path) -> Iterator[sqlite3.Connection]:
    """A process that has the world open, and what it committed is in the write-ahead log only."""
    with closing(sqlite3.connect(world, isolation_level=None)) as con:
        con.execute("PRAGMA wal_autocheckpoint = 0")
        con.execute("UPDATE entity SET status = 'newest'")
        yield con


def untouched(folder: Path) -> dict[str, str]:
    """Every file in a folder but the index of a write-ahead log, which belongs to whoever is connected."""
    return {
        path.name: "" if path.name.endswith("-shm") else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
    }


def statuses(path: Path) -> set[str]:
    with ingested(path) as con:
        assert con.execute("SELECT problem FROM input").fetchall() == [(None,)]
        found = con.execute("SELECT DISTINCT status FROM entity_row WHERE kind <> 'run'").fetchall()
        return {status for (status,) in found}


# The same audit -----------------------------------------------------------------------------------------------


def test_a_world_gives_the_same_audit_as_its_log_in_either_journal_mode(tmp_path: Path) -> None:
    expected = facts(write(tmp_path / "log.ndjson", worlds.golden()))
    for journal in ("wal", "delete"):
        world = worlds.sqlite(worlds.golden(), tmp_path / f"{journal}.db", journal=journal)
        assert facts(world) == expected, journal


def test_a_world_is_read_wherever_it_lies(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = rows(world)
    monkeypatch.chdir(world.parent)
    archive = tmp_path / "world.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(world, "backup/world.db")
    for place in (world.parent, archive, "sqlite:///world.db", f"sqlite:///{world}"):
        assert rows(place) == expected, place


def test_a_url_names_a_file_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        audit(f"sqlite:///{tmp_path}/nothing.db")
    (tmp_path / "text.db").write_text("text")
    assert problem(f"sqlite:///{tmp_path}/text.db") == "is no SQLite file"


def test_a_witness_knows_its_table_and_its_position(world: Path) -> None:
    with audit(world, now=NOW) as result:
        events = [w for f in result.findings for w in f["witness"] if w["record"] == "event"]
    assert events
    for witness in events:
        assert (witness["source"], witness["line"]) == ("world.db/event", witness["position"])


@settings(max_examples=200, deadline=None)
@given(moment=st.integers(world_tables.FIRST_MOMENT, world_tables.LAST_MOMENT))
@example(moment=world_tables.LAST_MOMENT)
@example(moment=world_tables.FIRST_MOMENT)
@example(moment=1_763_812_800_999)
@example(moment=-1)
def test_a_time_is_exact(moment: int) -> None:
    with closing(sqlite3.connect(":memory:")) as con:
        (text,) = con.execute(f"SELECT {world_tables.SQLITE.moment('?')}", [moment]).fetchone()
    assert dt.datetime.fromisoformat(text) == dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(
        milliseconds=moment
    )


# The file is left alone ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_nothing_is_left_beside_a_closed_file(journal: str, tmp_path: Path) -> None:
    worlds.sqlite(worlds.golden(), tmp_path / "world.db", journal=journal)
    before = untouched(tmp_path)
    rows(tmp_path / "world.db")
    assert list(before) == ["world.db"]
    assert untouched(tmp_path) == before


def test_what_a_live_world_has_committed_is_read(live: sqlite3.Connection, world: Path) -> None:
    live.execute("BEGIN")
    live.execute("UPDATE entity SET status = 'not committed'")
    before = untouched(world.parent)
    assert statuses(world) == {"newest"}
    assert untouched(world.parent) == before
    live.execute("COMMIT")  # the audit locked nothing
    assert statuses(world) == {"not committed"}


@pytest.mark.parametrize("copied", [("", "-wal"), ("", "-wal", "-shm")], ids=["log", "log and index"])
def test_a_copied_log_is_read_with_its_file(
    copied: tuple[str, ...], live: sqlite3.Connection, world: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for suffix in copied:
        shutil.copy(f"{world}{suffix}", f"{folder}/world.db{suffix}")
    before = untouched(folder)
    assert statuses(folder / "world.db") == {"newest"}
    assert untouched(folder) == before


def test_a_file_without_its_log_is_the_world_of_its_last_checkpoint(
    live: sqlite3.Connection, world: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    shutil.copy(world, folder)
    assert "newest" not in statuses(folder / "world.db")
    assert [path.name for path in folder.iterdir()] == ["world.db"]


def test_an_unfinished_transaction_of_a_dead_process_is_left_out(tmp_path: Path) -> None:
    path = worlds.sqlite(worlds.golden(), tmp_path / "world.db", journal="delete")
    expected = rows(path)
    folder = tmp_path / "copy"
    folder.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as con:
        con.execute("PRAGMA cache_size = 1")  # so that pages are written before the commit
        con.execute("BEGIN")
        for number in range(200):
            con.execute("INSERT INTO meta VALUES (?, ?)", [str(number), "x" * 4000])
        con.execute("UPDATE event SET event_type = 'never'")
        for name in ("world.db", "world.db-journal"):
            shutil.copy(tmp_path / name, folder)
    before = untouched(folder)
    assert rows(folder / "world.db") == expected
    assert untouched(folder) == before


def test_an_index_that_cannot_be_used_is_done_without(
    live: sqlite3.Connection, world: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    (folder / "world.db-shm").mkdir(parents=True)
    for suffix in ("", "-wal"):
        shutil.copy(f"{world}{suffix}", folder)
    assert statuses(folder / "world.db") == {"newest"}


def test_a_world_that_comes_to_life_while_it_is_read_is_read_again(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_meanwhile(*row: Any) -> Batch:
        with closing(sqlite3.connect(world)) as con:
            con.execute("INSERT OR IGNORE INTO meta VALUES ('x', 'y')")
            con.commit()
        return original(*row)

    original = world_tables.write
    monkeypatch.setattr(world_tables, "write", write_meanwhile)
    assert "was written to while it was read" in problem(world)


def test_a_locked_file_is_a_problem_in_plain_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = worlds.sqlite(worlds.golden(), tmp_path / "world.db", journal="delete")
    monkeypatch.setattr(sqlite_world, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as con:
        con.execute("BEGIN EXCLUSIVE")
        assert "is locked by a process that writes to it" in problem(path)


# What is no world, or a broken one ----------------------------------------------------------------------------


def test_a_world_without_a_run_is_never_green(tmp_path: Path) -> None:
    assert problem(worlds.sqlite([], tmp_path / "world.db")) == "is a world with no run in it yet"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("DROP TABLE meta", "is no world of auditor"),
        ("DELETE FROM meta", "is no world of auditor"),
        ("UPDATE meta SET value = 'notes/v1'", "its table meta says 'notes/v1'"),
        ("UPDATE meta SET value = 'auditor.world/v2'", "pip install --upgrade workflow-auditor"),
        ("DROP TABLE refusal", "has no table refusal"),
        ("ALTER TABLE event DROP COLUMN fence", "its table event has no column fence"),
        ("ALTER TABLE event RENAME TO e; CREATE VIEW event AS SELECT * FROM e", "has no table event"),
        ("ALTER TABLE event RENAME TO e; CREATE VIRTUAL TABLE event USING fts5(run_id)", "has no table event"),
    ],
)
def test_another_sqlite_file_says_what_it_lacks(sql: str, expected: str, world: Path) -> None:
    with closing(sqlite3.connect(world)) as con:
        con.executescript(sql)
    assert expected in problem(world)


@pytest.mark.parametrize("kept", [16, 100, 4096, 20_000])
def test_a_file_that_was_cut_off_is_damaged(kept: int, world: Path) -> None:
    content = world.read_bytes()
    assert kept < len(content)
    world.write_bytes(content[:kept])
    assert "is damaged SQLite" in problem(world) or "is no world of auditor" in problem(world)


def test_a_damaged_page_is_damage_or_nothing_that_is_read(tmp_path: Path) -> None:
    paths = {}
    for page in range(1, 12):
        name = f"page-{page:02}"
        paths[name] = worlds.sqlite(of_its_own(name), tmp_path / f"{name}.db")
        content = bytearray(paths[name].read_bytes())
        if page > 1:  # the first world stays as it is
            content[(page - 1) * 4096 : (page - 1) * 4096 + 64] = b"\xff" * 64
        paths[name].write_bytes(content)
    sound, *others = read_each(paths).items()
    assert (sound[1].problems, sound[1].rejects) == ([None], [])
    assert len(others) == 10
    for name, found in others:
        if found.problems[0]:
            assert "is damaged SQLite" in found.problems[0], name
        else:
            assert found.rejects == [], name
            assert told(found, name) == told(sound[1], sound[0]), name
    assert {found.problems[0] is None for _, found in others} == {True, False}, "there are pages of both kinds"


# Rows that cannot be read -------------------------------------------------------------------------------------


BROKEN = [
    ("data = '{\"a\": '", "eventData: not JSON"),
    ("data = '[1]'", "eventData: not a JSON object but an array"),
    ("data = 'null'", "eventData: not a JSON object but null"),
    ('data = \'{},"eventId":"forged"\'', "eventData: not JSON"),
    ("data = CAST(x'7b22ff227d' AS TEXT)", "eventData: not UTF-8"),
    ("data = x'00ff'", "eventData: not UTF-8"),
    ("fence = 'none'", "fence: not JSON"),
    ("event_type = CAST(x'ff' AS TEXT)", "not UTF-8"),
    ("created_at = 'yesterday'", "createdAt is not a time"),
    ("created_at = 9223372036854775807", "createdAt is not a time"),
    ("event_id = ''", "eventId is missing"),
]
"""What breaks a row, and what is said of it."""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ingested]:
    """What is read of the golden world after each of these changes to its third event."""
    paths = {}
    for number, (change, _) in enumerate(BROKEN):
        path = tmp_path_factory.mktemp("broken") / "world.db"
        update = f"UPDATE event SET {change} WHERE run_id = '{RUN}-{number}' AND position = 3;"
        paths[change] = worlds.sqlite(of_its_own(str(number)), path, update)
    return read_each(paths)


@pytest.mark.parametrize("number", range(len(BROKEN)), ids=lambda number: BROKEN[number][0])
def test_a_broken_row_is_named_and_the_others_are_read(number: int, broken: dict[str, Ingested]) -> None:
    change, reason = BROKEN[number]
    (reject,) = broken[change].rejects
    assert (reject["name"], reject["line"], reject["run_id"]) == ("world.db/event", 3, f"{RUN}-{number}")
    assert reason in reject["reason"]
    assert len(broken[change].events) == 17


def test_a_broken_row_or_file_is_never_green(world: Path) -> None:
    with closing(sqlite3.connect(world)) as con:
        con.execute("UPDATE event SET data = 'x' WHERE run_id = ? AND position = 3", [RUN])
        con.commit()
    with audit(world, now=NOW) as result:
        assert {run["run_id"]: run["log_verdict"] for run in result.runs}[RUN] == "cannot_tell"
        assert result.exit_code in (1, 3)
    world.write_bytes(world.read_bytes()[:20_000])
    with audit(world) as result:
        assert result.exit_code == 3


def test_what_only_sqlite_lets_through_is_text(world: Path) -> None:
    with closing(sqlite3.connect(world)) as con:
        con.execute("UPDATE event SET site = CAST(site AS BLOB), spec_version = x'33', write_attempt = 'x'")
        con.commit()
    with ingested(world) as con:
        found = con.execute("SELECT DISTINCT site, spec_version, write_attempt FROM event").fetchall()
    assert ("start", 3, None) in found


def test_data_keeps_its_bytes_whatever_its_layout(world: Path, tmp_path: Path) -> None:
    expected = rows(world)
    with closing(sqlite3.connect(world)) as con:
        for rowid, data in con.execute("SELECT rowid, data FROM event WHERE data IS NOT NULL").fetchall():
            con.execute(
                "UPDATE event SET data = ? WHERE rowid = ?", [json.dumps(json.loads(data), indent=1), rowid]
            )
        con.commit()
    assert rows(world) == expected

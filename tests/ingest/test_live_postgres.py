"""A live PostgreSQL server: the same audit as its export, errors in plain words, and no password anywhere."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import random
import re
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from corpora.conftest import HOME, NAMES
from hypothesis import given
from hypothesis import strategies as st
from ingest import worlds
from ingest.facts import facts, ingested, problem, rejects, rows
from ingest.reading import read
from logs import write
from postgres import OWNER, PASSWORD, Server, free_port

from auditor import UsageError, audit
from auditor.ingest import live, world_tables
from auditor.ingest import server as snapshots

SDK = """
CREATE SCHEMA workflow;
CREATE TABLE workflow.workflow_events (
    id varchar PRIMARY KEY, type varchar NOT NULL, correlation_id varchar,
    created_at timestamp DEFAULT '2026-11-22 12:00:00.123456' NOT NULL, run_id varchar NOT NULL, payload jsonb,
    payload_cbor bytea, spec_version integer);
CREATE TABLE workflow.workflow_runs (
    id varchar PRIMARY KEY, deployment_id varchar NOT NULL, status varchar NOT NULL, name varchar NOT NULL,
    execution_context jsonb, error text, created_at timestamp DEFAULT '2026-11-22 12:00:00' NOT NULL,
    updated_at timestamp DEFAULT '2026-11-22 12:00:00' NOT NULL, execution_context_cbor bytea);
"""
EVENTS = """
INSERT INTO workflow.workflow_events (id, type, run_id, payload, spec_version) VALUES
    ('wevt_01KAP2D0000000000000000000', 'run_created', 'wrun_1', '{"workflowName": "w"}', 3),
    ('wevt_01KAP2D1000000000000000000', 'run_started', 'wrun_1', NULL, 3),
    ('wevt_01KAP2D2000000000000000000', 'run_completed', 'wrun_1', NULL, 3);
INSERT INTO workflow.workflow_runs (id, deployment_id, status, name) VALUES ('wrun_1', 'd', 'completed', 'w');
"""


@pytest.fixture
def sdk(server: Server) -> str:
    """The URL of a database with a small world of the SDK."""
    url = server.database("sdk")
    server.psql(SDK + EVENTS, "sdk")
    return url


@pytest.fixture
def ours(server: Server) -> str:
    """The URL of a database with a world of ours."""
    url = server.database("ours")
    server.psql(worlds.script(worlds.golden()), "ours")
    return url


@pytest.fixture
def reader(server: Server, sdk: str) -> str:
    """The URL of the SDK's world for a user with a password and no rights."""
    server.psql("DROP USER IF EXISTS reader; CREATE USER reader PASSWORD 'let me/in@1:2?'")
    return server.url("sdk", "reader", quote("let me/in@1:2?", safe=""))


def await_sleeper(server: Server) -> None:
    """Wait until a session on the server sleeps."""
    deadline = time.monotonic() + 30
    while server.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "0":
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def meanwhile(server: Server, sql: str) -> Iterator[None]:
    """Run SQL while an audit waits inside a table that is read `slowly`."""

    def act() -> None:
        await_sleeper(server)
        server.psql(sql, "sdk")

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def slowly(server: Server, table: str, call: str) -> None:
    """Put a view in the place of a table that makes a call whenever it is read."""
    server.psql(
        f"""
        ALTER TABLE workflow.{table} RENAME TO plain;
        CREATE VIEW workflow.{table} AS
        SELECT plain.* FROM workflow.plain, (SELECT {call} AS called OFFSET 0) AS c WHERE c.called IS NOT NULL;
        """,
        "sdk",
    )


# The same audit as the export ---------------------------------------------------------------------------------


def load_corpus(server: Server, name: str, folder: Path) -> str:
    """The URL of a database that holds a corpus, from its dump or from its schema and CSVs."""
    url = server.database("corpus")
    dump = HOME / name / "pg_dump.sql.gz"
    if dump.exists():
        server.psql(for_any_psql(gzip.decompress(dump.read_bytes()).decode()), "corpus")
        return url
    # Its types stand in a schema that was not dumped; as text, they are read the same.
    schema = (HOME / name / "schema.sql").read_text("utf-8")
    server.psql(re.sub(r"public\.\w+", "text", for_any_psql(schema)), "corpus")
    with tarfile.open(HOME / name / "csv.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    for path in folder.rglob("*.csv"):
        columns = path.read_text("utf-8").partition("\n")[0]
        server.psql(f"\\copy workflow.{path.stem} ({columns}) FROM '{path}' CSV HEADER", "corpus")
    return url


def for_any_psql(dump: str) -> str:
    """A dump without the commands that only the newest psql knows."""
    return re.sub(r"^\\(un)?restrict .*$", "", dump, flags=re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("-pg")])
def test_a_live_world_of_the_sdk_gives_the_same_audit_as_its_csv(
    name: str, server: Server, tmp_path: Path
) -> None:
    url = load_corpus(server, name, tmp_path)
    assert facts(url, now=None) == facts(HOME / name / "csv.tar.gz", now=None)


def test_a_live_world_of_ours_gives_the_same_audit_as_its_log(ours: str, tmp_path: Path) -> None:
    assert facts(ours) == facts(write(tmp_path / "log.ndjson", worlds.golden()))


def test_both_worlds_of_a_server_are_two_exports(server: Server, sdk: str) -> None:
    server.psql(worlds.script(worlds.golden()), "sdk")
    with ingested(sdk) as con:
        exports = con.execute("SELECT name, format, len(records) FROM export ORDER BY name").fetchall()
        sources = con.execute("SELECT name FROM source ORDER BY name").fetchall()
    assert exports == [("auditor", "auditor.world/v1", 6), ("workflow", "postgres-world", 3)]
    names = ("auditor.entity", "auditor.event", "auditor.refusal", "auditor.run")
    assert sources == [(name,) for name in (*names, "workflow.workflow_events", "workflow.workflow_runs")]


def test_a_password_with_every_sign_of_a_url_is_understood(server: Server, sdk: str) -> None:
    secret = quote(PASSWORD, safe="")
    assert rows(server.url("sdk", OWNER, secret)) == rows(sdk)


def test_a_time_is_exact(server: Server) -> None:
    chosen = random.Random(1)
    edges = [world_tables.FIRST_MOMENT, world_tables.LAST_MOMENT, 0, -1, 1_763_812_800_999]
    moments = edges + [chosen.randrange(world_tables.FIRST_MOMENT, world_tables.LAST_MOMENT) for _ in range(500)]
    values = ", ".join(f"({moment})" for moment in moments)
    sql = f"SELECT {world_tables.POSTGRES.moment('m')} FROM (VALUES {values}) AS v(m)"
    epoch = dt.datetime.fromtimestamp(0, dt.UTC)
    for moment, text in zip(moments, server.psql(sql).splitlines(), strict=True):
        assert dt.datetime.fromisoformat(text) == epoch + dt.timedelta(milliseconds=moment)


def test_all_tables_are_of_one_moment(server: Server, sdk: str) -> None:
    slowly(server, "workflow_events", "pg_sleep(2)")
    new = "INSERT INTO workflow.workflow_runs (id, deployment_id, status, name) VALUES ('wrun_2', 'd', '', '')"
    with meanwhile(server, new), ingested(sdk) as con:
        assert con.execute("SELECT DISTINCT run_id FROM entity_row").fetchall() == [("wrun_1",)]
    with ingested(sdk) as con:
        assert con.execute("SELECT count(*) FROM entity_row").fetchall() == [(2,)]


# Tables as they are found -------------------------------------------------------------------------------------


def test_tables_of_an_early_release_have_no_cbor(server: Server, sdk: str) -> None:
    expected = rows(sdk)
    server.psql(
        "ALTER TABLE workflow.workflow_events DROP payload_cbor;"
        "ALTER TABLE workflow.workflow_runs DROP execution_context_cbor",
        "sdk",
    )
    assert rows(sdk) == expected


def test_a_time_with_a_zone_is_that_moment(server: Server, sdk: str) -> None:
    expected = rows(sdk)
    server.psql(
        "SET TimeZone = 'UTC'; ALTER TABLE workflow.workflow_events ALTER created_at TYPE timestamptz;"
        "ALTER DATABASE sdk SET TimeZone = 'Asia/Tokyo'; ALTER DATABASE sdk SET DateStyle = 'German'",
        "sdk",
    )
    assert rows(sdk) == expected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("payload_cbor = '\\xff'", "a CBOR column cannot be decoded"),
        ("created_at = 'infinity'", "createdAt is not a time"),
        ("type = ''", "eventType is missing"),
        ("payload = '[1]'", "payload"),
    ],
)
def test_a_broken_row_is_named_and_the_others_are_read(change: str, reason: str, server: Server, sdk: str) -> None:
    server.psql(f"UPDATE workflow.workflow_events SET {change} WHERE type = 'run_started'", "sdk")
    found = read(sdk)
    ((source, _, said),) = found.reasons
    assert (source, found.rejects[0]["run_id"]) == ("workflow.workflow_events", "wrun_1")
    assert reason in said
    assert len(found.events) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("data = '{\"a\": '", "eventData: not JSON"),
        ('data = \'{},"eventId":"forged"\'', "eventData: not JSON"),
        ("fence = '[]'", "fence: not a JSON object but an array"),
        ("created_at = 9223372036854775807", "createdAt is not a time"),
    ],
)
def test_a_broken_row_of_ours_is_named_with_its_position(
    change: str, reason: str, server: Server, ours: str
) -> None:
    run = worlds.golden()[1]["runId"]
    server.psql(f"UPDATE auditor.event SET {change} WHERE run_id = '{run}' AND position = 3", "ours")
    ((source, line, run_id, said),) = rejects(ours)
    assert (source, line, run_id) == ("auditor.event", 3, run)
    assert reason in said


def test_text_that_is_no_utf8_is_rejected_with_its_row(server: Server) -> None:
    url = server.database("ascii", "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    server.psql(SDK + EVENTS + worlds.script(worlds.golden()), "ascii")
    server.psql(
        "UPDATE workflow.workflow_events SET correlation_id = E'\\xff' WHERE type = 'run_started';"
        "UPDATE auditor.event SET site = E'\\xff' WHERE position = 3",
        "ascii",
    )
    found = rejects(url)
    assert [(source, line) for source, line, *_ in found] == [
        ("auditor.event", 3),
        ("auditor.event", 3),
        ("workflow.workflow_events", None),
    ]
    assert all("not UTF-8" in reason for *_, reason in found)


def test_text_in_another_encoding_is_text(server: Server) -> None:
    url = server.database("latin", "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    server.psql(SDK + EVENTS.replace("'w'", "U&'caf\\00E9'"), "latin")
    with ingested(url) as con:
        assert con.execute("SELECT workflow_name FROM entity_row").fetchall() == [("café",)]


# What can go wrong --------------------------------------------------------------------------------------------


def test_nobody_listens() -> None:
    assert "nothing listens there" in problem(f"postgresql://a@127.0.0.1:{free_port()}/b")


def test_an_unreadable_server_is_never_green() -> None:
    with audit(f"postgresql://a@127.0.0.1:{free_port()}/b") as result:
        assert result.exit_code == 3


def test_no_such_socket_host_or_database(server: Server, tmp_path: Path) -> None:
    assert "no server listens on that socket" in problem(f"postgresql:///b?host={tmp_path}")
    assert "there is no host of that name" in problem("postgresql://nowhere.invalid/b")
    assert "no database of that name" in problem(server.url("nowhere"))


def test_a_wrong_password_is_said_and_never_shown(server: Server, sdk: str, tmp_path: Path) -> None:
    url = server.url("sdk", OWNER, "hunter22%2Fx")
    target = tmp_path / "kept.duckdb"
    with audit(url, save=target) as result:
        text = json.dumps(result.report)
    assert "refuses the user or the password" in text
    for secret in ("hunter22/x", "hunter22"):
        assert secret not in text
        assert secret.encode() not in target.read_bytes()


def test_a_user_without_rights_is_told_what_to_grant(server: Server, reader: str) -> None:
    text = problem(reader)
    assert "'reader' may not read workflow.workflow_events, workflow.workflow_runs" in text
    server.psql(text.partition("Grant it: ")[2], "sdk")
    assert len(rows(reader)["event"]) == 3


def test_rows_that_a_policy_hides_are_a_problem(server: Server, reader: str) -> None:
    server.psql(
        "GRANT USAGE ON SCHEMA workflow TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA workflow TO reader;"
        "ALTER TABLE workflow.workflow_events ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY few ON workflow.workflow_events USING (type <> 'run_completed')",
        "sdk",
    )
    assert "a policy hides rows" in problem(reader)


def test_a_database_without_a_world_names_what_was_looked_for(server: Server) -> None:
    text = problem(server.database("empty"))
    assert "'empty' holds no world" in text
    assert "workflow.workflow_events" in text
    assert "auditor.meta and auditor.event" in text


def test_a_world_without_a_run_is_a_problem(server: Server) -> None:
    url = server.database("empty")
    server.psql(SDK, "empty")
    assert "no run in it yet" in problem(url)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("DELETE FROM auditor.meta", "schema auditor: is no world of auditor"),
        ("ALTER TABLE auditor.meta RENAME value TO v", "schema auditor: is no world of auditor"),
        ("UPDATE auditor.meta SET value = 'auditor.world/v2'", "pip install --upgrade workflow-auditor"),
        ("DROP TABLE auditor.entity", "has no table entity"),
        ("ALTER TABLE auditor.run DROP tail", "its table run has no column tail"),
    ],
)
def test_another_schema_of_ours_says_what_it_lacks(sql: str, expected: str, server: Server, ours: str) -> None:
    server.psql(sql, "ours")
    assert expected in problem(ours)


def test_a_table_that_only_has_the_name_says_what_it_lacks(server: Server, sdk: str) -> None:
    server.psql("ALTER TABLE workflow.workflow_events DROP type", "sdk")
    assert "workflow.workflow_events has no column type" in problem(sdk)


def test_a_connection_that_is_lost_midway_leaves_nothing(server: Server, sdk: str) -> None:
    slowly(server, "workflow_runs", "pg_sleep(30)")
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'auditor'"
    with meanwhile(server, kill):
        assert "the connection was lost" in problem(sdk)


def test_a_locked_table_is_not_waited_for(server: Server, sdk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(snapshots._SETTINGS, "lock_timeout", "100ms")
    hold = "BEGIN; LOCK TABLE workflow.workflow_events; SELECT pg_sleep(4)"
    lock = threading.Thread(target=server.psql, args=[hold, "sdk"])
    lock.start()
    try:
        await_sleeper(server)
        assert "is a migration running?" in problem(sdk)
    finally:
        lock.join()


def test_the_server_is_only_read(server: Server, sdk: str) -> None:
    server.psql("CREATE SEQUENCE workflow.counter", "sdk")
    slowly(server, "workflow_events", "nextval('workflow.counter')")
    assert "read-only transaction" in problem(sdk)


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    with pytest.raises(UsageError, match=r"pip install 'workflow-auditor\[postgres\]'"):
        audit("postgresql://a@b/c")


# What is shown of a URL ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:secret@h:5432/db", "postgresql://u@h:5432/db"),
        ("postgres://u:secret@h", "postgres://u@h"),
        ("postgresql://u:@h/db", "postgresql://u@h/db"),
        ("postgresql://u:secret?secret#secret@h/db", "postgresql://u@h/db"),
        ("postgresql://:secret@h/db", "postgresql://h/db"),
        ("postgresql://u:secret@a:1,b:2/db", "postgresql://u@a:1,b:2/db"),
        ("postgresql://u:secret@[::1]:5432/db", "postgresql://u@[::1]:5432/db"),
        ("postgresql:///db?host=/run/pg&password=secret", "postgresql:///db?host=/run/pg"),
        ("postgresql://h/db?sslmode=require&sslkey=secret&user=u", "postgresql://h/db?sslmode=require&user=u"),
        ("postgresql://u:secret/secret@h/db", "postgresql://..."),
        ("postgresql://u:secret@secret@h/db", "postgresql://..."),
        ("postgresql://u:1/secret@h/db", "postgresql://..."),
        ("postgresql://h/db?password=secret@secret", "postgresql://..."),
        ("postgresql://h/db#secret", "postgresql://..."),
        ("sqlite:////tmp/world.db", "sqlite:////tmp/world.db"),
    ],
)
def test_what_is_shown_of_a_url(url: str, expected: str) -> None:
    assert live.shown(url) == expected


@given(
    secret=st.text(st.characters(categories=("L", "N", "P", "S"), max_codepoint=0x2FF), min_size=6).map(
        "Q7".__add__
    )
)
def test_a_password_is_never_shown_wherever_it_stands(secret: str) -> None:
    escaped = quote(secret, safe="")
    for url in (
        f"postgresql://user:{secret}@host:5432/db",
        f"postgresql://user:{escaped}@host:5432/db",
        f"postgresql:///db?password={escaped}&host=h",
        f"postgresql://user:{secret}@host/db?password={secret}",
    ):
        assert "Q7" not in live.shown(url)


@pytest.mark.parametrize(
    "url", ["postgresql://u:se/cret@h/db", "postgresql://u:se%zzcret@h/db", "postgresql://h/db?pass=1&cret"]
)
def test_a_url_that_is_none_is_not_quoted(url: str) -> None:
    text = problem(url)
    assert "URL" in text
    assert "cret" not in text

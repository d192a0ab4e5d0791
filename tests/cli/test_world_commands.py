"""`auditor world`: each command on a real file, what it prints, and how it says no."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import click
import pytest
from readme import README

from auditor.cli.commands import cli
from auditor.cli.world import world as commands
from auditor.model.events import EventType as T
from auditor.world import NewEvent, Writer, create_world, open_world, tail

if TYPE_CHECKING:
    from postgres import Server

URL = "sqlite:///world.db"
TOKEN = "approve-1042"  # noqa: S105 - opens nothing
PAYLOAD = "p4yload"
HOSTILE = "wrun_\x1b[31mred"


async def _run(url: str, run_id: str = "wrun_order", token: str = TOKEN) -> None:
    """A run that waits for a delivery to its hook."""
    async with await open_world(url) as world:
        me = Writer("worker-1", site="suspension")
        created = NewEvent(T.RUN_CREATED, data={"workflowName": "workflow//./flows//order", "input": PAYLOAD})
        done = await world.append(run_id, [created], tail(None), writer=me)
        decided = [NewEvent(T.RUN_STARTED), NewEvent(T.HOOK_CREATED, f"hook_{run_id}", {"token": token})]
        await world.append(run_id, decided, tail(done.tail), writer=me)
        for delivery in await world.queue.receive(limit=9):
            await world.queue.ack(delivery)


@pytest.fixture
def world(auditor: Any, tmp_path: Path) -> SimpleNamespace:
    """A world with one run, and `auditor world` on it."""
    url = f"sqlite:///{tmp_path / 'world.db'}"
    asyncio.run(create_world(url))
    asyncio.run(_run(url))

    def run(command: str, *args: object) -> Any:
        return auditor("world", command, URL, *args)

    return SimpleNamespace(run=run, url=url, path=tmp_path / "world.db", folder=tmp_path, auditor=auditor)


def said_no(done: Any, code: int, words: str) -> None:
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert done.stderr.startswith(("auditor: ", "Usage: "))
    assert "Traceback" not in done.stderr


def test_every_command_and_option_is_in_the_readme() -> None:
    for name, command in commands.commands.items():
        (line,) = re.findall(rf"^auditor world {name} URL.*(?:\n {{4,}}.*)*", README, re.MULTILINE)
        for option in command.params:
            if isinstance(option, click.Option):
                assert any(f"{opt}" in line for opt in option.opts), (name, option.opts)
            elif option.name != "url":
                assert (option.metavar or str(option.name).upper()) in line


def test_the_other_commands_do_not_import_the_world() -> None:
    assert set(cli.list_commands(click.Context(cli))) >= {"check", "world"}
    asked = "import sys, auditor.cli.commands; print([name for name in sys.modules if 'auditor.world' in name])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_init_makes_a_world_once(auditor: Any, tmp_path: Path) -> None:
    done = auditor("world", "init", "sqlite:///new.db")
    assert (done.returncode, done.stdout) == (0, "made an empty world\n")
    said_no(auditor("world", "init", "sqlite:///new.db"), 2, "new.db exists already")
    said_no(auditor("world", "init", "sqlite:///no/such/folder.db"), 2, "does not exist")
    assert auditor("world", "verify", "sqlite:///new.db").stdout == "sound: 0 runs, 0 events\n"


@pytest.mark.parametrize("command", sorted(set(commands.commands) - {"init"}))
def test_every_command_says_what_is_wrong_with_a_url(auditor: Any, tmp_path: Path, command: str) -> None:
    workflow = ["--workflow", "auditor.stress.shape:stress"]
    more = {"events": ["wrun_1"], "cancel": ["wrun_1"], "resume": ["token"], "work": workflow}.get(command, [])
    (tmp_path / "text.db").write_text("this is no database, but it is longer than a header of one would be. " * 9)
    with closing(sqlite3.connect(tmp_path / "other.db")) as con:
        con.execute("CREATE TABLE a (b)")
    for url, words in {
        "sqlite:///missing.db": "cannot be opened",
        "sqlite:///text.db": "is no SQLite file",
        "sqlite:///other.db": "is no world of auditor",
        "memory://": "ends with its process",
        "mysql://host/db": "is no URL of a world",
        "world.db": "is no URL of a world",
        "postgresql://owner:s3cret@127.0.0.1:1/none": "cannot be reached",
    }.items():
        done = auditor("world", command, url, *more)
        said_no(done, 2, words)
        assert "s3cret" not in done.stderr + done.stdout
    assert not (tmp_path / "missing.db").exists()


def test_runs_are_listed_for_people_and_for_programs(world: Any) -> None:
    (line,) = world.run("runs").stdout.splitlines()
    assert re.fullmatch(r"wrun_order +running +3  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  order", line)
    run = json.loads(world.run("runs", "--json").stdout)
    assert (run["runId"], run["status"], run["events"]) == ("wrun_order", "running", 3)
    assert re.fullmatch("[0-9a-f]{64}", run["hash"])
    assert world.run("runs", "--status", "failed").stdout == ""


def test_a_list_that_is_cut_off_says_so(world: Any) -> None:
    asyncio.run(_run(world.url, "wrun_second", "another token"))
    done = world.run("runs", "--limit", 1)
    assert len(done.stdout.splitlines()) == 1
    assert "there are more runs" in done.stderr


def test_events_show_a_log_without_payloads_unless_they_are_asked_for(world: Any) -> None:
    done = world.run("events", "wrun_order")
    first, second, third = done.stdout.splitlines()
    assert re.search(r"^#1 .* run_created +\[#0\] +worker-1$", first)
    assert re.search(r"^#2 .* run_started +\[#1\] +worker-1$", second)
    assert re.search(r"^#3 .* hook_created +hook_…_order +\[#1\] +worker-1$", third)
    assert PAYLOAD not in done.stdout
    assert PAYLOAD in world.run("events", "wrun_order", "--payloads").stdout
    lines = world.run("events", "wrun_order", "--json").stdout.splitlines()
    assert [json.loads(line)["eventType"] for line in lines] == ["run_created", "run_started", "hook_created"]
    assert TOKEN not in "".join(lines)
    cut = world.run("events", "wrun_order", "--after", 1, "--limit", 1)
    assert "run_started" in cut.stdout
    assert "--after 2" in cut.stderr


def test_a_run_that_is_not_there_is_said_so(world: Any) -> None:
    for command in ("events", "cancel"):
        said_no(world.run(command, "wrun_none"), 1, "NOT_FOUND: there is no run wrun_none")
    said_no(world.run("export", "--run", "wrun_none"), 1, "NOT_FOUND")
    said_no(world.run("verify", "--run", "wrun_none"), 1, "NOT_FOUND")


def test_a_delivery_is_made_once_however_often_it_is_sent(world: Any) -> None:
    first = world.run("resume", TOKEN, "--payload", '{"yes": true}', "--resume-id", "r1")
    assert first.returncode == 0
    assert re.fullmatch(r"evnt_\w{26}\n", first.stdout)
    second = world.run("resume", TOKEN, "--payload", '{"yes": true}', "--resume-id", "r1")
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert "this was delivered before, as #4 of wrun_order" in second.stderr
    assert world.run("runs").stdout.split()[2] == "4"
    assert "1 waiting" in world.run("stats").stdout


def test_a_delivery_can_depend_on_what_was_read(world: Any) -> None:
    said_no(world.run("resume", TOKEN, "--as-of", 1), 1, "FENCE_CONFLICT")
    assert world.run("resume", TOKEN).returncode == 0
    said_no(world.run("resume", "no such token"), 1, "NOT_FOUND: no open hook holds this token")
    said_no(world.run("resume", TOKEN, "--payload", "yes"), 2, "--payload is no JSON")


def test_a_cancelled_run_takes_nothing_more(world: Any) -> None:
    assert world.run("cancel", "wrun_order", "--reason", "a test").returncode == 0
    said_no(world.run("cancel", "wrun_order"), 1, "RUN_TERMINAL")
    said_no(world.run("resume", TOKEN), 1, "NOT_FOUND")
    assert "cancelled 1" in world.run("stats").stdout
    refusals = json.loads(world.run("stats", "--json").stdout)["refusals"]
    assert refusals == {"RUN_TERMINAL": 1}


def test_verify_finds_an_edit_and_a_removed_tail(world: Any) -> None:
    done = world.run("verify")
    assert (done.returncode, done.stdout) == (0, "sound: 1 runs, 3 events\n")
    kept = json.loads(world.run("runs", "--json").stdout)["hash"]
    good = world.run("verify", "--run", "wrun_order", "--expect", kept)
    assert good.returncode == 0
    assert "wrun_order holds the expected hash at #3" in good.stdout
    said_no(world.run("verify", "--expect", kept), 2, "name it with --run")
    said_no(world.run("verify", "--run", "wrun_order", "--expect", "abc"), 2, "is no SHA-256")
    with closing(sqlite3.connect(world.path)) as con:
        con.execute("UPDATE event SET data = '{}' WHERE \"position\" = 1")
        con.commit()
    bad = world.run("verify")
    assert bad.returncode == 1
    assert bad.stdout.startswith("wrun_order #1 digest: its data is not that of its dataSha256\n")
    told = json.loads(world.run("verify", "--json").stdout)
    assert [fault["kind"] for fault in told["faults"]] == ["digest"]


def test_an_export_goes_straight_into_an_audit(world: Any) -> None:
    assert world.run("export", "-o", "log.ndjson").stdout.startswith("1 runs, 3 events")
    assert world.run("export", "-o", "tables", "--format", "parquet").returncode == 0
    piped = world.run("export", "--no-payloads")
    assert PAYLOAD not in piped.stdout
    assert TOKEN not in piped.stdout
    for path in ("log.ndjson", "tables"):
        done = world.auditor("check", path, "--require", "fences", "--require", "hashes")
        assert done.returncode == 0, done.stdout
    said_no(world.run("export", "-o", "log.ndjson"), 2, "--force replaces it")
    assert world.run("export", "-o", "log.ndjson", "--force").returncode == 0
    said_no(world.run("export", "-o", "world.db", "--force"), 2, "is the world itself")
    said_no(world.run("export", "--format", "parquet"), 2, "a Parquet export is a folder")


def test_no_text_of_a_log_reaches_the_terminal_as_a_command(world: Any) -> None:
    with closing(sqlite3.connect(world.path)) as con:
        con.execute("UPDATE event SET run_id = ?, writer_id = ?", (HOSTILE, "\x1b]0;title\x07"))
        con.execute("UPDATE run SET run_id = ?, workflow_name = ?", (HOSTILE, "\x9bm::error::"))
        con.commit()
    for command, more in (("runs", []), ("events", [HOSTILE]), ("verify", []), ("stats", [])):
        done = world.run(command, *more)
        printed = done.stdout + done.stderr
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", printed), (command, printed)


def test_a_world_in_postgresql_takes_the_same_commands(auditor: Any, server: Server) -> None:
    url = server.database("world_commands")
    said_no(auditor("world", "runs", url), 2, "holds no world; `auditor world init")
    assert auditor("world", "init", url).returncode == 0
    said_no(auditor("world", "init", url), 2, "has a schema auditor already")
    asyncio.run(_run(url))
    assert "wrun_order" in auditor("world", "runs", url).stdout
    assert auditor("world", "resume", url, TOKEN).returncode == 0
    assert auditor("world", "verify", url).stdout == "sound: 1 runs, 4 events\n"
    assert json.loads(auditor("world", "stats", url, "--json").stdout)["runs"] == {"running": 1}
    done = auditor("check", url, "--require", "fences")
    assert done.returncode == 0, done.stdout

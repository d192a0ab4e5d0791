"""`auditor dashboard`: what it takes, what it refuses, how it ends."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from dashboards import running

import dashboard
from auditor import audit

SAMPLES = Path(__file__).parents[2] / "sample_logs"
TOKENS = "AUDITOR_DASHBOARD_TOKENS"


def test_nothing_of_the_dashboard_is_imported_for_its_help() -> None:
    code = """
import sys
from click.testing import CliRunner
from auditor.cli.commands import cli
assert CliRunner().invoke(cli, ["dashboard", "--help"]).exit_code == 0
sys.exit(bool({"dashboard", "auditor._dashboard", "streamlit", "fastapi"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    """A finder in front of all others says that Streamlit is not there."""
    code = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "streamlit":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from auditor.cli.main import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "dashboard"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr == "auditor: the dashboard is not installed: pip install 'workflow-auditor[dashboard]'\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "::"], "say who may come in"),
        (["--host", "192.0.2.1"], "say who may come in"),
        (["--auth", "token"], TOKENS),
        (["--auth", "proxy"], "--trusted-proxy"),
        (["--auth", "oidc", "--role", "alice=admin"], "secrets.toml"),
        (["--role", "*=none"], "nobody may come in"),
        (["--role", "alice=king"], "WHO=ROLE"),
        (["--trusted-proxy", "everybody"], "no IP address"),
        (["--max-upload", "much"], "no size"),
        (["nothing-there.ndjson"], "does not exist"),
        (["--host", "192.0.2.1", "--auth", "proxy", "--trusted-proxy", "::1"], "cannot be served"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(
    auditor, tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = auditor("dashboard", "--folder", tmp_path / "folder", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "folder" / "state.sqlite").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it lacks redirect_uri, cookie_secret, client_id, client_secret, server_metadata_url"),
        ("auth = 1", "it lacks redirect_uri"),
        (
            '[auth]\nclient_id = "x"\nclient_secret = ""',
            "it lacks redirect_uri, cookie_secret, client_secret, server",
        ),
        ("[auth", "cannot be read: TOMLDecodeError"),
    ],
)
def test_a_provider_that_nobody_could_sign_in_with_is_refused(
    auditor, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "secrets.toml").write_text(text, "utf-8")
    done = auditor("dashboard", "--folder", tmp_path, "--auth", "oidc", "--role", "alice=admin")
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ("alice", "entry 1 is not name:token"),
        ("alice:long-enough-a-token,b c:x", "entry 2 is not name:token"),
        ("alice:short", "is shorter than 16 characters"),
        ("alice:long-enough-a-token,bob:long-enough-a-token", "have the same token"),
        ("@nothing-there", "the file cannot be read"),
    ],
)
def test_a_bad_list_of_tokens_is_refused_and_never_shown(
    auditor, monkeypatch: pytest.MonkeyPatch, tokens: str, said: str
) -> None:
    monkeypatch.setenv(TOKENS, tokens)
    done = auditor("dashboard", "--auth", "token")
    assert done.returncode == 2
    assert said in done.stderr
    assert "long-enough" not in done.stderr
    assert "short" not in done.stderr.replace("shorter", "")


def test_a_port_in_use_is_one_clear_line(auditor, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = auditor("dashboard", "--folder", tmp_path / "folder", "--port", port)
    assert done.returncode == 2
    assert done.stderr == f"auditor: 127.0.0.1:{port} is in use; choose another with --port\n"


def test_two_folders_are_refused(auditor, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "state.sqlite").touch()
    done = auditor("dashboard", tmp_path / "one", "--folder", tmp_path / "two")
    assert done.returncode == 2
    assert "one dashboard has one folder" in done.stderr


@pytest.mark.parametrize("damage", ["no database", "a torn page"])
def test_a_damaged_state_is_named_with_what_to_do(auditor, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "folder"
    state = folder / "state.sqlite"
    folder.mkdir()
    with closing(sqlite3.connect(state)) as con:
        con.executescript(Path(dashboard.__file__).with_name("state.sql").read_text("utf-8"))
    content = state.read_bytes()
    torn = content[:4096] + b"x" * 4096 + content[8192:]
    state.write_bytes(b"nothing" * 1000 if damage == "no database" else torn)
    done = auditor("dashboard", "--folder", folder, "--port", 0)
    assert done.returncode == 2
    assert done.stderr == (
        f"auditor: {state}: is damaged; restore its backup, or move it away:"
        " what was decided about findings is in it alone\n"
    )


def test_what_is_no_audit_is_not_shown(auditor, tmp_path: Path) -> None:
    (tmp_path / "no.duckdb").write_bytes(b"nothing")
    done = auditor("dashboard", "--folder", tmp_path / "folder", "--port", 0, tmp_path / "no.duckdb")
    assert done.returncode == 2
    assert "is no audit file" in done.stderr


def test_logs_are_audited_and_audits_shown_and_both_are_there_the_next_time(tmp_path: Path) -> None:
    log = SAMPLES / "stale-snapshot-write.ndjson"
    before = log.stat()
    folder = tmp_path / "folder"
    shown = tmp_path / "samples.duckdb"
    audit(SAMPLES / "orphaned-wait.ndjson", save=shown).close()
    with running(folder, log, shown) as made:
        names = {}
        for _ in range(300):
            audits = httpx2.get(f"{made.url}/api/v1/audits").json()["audits"]
            names = {each["name"]: each["state"] for each in audits}
            if set(names.values()) == {"done"}:
                break
            time.sleep(0.1)
        assert names == {"samples": "done", log.name: "done"}
        command = [Path(sys.executable).with_name("auditor"), "dashboard", "--folder", folder, "--port", "0"]
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert second.returncode == 2
        assert second.stderr == f"auditor: another dashboard serves {folder}\n"
    assert not list(folder.glob("uploads/*"))
    assert (log.stat().st_mtime_ns, log.stat().st_mode) == (before.st_mtime_ns, before.st_mode)
    with running(folder, shown, folder) as made:
        assert httpx2.get(f"{made.url}/api/v1/audits").json()["total"] == 2


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_told_to_and_takes_its_worker_along(tmp_path: Path, stop: signal.Signals) -> None:
    command = [str(Path(sys.executable).with_name("auditor")), "dashboard", "--port", "0", str(SAMPLES)]
    environment = os.environ | {"AUDITOR_DASHBOARD_FOLDER": str(tmp_path / "folder")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        address = process.stdout.readline().decode()
        assert address.startswith("auditor dashboard: http://127.0.0.1:")
        threads = Path(f"/proc/{process.pid}/task")
        workers: list[int] = []
        end = time.monotonic() + 20
        while not workers and time.monotonic() < end:
            workers = [int(pid) for task in threads.iterdir() for pid in (task / "children").read_text().split()]
            time.sleep(0.02)
        assert workers
        process.send_signal(stop)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + stop
    assert said.strip() == b""
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]

"""Queued uploads become audits, each in a process of its own that can be bounded and ended."""

from __future__ import annotations

import gzip
import io
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pages import SAMPLES

from auditor import Audit
from dashboard import uploads, worker
from dashboard.library import Entry
from dashboard.service import Service
from dashboard.settings import MIB, Limits, Settings
from dashboard.watching import Watch, taken

PATIENCE = 60.0


def submit(here: Service, files: dict[str, bytes], *, keep_payloads: bool = False) -> str:
    audit_id = here.library.begin("x", "somebody", keep_payloads=keep_payloads)
    uploads.receive(here.library, audit_id, ((name, io.BytesIO(data)) for name, data in files.items()))
    here.worker.submit(audit_id)
    return audit_id


def when(here: Service, audit_id: str, holds: Callable[[Entry], bool]) -> Entry:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        entry = here.library.entry(audit_id)
        assert entry is not None
        if holds(entry):
            return entry
        time.sleep(0.02)
    raise AssertionError(f"it did not come to that: {entry}")


def ended(here: Service, audit_id: str) -> Entry:
    return when(here, audit_id, lambda entry: entry.state in ("done", "failed", "cancelled"))


def left_behind(here: Service) -> list[Path]:
    folder = here.settings.folder
    return [*folder.glob("uploads/*"), *folder.glob("scratch/*"), *folder.glob("*.part")]


def log(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def many_runs(number: int) -> bytes:
    manifest, *lines = log("healthy-order.ndjson").decode().splitlines()
    run_id = json.loads(lines[0])["runId"]
    runs = ("\n".join(lines).replace(run_id, f"{run_id[:-6]}{index:06}") for index in range(number))
    return "\n".join([manifest, *runs]).encode()


def test_an_upload_becomes_an_audit_whose_inputs_have_the_names_of_the_uploader(empty: Service) -> None:
    empty.worker.start()
    audit_id = submit(
        empty, {"logs/a.ndjson": log("orphaned-wait.ndjson"), "sqlite:b": log("healthy-order.ndjson")}
    )
    entry = ended(empty, audit_id)
    assert entry.state == "done", entry.problem
    assert entry.summary is not None
    assert (entry.summary["verdict"], entry.summary["exit_code"]) == ("corrupt", 1)
    assert entry.audit_bytes == empty.library.file(audit_id).stat().st_size
    with Audit.open(empty.library.file(audit_id)) as audit:
        assert sorted(row["path"] for row in audit.report["inputs"]) == ["./sqlite:b", "logs"]
        assert audit.con.execute("SELECT count(*) FROM event WHERE payload IS NOT NULL").fetchall() == [(0,)]
    assert not left_behind(empty)


def test_audits_are_made_in_the_order_of_their_uploads_and_one_failure_stops_no_other(empty: Service) -> None:
    bomb = gzip.compress(bytes(300 * 1024**2), 9)
    ids = [
        submit(empty, {"readme.md": b"# no log"}),
        submit(empty, {"empty.ndjson": b""}),
        submit(empty, {"bomb.ndjson.gz": bomb}),
        submit(empty, {"a.ndjson": log("healthy-order.ndjson")}),
    ]
    empty.worker.start()
    entries = [ended(empty, audit_id) for audit_id in ids]
    assert [entry.state for entry in entries] == ["failed", "failed", "failed", "done"]
    problems = [entry.problem or "" for entry in entries[:3]]
    assert problems[0].startswith("readme.md: is no event log that auditor knows (auditor.log/v1, ")
    assert problems[1] == "empty.ndjson: is empty"
    assert "bomb.ndjson.gz" in problems[2]
    assert not any(str(empty.settings.folder) in problem or "Traceback" in problem for problem in problems)
    assert [entry.finished_at for entry in entries] == sorted(entry.finished_at or 0 for entry in entries)
    assert not left_behind(empty)


def test_files_of_an_upload_are_read_and_never_executed(empty: Service, tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'executed')!r}, 'w')".encode()
    empty.worker.start()
    names = ("json.py", "auditor.py", "sitecustomize.py", "duckdb.py")
    files = {**dict.fromkeys(names, trap), "a.ndjson": log("healthy-order.ndjson")}
    assert ended(empty, submit(empty, files)).state == "done"
    assert not (tmp_path / "executed").exists()


def test_an_audit_under_way_is_cancelled_and_leaves_nothing_behind(empty: Service) -> None:
    empty.worker.start()
    audit_id = submit(empty, {"a.ndjson": many_runs(3000)})
    when(empty, audit_id, lambda entry: entry.phase is not None)
    empty.worker.cancel(audit_id, "somebody")
    assert ended(empty, audit_id).state == "cancelled"
    assert ended(empty, submit(empty, {"a.ndjson": log("healthy-order.ndjson")})).state == "done"
    assert not left_behind(empty)
    assert not empty.library.file(audit_id).exists()


def test_a_server_that_stops_audits_again_when_it_starts(empty: Service) -> None:
    empty.worker.start()
    audit_id = submit(empty, {"a.ndjson": many_runs(300)})
    when(empty, audit_id, lambda entry: entry.phase is not None)
    empty.worker.stop()
    again = Service.of(empty.settings)
    again.worker.start()
    assert ended(again, audit_id).state == "done"
    again.worker.stop()


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(audit_seconds=0.2), "longer than an audit may take"),
        (Limits(audit_memory="20MB"), "more memory than an audit may use here (20MB)"),
        (Limits(audit_disk=MIB), "more disk than an audit may use here (1 MiB)"),
        (Limits(free_disk=2**60), "disk of the server is almost full"),
    ],
)
def test_an_audit_that_takes_too_much_fails_and_says_of_what(empty: Service, limits: Limits, words: str) -> None:
    here = Service.of(replace(empty.settings, limits=limits))
    here.worker.start()
    entry = ended(here, submit(here, {"a.ndjson": many_runs(1000)}))
    here.worker.stop()
    assert entry.state == "failed"
    assert words in (entry.problem or "")
    assert not left_behind(here)


@pytest.mark.parametrize("state", ["done", "failed"])
def test_an_end_that_cannot_be_written_is_written_when_there_is_room(
    empty: Service, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr(worker, "_RETRY_SECONDS", 0.1)
    with empty.library.state.change() as con:
        con.execute(
            "CREATE TRIGGER full_disk BEFORE UPDATE ON audit WHEN NEW.finished_at IS NOT NULL"
            " BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    empty.worker.start()
    audit_id = submit(empty, {"a.ndjson": log("healthy-order.ndjson") if state == "done" else b""})
    when(empty, audit_id, lambda entry: not empty.library.uploads(audit_id).exists())
    time.sleep(0.3)
    assert [entry.state for entry in empty.library.entries()] == ["running"]
    with empty.library.state.change() as con:
        con.execute("DROP TRIGGER full_disk")
    entry = ended(empty, audit_id)
    assert entry.state == "failed"
    assert ("could not keep" if state == "done" else "is empty") in (entry.problem or "")
    assert not empty.library.file(audit_id).exists()
    assert ended(empty, submit(empty, {"a.ndjson": log("healthy-order.ndjson")})).state == "done"


def test_what_an_audit_writes_is_watched_in_sum_and_through_no_link(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "scratch" / name).mkdir(parents=True)
        (tmp_path / "scratch" / name / "rows").write_bytes(os.urandom(MIB))
    (tmp_path / "part").write_bytes(os.urandom(MIB))
    (tmp_path / "scratch" / "link").symlink_to(tmp_path / "part")
    written = [tmp_path / "scratch", tmp_path / "part", tmp_path / "not there yet"]
    assert 3 * MIB <= taken(written) < 3.5 * MIB
    over = threading.Event()
    with Watch(Limits(audit_disk=2 * MIB), written, over.set) as watch:
        assert over.wait(10)
    assert watch.problem == "It takes more disk than an audit may use here (2 MiB)."


def test_an_audit_that_takes_little_is_let_alone(tmp_path: Path) -> None:
    with Watch(Limits(free_disk=0), [tmp_path], lambda: pytest.fail("it was ended")) as watch:
        time.sleep(1.2)
    assert watch.problem is None


def test_the_configuration_counts_and_its_path_is_not_shown(empty: Service, tmp_path: Path) -> None:
    config = tmp_path / "auditor.toml"
    config.write_text('ignore = ["no-such-rule"]\n', "utf-8")
    here = Service.of(Settings(empty.settings.folder, config=config))
    here.worker.start()
    entry = ended(here, submit(here, {"a.ndjson": log("healthy-order.ndjson")}))
    here.worker.stop()
    assert entry.state == "failed"
    assert "no-such-rule" in (entry.problem or "")
    assert str(tmp_path) not in (entry.problem or "")


def test_payloads_are_kept_when_the_uploader_asks_for_it(empty: Service) -> None:
    empty.worker.start()
    files = {"a.tar.gz": log("sdk-4.2.4-two-ticks-one-ordinal.tar.gz")}
    audit_id = submit(empty, files, keep_payloads=True)
    assert ended(empty, audit_id).state == "done"
    with empty.library.reading(audit_id) as con:
        ((kept,),) = con.execute("SELECT count(*) FROM event WHERE payload IS NOT NULL").fetchall()
    assert kept

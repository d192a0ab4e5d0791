"""What a command writes never replaces what it reads: it is refused before anything is read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ingest.shapes import compressed, zipped
from logs import Log, write

from auditor import ExitCode, UsageError, audit
from auditor.report.formats import FORMATS


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A sound log in a folder `logs`, and packed ones beside it; each of them is read with the folder."""
    (tmp_path / "logs").mkdir()
    path = write(tmp_path / "logs" / "log.ndjson", Log().add("run_completed").events)
    zipped(path, tmp_path / "logs" / "log.zip")
    compressed(path, tmp_path / "logs" / "log.gz")
    (tmp_path / "logs" / "events").mkdir()
    (tmp_path / "logs" / "events" / "wrun_1-evnt_1.json").write_text("{}")
    (tmp_path / "hard.ndjson").hardlink_to(path)
    (tmp_path / "link.ndjson").symlink_to(path)
    (tmp_path / "auditor.toml").write_text('baseline = "known.jsonl"\n')
    (tmp_path / "known.jsonl").write_text('{"schema": "auditor.baseline/v1", "by": "pattern"}\n')
    return path


OVERWRITTEN = {
    "the log": ("logs/log.ndjson", "logs/log.ndjson", "a log that is audited would be overwritten"),
    "by another path": ("logs/log.ndjson", "logs/../logs/log.ndjson", "a log that is audited"),
    "by a hard link": ("logs/log.ndjson", "hard.ndjson", "a log that is audited"),
    "by a link": ("logs/log.ndjson", "link.ndjson", "a log that is audited"),
    "by the link that is audited": ("link.ndjson", "logs/log.ndjson", "a log that is audited"),
    "by its URL": ("sqlite:///logs/log.ndjson", "logs/log.ndjson", "a log that is audited"),
    "a log in the folder": ("logs", "logs/log.ndjson", "a log that is audited"),
    "a log in the folder, by a link": ("logs", "link.ndjson", "a log that is audited"),
    "an archive in the folder": ("logs", "logs/log.zip", "a log that is audited"),
    "a packed log in the folder": ("logs", "logs/log.gz", "a log that is audited"),
    "an event in the folder": ("logs", "logs/events/wrun_1-evnt_1.json", "a log that is audited"),
    "the configuration": ("logs", "auditor.toml", "the configuration would be overwritten"),
    "the baseline": ("logs", "known.jsonl", "the baseline would be overwritten"),
}


@pytest.mark.parametrize(("audited", "target", "said"), OVERWRITTEN.values(), ids=OVERWRITTEN)
@pytest.mark.parametrize("option", ["--report json={}", "--save {}"])
def test_nothing_that_is_read_is_overwritten(
    auditor: Any, log: Path, option: str, audited: str, target: str, said: str
) -> None:
    before = {path: path.read_bytes() for path in log.parent.parent.rglob("*") if path.is_file()}
    done = auditor("check", audited, *option.format(target).split())
    assert (done.returncode, done.stdout) == (ExitCode.ERROR, "")
    assert done.stderr.startswith(f"auditor: {target}: {said}")
    assert {path: path.read_bytes() for path in log.parent.parent.rglob("*") if path.is_file()} == before


def test_nor_by_the_file_that_an_audit_is_written_to_before_it_is_complete(auditor: Any, log: Path) -> None:
    part = log.rename(log.with_name("audit.duckdb.part"))
    before = part.read_bytes()
    done = auditor("check", part, "--save", part.with_suffix(""))
    assert done.returncode == ExitCode.ERROR
    assert part.read_bytes() == before


@pytest.mark.parametrize(
    "options",
    [
        ["--report", "json=out", "--report", "sarif=out"],
        ["--report", "json=out", "--report", "sarif=./logs/../out"],
        ["--report", "json=out", "--save", "out"],
    ],
)
def test_two_outputs_are_two_files(auditor: Any, log: Path, options: list[str]) -> None:
    done = auditor("check", log, *options)
    assert done.returncode == ExitCode.ERROR
    assert "two reports would be written to this file" in done.stderr
    assert not Path("out").exists()


def test_what_is_no_file_may_be_written_to_twice(auditor: Any, log: Path) -> None:
    done = auditor("check", log, "--report", f"json={os.devnull}", "--report", f"sarif={os.devnull}")
    assert done.returncode == ExitCode.CLEAN


@pytest.mark.parametrize("name", FORMATS)
def test_a_report_may_lie_in_the_folder_that_is_audited_and_be_written_anew(
    auditor: Any, tmp_path: Path, name: str
) -> None:
    log = Log().add("wait_created", "wait_1", data={"resumeAt": "2026-11-22T12:00:09.000Z"}).add("run_completed")
    write(tmp_path / "log.ndjson", log.events)
    target = ["--report", f"{name}=report", "--save", "audit.duckdb"]
    assert [auditor("check", ".", *target).returncode for _ in range(3)] == [ExitCode.CLEAN] * 3


def test_a_log_that_comes_by_stdin_is_not_overwritten_either(log: Path) -> None:
    before = log.read_bytes()
    command = [str(Path(sys.executable).with_name("auditor")), "check", "-", "--report", f"json={log}"]
    with log.open("rb") as stdin:
        done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False, cwd=log.parent)
    assert done.returncode == ExitCode.ERROR
    assert log.read_bytes() == before


def test_a_program_cannot_save_an_audit_over_its_log_either(log: Path) -> None:
    before = log.read_bytes()
    with pytest.raises(UsageError, match="a log that is audited would be overwritten"):
        audit(log, save=log)
    assert log.read_bytes() == before

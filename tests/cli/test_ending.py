"""How a command ends that somebody stops: by its own code, and with nothing of a log left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from logs import Log, write

AUDITOR = str(Path(sys.executable).with_name("auditor"))


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_check_removes_what_it_had_copied(tmp_path: Path, stop: signal.Signals) -> None:
    command = [AUDITOR, "check", "-"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as check:
        assert check.stdin is not None
        check.stdin.write(b'{"runId": "wrun_1", "eventData": {"input": "a secret"}}\n')
        check.stdin.flush()
        waited = time.monotonic()
        while not list(tmp_path.glob("auditor-*/*stdin")):
            assert time.monotonic() - waited < 30
            time.sleep(0.02)
        check.send_signal(stop)
        _, said = check.communicate()
    assert check.returncode == 128 + stop
    assert b"Traceback" not in said
    assert not list(tmp_path.iterdir())


def test_a_reader_that_stops_reading_is_told_no_verdict(tmp_path: Path) -> None:
    log = write(tmp_path / "log.ndjson", Log().life("step", 0, "created", "started", "started").events)
    for command in (["check", str(log)], ["check", "--help"], ["rules"], ["explain", "orphaned-wait"]):
        reads, writes = os.pipe()
        os.close(reads)
        done = subprocess.run([AUDITOR, *command], stdout=writes, stderr=subprocess.PIPE, check=False)
        os.close(writes)
        assert (done.returncode, done.stderr) == (2, b""), command


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    log = write(tmp_path / "log.ndjson", Log().life("step", 0, "created", "started", "completed").events)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([AUDITOR, "check", str(log)], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"auditor: there is no space left where it writes")
    assert b"bug" not in done.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it is told there that a process is ready")
def test_ctrl_c_ends_a_check_in_the_same_way_wherever_it_is(tmp_path: Path) -> None:
    """From the first import to the last query; the delays are parts of the time that a whole check takes."""
    runs = [Log(f"wrun_{n:026d}").life("step", 0, "created", "started", "started").events for n in range(300)]
    log = write(tmp_path / "log.ndjson", *runs)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    ended(log, scratch, after=None)  # the first one reads all files of the interpreter from disk
    began = time.monotonic()
    whole, _ = ended(log, scratch, after=None)
    takes = time.monotonic() - began
    codes = []
    for part in range(10):
        code, said = ended(log, scratch, after=takes * part / 12)
        # The last milliseconds are the interpreter's own: what kills it then is 130 to a shell, too.
        assert code in (128 + signal.SIGINT, -signal.SIGINT, whole), said
        assert said == ""
        assert not list(scratch.iterdir())
        codes.append(code)
    assert codes.count(whole) <= 7, "the others were too fast for the signal"


def ended(log: Path, scratch: Path, after: float | None) -> tuple[int, str]:
    """The exit code of a check that is interrupted so many seconds after it began, and what it said on stderr."""
    with subprocess.Popen(
        [AUDITOR, "check", str(log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(scratch)},
    ) as check:
        while check.poll() is None and not knows_how_to_end(check.pid):
            time.sleep(0.001)
        if after is not None:
            time.sleep(after)
            check.send_signal(signal.SIGINT)
        _, said = check.communicate()
    return check.returncode, said


def knows_how_to_end(pid: int) -> bool:
    """Python itself catches SIGINT, from its start on; SIGTERM is caught by us."""
    (caught,) = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt")
    ]
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)

"""How a command ends that somebody stops: by its own code, and with nothing of a log left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_check_removes_what_it_had_copied(tmp_path: Path, stop: signal.Signals) -> None:
    command = [str(Path(sys.executable).with_name("auditor")), "check", "-"]
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

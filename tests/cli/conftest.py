from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from auditor.cli.main import main

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def auditor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Any]]:
    """The command in this process, in an empty folder: it is called some hundred times here."""
    monkeypatch.chdir(tmp_path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*args: object) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["auditor", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            main()
        sys.stdout.flush()
        out, err = capfd.readouterr()
        return SimpleNamespace(returncode=ended.value.code, stdout=out, stderr=err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def installed(tmp_path: Path) -> Run:
    """The command as it is installed, in a process of its own, in an empty folder."""
    command = Path(sys.executable).with_name("auditor")

    def run(*args: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(command), *map(str, args)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
        )

    return run

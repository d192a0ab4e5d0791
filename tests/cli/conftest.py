from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def auditor(tmp_path: Path) -> Run:
    """Run the real command in a process of its own, in an empty folder."""
    command = Path(sys.executable).with_name("auditor")

    def run(*args: object, **more: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(command), *map(str, args)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
        )

    return run

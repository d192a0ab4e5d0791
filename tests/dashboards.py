"""The dashboard as its users start it: `auditor dashboard` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

COMMAND = Path(sys.executable).with_name("auditor")
STARTS = 60
"""Seconds that it may take to come up."""

AUDITS = 120
"""Seconds that an audit may take."""


@dataclass(frozen=True)
class Dashboard:
    """A running dashboard."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]

    def memory(self) -> int:
        """Bytes of memory that its server has now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("utf-8")
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def ask(self, path: str, body: bytes | None = None) -> Any:
        """What the API answers; with a body, to an upload."""
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}{path}", data=body)) as answer:  # noqa: S310
            return json.load(answer)

    def upload(self, path: Path, name: str) -> str:
        """Upload a file through the API, and wait for its audit. Returns its id."""
        self.ask(f"/api/v1/audits?{urlencode({'name': name, 'file': path.name})}", path.read_bytes())
        return self.finished(name)

    def finished(self, name: str) -> str:
        """The id of the audit of this name, when it is done."""
        end = time.monotonic() + AUDITS
        found: list[dict[str, Any]] = []
        while time.monotonic() < end:
            found = [entry for entry in self.ask("/api/v1/audits")["audits"] if entry["name"] == name]
            states = {entry["state"] for entry in found}
            assert not states & {"failed", "cancelled"}, found
            if states == {"done"}:
                return str(found[0]["id"])
            time.sleep(0.1)
        raise AssertionError(f"no finished audit of the name {name}: {found}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    folder: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None, port: int | None = None
) -> Iterator[Dashboard]:
    """A dashboard on a folder, until the block ends."""
    port = port or free_port()
    call = [COMMAND, "dashboard", "--folder", folder, "--port", str(port), "--no-browser", *arguments]
    folder.parent.mkdir(parents=True, exist_ok=True)
    log = folder.with_suffix(".log")
    with log.open("ab") as out:
        process = subprocess.Popen(call, stdout=out, stderr=out, env={**os.environ, **(environment or {})})
    try:
        _await(f"http://127.0.0.1:{port}/healthz", process, log)
        yield Dashboard(f"http://127.0.0.1:{port}", folder, process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError("the dashboard does not end when it is told to") from None


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + STARTS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own server
                return
        except (OSError, urllib.error.URLError):
            said = log.read_text("utf-8", "replace")
            assert process.poll() is None, f"the dashboard ended: {said}"
            assert time.monotonic() < end, f"the dashboard does not answer: {said}"
            time.sleep(0.1)

"""Makes audits of what was uploaded, one at a time, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from . import lifecycle
from .custom_rules import holds_rules
from .library import Entry, Library
from .settings import Settings
from .state import now_ms
from .triage import Triage
from .watching import Watch

_EXPIRE_EVERY = 3600.0
_TELL_EVERY = 0.2
_RETRY_SECONDS = 5.0
_END_SECONDS = 10.0


class Worker:
    """Takes queued audits in their order. `start` it once; `stop` ends what it is doing."""

    def __init__(self, settings: Settings, library: Library, triage: Triage) -> None:
        self.settings = settings
        self.library = library
        self.triage = triage
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._job: _Job | None = None

    def start(self) -> None:
        """Begin to work, in a thread of its own; what was under way when the last server ended is queued again."""
        shutil.rmtree(self._scratch(), ignore_errors=True)
        lifecycle.recover(self.library)
        self._thread = threading.Thread(target=self._work, name="auditor-worker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the audit under way, and the thread. The next start audits it again."""
        with self._lock:
            self._stopping = True
            if self._job is not None:
                self._job.kill()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_END_SECONDS)

    def submit(self, audit_id: str) -> None:
        """Its uploads are complete: audit them when it is its turn."""
        lifecycle.queue(self.library, audit_id)
        self._wake.set()

    def cancel(self, audit_id: str, who: str) -> None:
        """Do not audit it, or stop doing so."""
        lifecycle.cancel(self.library, audit_id, who)
        self._kill(audit_id)

    def delete(self, audit_id: str, who: str) -> None:
        """Remove it in whatever state it is."""
        self.library.delete(audit_id, who)
        self._kill(audit_id)

    def _kill(self, audit_id: str) -> None:
        with self._lock:
            if self._job is not None and self._job.audit_id == audit_id:
                self._job.kill()

    def _work(self) -> None:
        expires = time.monotonic()
        while not self._stopping:
            idle = _RETRY_SECONDS
            try:
                if time.monotonic() >= expires:
                    self._tidy()
                    expires = time.monotonic() + _EXPIRE_EVERY
                entry = lifecycle.claim(self.library)
                idle = max(0.0, expires - time.monotonic()) if entry is None else 0.0
                if entry is not None:
                    self._audit(entry)
            except (OSError, sqlite3.Error) as error:
                # A disk that is full now may have room later.
                print(f"auditor: the worker waits: {error}", file=sys.stderr)
            self._wake.wait(idle)
            self._wake.clear()

    def _tidy(self) -> None:
        lifecycle.forget_lost(self.library)
        if self.settings.retention_days is not None:
            self.library.expire(self.settings.retention_days, now_ms())

    def _audit(self, entry: Entry) -> None:
        try:
            words = self._made(entry)
            if "summary" in words:
                lifecycle.finish(self.library, entry.audit_id, words["summary"])
                return
            problem = words["problem"]
        except (OSError, sqlite3.Error) as error:
            print(f"auditor: audit {entry.audit_id}: {error}", file=sys.stderr)
            problem = "The server could not keep the audit; its log says why."
        self._fail(entry.audit_id, problem)

    def _fail(self, audit_id: str, problem: str) -> None:
        """Write down that it failed, when there is room to: nothing else can be written before either."""
        while not self._stopping:
            try:
                lifecycle.fail(self.library, audit_id, problem)
            except (OSError, sqlite3.Error) as error:
                print(f"auditor: audit {audit_id}: {error}", file=sys.stderr)
                self._wake.wait(_RETRY_SECONDS)
                self._wake.clear()
            else:
                return

    def _made(self, entry: Entry) -> dict[str, Any]:
        """The last words of the process that makes the audit: its `summary`, or the `problem`."""
        scratch = self._scratch(entry.audit_id)
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            job = _Job(entry.audit_id, self._order(entry), self.library.uploads(entry.audit_id), scratch)
            with self._lock:
                self._job = job
                if self._stopping:
                    job.kill()
            try:
                return self._heard(job, scratch)
            finally:
                with self._lock:
                    self._job = None
                job.close()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            self._part(entry.audit_id).unlink(missing_ok=True)

    def _heard(self, job: _Job, scratch: Path) -> dict[str, Any]:
        told, phase = 0.0, None
        with Watch(self.settings.limits, [scratch, self._part(job.audit_id)], job.kill) as watch:
            for words in job.words():
                if "phase" not in words:
                    return words
                if words["phase"] != phase or time.monotonic() - told >= _TELL_EVERY:
                    told, phase = time.monotonic(), words["phase"]
                    if not lifecycle.tell(self.library, job.audit_id, **words):
                        job.kill()
        return {"problem": watch.problem or _ended(job.wait(), self.settings)}

    def _order(self, entry: Entry) -> dict[str, Any]:
        rules = self.settings.folder / "rules"
        settings: dict[str, Any] = {}
        if holds_rules(rules):
            settings["rules"] = [str(rules.resolve())]
        baseline = self.triage.baseline_file(self.settings.folder)
        if baseline is not None:
            settings["baseline"] = str(baseline.resolve())
        config = self.settings.config.resolve() if self.settings.config is not None else None
        secret = {str(self.settings.folder.resolve()): "the dashboard's folder"}
        if config is not None:
            secret[str(config)] = config.name
        return {
            "save": str(self.library.file(entry.audit_id).resolve()),
            "config": str(config) if config is not None else None,
            "keep_payloads": entry.keep_payloads,
            "memory": self.settings.limits.audit_memory,
            "disk": self.settings.limits.audit_disk,
            "settings": settings,
            "secret": secret,
        }

    def _part(self, audit_id: str) -> Path:
        """What its audit file is called until it is complete."""
        file = self.library.file(audit_id)
        return file.with_name(f"{file.name}.part")

    def _scratch(self, audit_id: str = "") -> Path:
        # Not the system's: it holds payloads while an audit is made, and a killed process does not tidy up.
        return self.settings.folder / "scratch" / audit_id


class _Job:
    """The process that makes one audit."""

    def __init__(self, audit_id: str, order: dict[str, Any], uploads: Path, scratch: Path) -> None:
        self.audit_id = audit_id
        # -P: the working folder is full of files of others, and none of them may be imported.
        self._process = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
            [sys.executable, "-P", "-m", f"{__package__}.audit_job"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=uploads,
            env={**os.environ, "PYTHONPATH": _search_path(), "TMPDIR": str(scratch.resolve())},
            start_new_session=True,
            text=True,
        )
        # It stays open: its end tells the process that the server is gone.
        self._stdin = cast("IO[str]", self._process.stdin)
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(json.dumps(order) + "\n")
            self._stdin.flush()

    def words(self) -> Iterator[dict[str, Any]]:
        """What it says, until it ends."""
        for line in cast("IO[str]", self._process.stdout):
            if line.endswith("\n"):  # else it was ended in the middle of it
                yield json.loads(line)

    def wait(self) -> int:
        """Its exit status, negative for a signal."""
        return self._process.wait()

    def kill(self) -> None:
        """End it, and whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let it end by itself, as it is about to; else end it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        self.kill()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        cast("IO[str]", self._process.stdout).close()


def _search_path() -> str:
    """What this process finds, the other one finds as well."""
    return os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)


def _ended(status: int, settings: Settings) -> str:
    if status == -signal.SIGKILL:
        memory = settings.limits.audit_memory
        return f"The system ended it, probably for want of memory (an audit may use {memory})."
    return "It ended unexpectedly; the log of the server says why."

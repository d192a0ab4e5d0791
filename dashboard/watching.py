"""What an audit takes of the server while its process runs: time and disk, and when it is too much."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType

from .settings import MIB, Limits

_LOOK_EVERY = 0.5


class Watch:
    """Inside the block, calls `end` once if an audit takes too much; `problem` then says of what, to people.

    `written` is where its process writes: a folder, and further files and folders, which need not be there yet.
    """

    def __init__(self, limits: Limits, written: Sequence[Path], end: Callable[[], None]) -> None:
        self.problem: str | None = None
        self._limits = limits
        self._written = written
        self._end = end
        self._until = time.monotonic() + limits.audit_seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="auditor-watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(max(0.0, min(_LOOK_EVERY, self._until - time.monotonic()))):
            self.problem = self._found()
            if self.problem is not None:
                self._end()
                return

    def _found(self) -> str | None:
        limits = self._limits
        if time.monotonic() >= self._until:
            return f"It took longer than an audit may take here ({limits.audit_seconds / 60:,.0f} min)."
        if taken(self._written) > limits.audit_disk:
            return f"It takes more disk than an audit may use here ({limits.audit_disk / MIB:,.0f} MiB)."
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self._written[0]).free < limits.free_disk:
                return "The disk of the server is almost full. Delete audits, then upload it again."
        return None


def taken(paths: Iterable[Path]) -> int:
    """Bytes of disk that files and folders take. Links are not followed."""
    total = 0
    for path in paths:
        inside = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
        for file in (path, *inside):
            with contextlib.suppress(OSError):  # removed since we looked
                total += file.lstat().st_blocks * 512
    return total

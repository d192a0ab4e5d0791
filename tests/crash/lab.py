"""A process in which it is safe to fork, and whose children may be killed at any moment.

A child costs a few milliseconds, because everything is imported before the fork; and a fork is only safe where no
other thread runs, which a process of pytest cannot promise. So a test names a function, and the function runs in
a new process of its own: the laboratory. It must start no thread, so it never opens a world: its children do.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

TESTS = Path(__file__).parents[1]

NO_THREADS = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""What keeps our dependencies from starting threads when they are imported."""


def laboratory(experiment: str, *, timeout: float = 120, **arguments: Any) -> Any:
    """What the function `module:name` returns in a new process. Arguments and result travel as JSON."""
    call = [sys.executable, "-m", "crash.lab", experiment, json.dumps(arguments)]
    env = {**os.environ, **NO_THREADS, "PYTHONPATH": str(TESTS)}
    process = subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, start_new_session=True
    )
    try:
        said, complaints = process.communicate(timeout=timeout)
    finally:
        _end(process)
    assert process.returncode == 0, complaints
    return json.loads(said.splitlines()[-1])


def _end(process: subprocess.Popen[str]) -> None:
    """Nobody is left behind: a child that outlived its laboratory would write to the world of the next test."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def fork(body: Callable[[], object]) -> int:
    """A child that does something and ends; its process id."""
    pid = os.fork()
    if pid == 0:
        _live(body)
    return pid


def ended(pid: int) -> int:
    """Wait for a child: its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def answer(body: Callable[[], object]) -> tuple[int, Any]:
    """Let a child do something: how it ended, and what it returned (JSON) if it did."""
    reading, writing = pipe()

    def told() -> None:
        writing.write(json.dumps(body()).encode())

    pid = fork(told)
    writing.close()
    with reading:
        said = reading.read()
    code = ended(pid)
    return code, json.loads(said) if code == 0 else None


def pipe() -> tuple[io.FileIO, io.FileIO]:
    """From a child to us: the end to read and the end to write, which keeps nothing back."""
    reading, writing = os.pipe()
    return io.FileIO(reading), io.FileIO(writing, "w")


def _live(body: Callable[[], object]) -> NoReturn:
    code = 1
    try:
        body()
        code = 0
    except BaseException:  # noqa: BLE001 - a child must not fall into the code of its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def die() -> NoReturn:
    """End this process as `kill -9` does: no cleaning up, no last words."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody survives this")


def main() -> None:
    module, name = sys.argv[1].split(":")
    arguments = json.loads(sys.argv[2])
    experiment = getattr(importlib.import_module(module), name)
    gc.freeze()  # what was imported is garbage in no child, and looking for it would copy its pages
    try:
        print(json.dumps(experiment(**arguments)))
    except BaseException:
        # A child that lives on holds our output open, and who waits for that would not learn what failed.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
        raise


if __name__ == "__main__":
    main()

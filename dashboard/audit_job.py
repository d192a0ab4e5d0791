"""One audit, in a process of its own: a line of JSON on stdin says what to do, lines on stdout what becomes of it.

They are `{"phase", "done", "total"}` while it goes on, and at the end `{"summary"}` or `{"problem"}`. The process
ends when its stdin does, so that it does not outlive the server.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb

from auditor import Audit, AuditorError, audit

from .settings import MIB

SUMMARY = ("verdict", "exit_code", "counts", "fence_coverage")
"""The keys of a report that the dashboard keeps beside the audit file."""

_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_AROUND = 3 * 1024**3
"""Address space beside the database: code, stacks of threads, what a file format is read with."""

_MOST_PROBLEMS = 3


def main() -> None:
    """Make the audit that stdin asks for."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_server, daemon=True).start()
    _bound(order["memory"], order["disk"])
    try:
        with _made(order) as made:
            _say(**_outcome(made.report))
    except AuditorError as error:
        _say(problem=_without(str(error), order["secret"]))
    except (MemoryError, duckdb.OutOfMemoryException):
        _say(problem=f"It needs more memory than an audit may use here ({order['memory']}).")
    except (OSError, duckdb.IOException, duckdb.TransactionException, duckdb.FatalException) as error:
        print(f"auditor: {error}", file=sys.stderr)
        most = f"more disk than an audit may use here ({order['disk'] / MIB:,.0f} MiB)"
        _say(problem=f"The server could not write the audit: its disk is full, or it takes {most}.")


def _made(order: dict[str, Any]) -> Audit:
    return audit(
        *sorted(_path(path.name) for path in Path().iterdir()),
        config=order["config"],
        save=order["save"],
        keep_payloads=order["keep_payloads"],
        memory_limit=order["memory"],
        progress=lambda phase, done, total: _say(phase=phase, done=done, total=total),
        **order["settings"],
    )


def _path(name: str) -> str:
    # Alone, these would be read as stdin or as the URL of a server.
    return f"./{name}" if name == "-" or ":" in name else name


def _outcome(report: dict[str, Any]) -> dict[str, Any]:
    """What to say of a finished audit; one that holds nothing of a log is a failure."""
    counts = report["counts"]
    if counts["runs"] or counts["events"] or counts["entities"] or counts["refusals"]:
        return {"summary": {key: report[key] for key in SUMMARY}}
    problems = [f"{row['path']}: {row['problem']}" for row in report["inputs"] if row["problem"]]
    problems += [f"{row['source']}: {row['reason']}" for row in report["rejects"]]
    more = len(problems) - _MOST_PROBLEMS
    return {"problem": "; ".join(problems[:_MOST_PROBLEMS]) + (f"; and {more:,} more" if more > 0 else "")}


def _without(text: str, secret: dict[str, str]) -> str:
    for path, name in secret.items():
        text = text.replace(path, name)
    return text


def _say(**words: Any) -> None:
    print(json.dumps(words), flush=True)


def _end_with_server() -> None:
    sys.stdin.read()
    os._exit(1)


def _bound(memory: str, disk: int) -> None:
    """The database bounds itself; this bounds the rest, so that no log can take all of the machine.

    No file may be larger than `disk`, in bytes; the worker watches them in sum, as far as they have names.
    """
    resource.setrlimit(resource.RLIMIT_FSIZE, (disk, disk))
    number, unit = re.fullmatch(r"([\d.]+)\s*([KMGT]?)i?B?", memory, re.IGNORECASE).groups()  # type: ignore[union-attr]
    most = 2 * int(float(number) * _UNITS[unit.upper()]) + _AROUND
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        most += pages * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()

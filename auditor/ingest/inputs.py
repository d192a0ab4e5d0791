"""Whether a file is among the inputs of an audit: such a file may not be written to."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from auditor.ingest import live
from auditor.ingest.intake import Options
from auditor.ingest.members import start_of
from auditor.ingest.reader import STDIN, is_log


def is_read(file: Path, inputs: Sequence[str], options: Options) -> bool:
    """Whether a file is one of these inputs, or a log or an archive in a folder that is one of them.

    What else lies in such a folder, a report of yesterday for one, is not read.
    """
    try:
        there = file.stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(there.st_mode) and any(_is_of(file, there, name, options) for name in inputs)


def _is_of(file: Path, there: os.stat_result, name: str, options: Options) -> bool:
    try:
        if name == STDIN:
            return os.path.samestat(there, os.fstat(sys.stdin.fileno()))
        if live.is_url(name) and not name.startswith(live.SQLITE):
            return False
        path = Path(name.removeprefix(live.SQLITE))
        if not path.is_dir():
            return os.path.samestat(there, path.stat())
        inside = file.resolve().relative_to(path.resolve())
        return is_log(inside.as_posix(), start_of(str(file)), options)
    except (OSError, ValueError):  # nothing is there, or the file is not in that folder
        return False

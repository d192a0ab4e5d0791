"""What a command writes to: never over what it reads, and nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from auditor.cli.auditing import Asked
from auditor.errors import UsageError


def refuse_overwriting(outputs: Sequence[Path], asked: Asked) -> None:
    """Raises UsageError if an output would replace a log, the configuration, the baseline or another output."""
    for number, output in enumerate(outputs):
        if output.exists() and not output.is_file():
            continue  # a terminal, /dev/null; whoever writes to a folder says so
        if asked.reads(output):
            raise UsageError(f"{output}: a log that is audited would be overwritten; write to another file")
        for what, kept in (("configuration", asked.config.path), ("baseline", asked.config.baseline)):
            if kept is not None and _same(output, kept):
                raise UsageError(f"{output}: the {what} would be overwritten; write to another file")
        if any(_same(output, other) for other in outputs[:number]):
            raise UsageError(f"{output}: two reports would be written to this file; name another one for each")


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()

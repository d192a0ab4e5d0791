"""Recorded histories against the code that is to run next: what `auditor replay` does, for programs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from auditor.cold.history import named
from auditor.cold.tables import decide, replay_runs
from auditor.config import Config
from auditor.errors import UsageError
from auditor.pipeline import Evidence, Options, run_audit
from auditor.result import Audit, made
from auditor.runtime.registry import Workflow, workflow_at

RULES = ("replay-divergence", "terminal-not-reproducible", "code-version-skew")
"""The rules that say what a cold replay has shown. What else is wrong with a log is for `auditor check`."""


def replay_logs(
    *paths: str | Path,
    workflows: Sequence[Workflow | Callable[..., Any]],
    save: str | Path | None = None,
) -> Audit:
    """Replay the code of workflows on every run of theirs in some logs: files, folders or URLs, as `audit` takes.

    The outcomes are in the tables `replayed` and `replayed_line` of the audit, what they mean in its findings. Its
    exit code is 1 if a run is not reproduced, 3 if it cannot be told of one, or none was replayed, and 0 if all
    are reproduced. Runs of other workflows are left alone. `save` keeps the audit file; payloads are in it.

    Raises UsageError for a path that does not exist, or a function that is no workflow.
    """

    def make(target: Path) -> None:
        run_audit(
            [str(path) for path in paths],
            target,
            Config(select=tuple(RULES)),
            options=Options(keep_payloads=True),
            evidence=evidence(workflows),
        )

    return made(make, save)


def evidence(workflows: Iterable[Workflow | Callable[..., Any]]) -> Evidence:
    """Cold replay as a part of an audit. Its options have to keep payloads; without them nothing can be replayed.

    Raises UsageError for a function that is no workflow.
    """
    code = named(workflows)
    return Evidence(lambda con: replay_runs(con, code), decide)


def workflow_of_code(place: str) -> Workflow:
    """The workflow at `module:function`, imported from this folder; what its module prints goes to stderr.

    Raises UsageError if there is none, whatever the module does when it is imported.
    """
    module = place.partition(":")[0]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return workflow_at(place)
    except UsageError as error:
        raise UsageError(_one_line(error)) from error
    except SystemExit as error:
        raise UsageError(_one_line(f"cannot import {module}: it ends its process, SystemExit: {error}")) from error


def _one_line(text: object) -> str:
    """A text that somebody else's module may have put together, safe for a terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in " ".join(str(text).split()))

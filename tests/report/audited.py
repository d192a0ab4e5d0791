"""Audits that reports are made of: sample logs, and one in which findings are of every state."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from logs import Log, write

from auditor import Audit, audit
from auditor.check.baseline import known_now
from auditor.check.decisions import Suppression

GOLDEN = Path(__file__).parent / "golden"
SAMPLES = Path(__file__).parents[2] / "sample_logs"
RESTARTED = "step-restarted-after-outcome"


def of_sample(name: str, render: Callable[[Audit], str]) -> str:
    """The report on a sample log, whose name is all that is shown of its path."""
    with chdir(SAMPLES), audit(f"{name}.ndjson") as result:
        return render(result)


def check_golden(name: str, produced: str) -> None:
    """To accept a change: `AUDITOR_ACCEPT=1 make check`, then read the difference."""
    golden = GOLDEN / name
    if "AUDITOR_ACCEPT" in os.environ:
        golden.write_text(produced, "utf-8")
    assert produced == golden.read_text("utf-8")


def restarted(step: str) -> Log:
    """A run in which a step is started again after its outcome; what the runtime says of it follows from that."""
    stages = ("created", "started", "completed", "started")
    log = Log(f"wrun_{step}", workflow=f"workflow//./flows//{step}").life("step", 0, *stages, stepName=step)
    return log.add("run_failed", data={"errorCode": "CORRUPTED_EVENT_LOG", "error": {"message": "secret"}})


@contextmanager
def decided(folder: Path) -> Iterator[Audit]:
    """One finding is known, one is suppressed, one is new; of a fourth the baseline says what is there no more."""
    with chdir(folder):
        path = write(Path("log.ndjson"), *(restarted(step).events for step in ("known", "suppressed", "new")))
        with audit(path) as first:
            found = {row["run_id"]: row for row in first.findings if row["rule"] == RESTARTED}
        known = found["wrun_known"]["fingerprint"]["pattern"]
        entries = [(RESTARTED, name, "w", "it was so") for name in (known, "0" * 32)]
        Path("baseline.jsonl").write_text(known_now("pattern", entries).text(), "utf-8")
        suppressions = [
            Suppression(RESTARTED, "we pay twice", run="wrun_suppressed", by="ops"),
            Suppression(RESTARTED, "of another time", run="wrun_elsewhere"),
        ]
        with audit(path, baseline="baseline.jsonl", suppressions=suppressions) as result:
            yield result


@contextmanager
def doubtful(folder: Path) -> Iterator[Audit]:
    """Findings, unreadable rows and an input that is no log at all."""
    with chdir(folder):
        path = write(Path("log.ndjson"), restarted("new").events)
        path.write_text(path.read_text() + "{oops\n")
        Path("empty.ndjson").write_text("")
        with audit(path, "empty.ndjson") as result:
            yield result


def instances(report: dict[str, Any]) -> set[str]:
    return {finding["fingerprint"]["instance"] for finding in report["findings"]}


def of_state(report: dict[str, Any], *states: str) -> set[str]:
    return {row["fingerprint"]["instance"] for row in report["findings"] if row["state"] in states}


_NASTY = [
    "\n::error::owned",
    "::error::owned",
    "##[error]owned",
    "##vso[task.complete result=Succeeded]",
    "\x1b[31mred\x1b]0;title\x07",
    "<script>alert(1)</script>",
    "]]>&amp;<!--",
    "[click](https://example.com)",
    "{0} %25 %0A %",
    "\u202etxt.exe\u2066",
    "\ufffe\uffff\x00\x85\u2028",
    "../../etc/passwd",
    "a:b,c;d=e",
    "=cmd|' /C calc'!A0",
    'quote"back\\slash',
    "\U0001f600",
]

nasty_texts = st.lists(
    st.lists(st.sampled_from(_NASTY) | st.text(max_size=5), min_size=1, max_size=4).map("".join),
    min_size=1,
    max_size=6,
)
"""What somebody may call a run, a workflow, an event, a step or a file."""

_OF_A_LOG = {"run_id", "workflow", "event_id", "event_type", "correlation_id", "entity", "source", "input", "path"}
_OF_A_LOG |= {"because", "problem", "reason", "message", "exit_because"}


def poisoned(report: dict[str, Any], texts: list[str]) -> dict[str, Any]:
    """The report with these texts in place of all that a log or a user may have written."""
    turn = itertools.cycle(texts)

    def replaced(value: Any, key: str) -> Any:
        if isinstance(value, dict):
            return {name: replaced(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [replaced(item, key) for item in value]
        return next(turn) if key in _OF_A_LOG and isinstance(value, str) else value

    return {name: replaced(value, name) for name, value in report.items()}


def is_inert(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)

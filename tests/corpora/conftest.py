"""The corpora of real SDK logs, whole and with `run_failed` removed as a crash would leave them.

They lie beside the repository (`../shared/corpora`), or where AUDITOR_CORPORA points.
"""

from __future__ import annotations

import csv
import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from auditor import audit

HOME = Path(os.environ.get("AUDITOR_CORPORA", Path(__file__).parents[3] / "shared" / "corpora"))
NAMES = sorted(path.parent.name for path in HOME.glob("*/truth.json"))


@dataclass(frozen=True)
class Corpus:
    """One corpus: its archive of logs, and what the SDK itself said of every run."""

    name: str
    archive: Path
    truth: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Audited:
    """A corpus and the report on it."""

    corpus: Corpus
    report: dict[str, Any]

    @property
    def runs(self) -> dict[str, dict[str, Any]]:
        return {run["run_id"]: run for run in self.report["runs"]}

    def findings(self, run_id: str, severity: str = "error") -> list[dict[str, Any]]:
        return [f for f in self.report["findings"] if f["run_id"] == run_id and f["severity"] == severity]


@cache
def corpus(name: str) -> Corpus:
    folder = HOME / name
    archive = next(path for path in (folder / "data.tar.gz", folder / "csv.tar.gz") if path.exists())
    return Corpus(name, archive, json.loads((folder / "truth.json").read_text())["runs"])


@pytest.fixture(scope="session")
def without_failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Audited]:
    """Every corpus, its `run_failed` events and run errors physically gone, judged in one audit."""
    folder = tmp_path_factory.mktemp("stripped")
    for name in NAMES:
        _strip(corpus(name).archive, folder / f"{name}.tar")
    return _audited({name: folder / f"{name}.tar" for name in NAMES})


@pytest.fixture(scope="session")
def whole() -> dict[str, Audited]:
    """Every corpus as the SDK left it, judged in one audit."""
    return _audited({name: corpus(name).archive for name in NAMES})


@pytest.fixture(scope="session")
def alone() -> Callable[[str], Audited]:
    """Audit one corpus by itself, as the SDK left it."""

    @cache
    def audited(name: str) -> Audited:
        return _audited({name: corpus(name).archive})[name]

    return audited


def _audited(archives: dict[str, Path]) -> dict[str, Audited]:
    """The report on several corpora, divided by the runs of each; a run that none of them knows is in every part.

    Whatever it reads, an audit costs much: nine corpora at once take a third of the time they take one by one.
    """
    with audit(*archives.values()) as result:
        report = result.report
    divided = {}
    for name in archives:
        others = {run for other in archives if other != name for run in corpus(other).truth}
        assert others.isdisjoint(corpus(name).truth)
        own = {key: [row for row in report[key] if row["run_id"] not in others] for key in ("runs", "findings")}
        divided[name] = Audited(corpus(name), report | own)
    return divided


def _strip(archive: Path, target: Path) -> None:
    with tarfile.open(archive, "r:gz") as old, tarfile.open(target, "w") as new:
        for member in old:
            stream = old.extractfile(member)
            content = _crashed(member.name, stream.read()) if stream else None
            if content is not None:
                info = tarfile.TarInfo(member.name)
                info.size = len(content)
                new.addfile(info, io.BytesIO(content))


def _crashed(name: str, content: bytes) -> bytes | None:
    """A file as a crash before the runtime's verdict would leave it; None if it would not be there."""
    path = Path(name)
    if path.parent.name == "events" and path.suffix == ".json":
        failed = b"run_failed" in content and json.loads(content)["eventType"] == "run_failed"
        return None if failed else content
    if path.parent.name == "runs" and path.suffix == ".json":
        run = json.loads(content)
        if run.get("status") == "failed":
            run = {key: value for key, value in run.items() if key not in ("error", "errorCode", "completedAt")}
            content = json.dumps(run | {"status": "running"}).encode()
        return content
    if path.name == "workflow_events.csv":
        return _rows(content, lambda row: None if row["type"] == "run_failed" else row)
    if path.name == "workflow_runs.csv":
        crashed = {"status": "running", "error": "", "error_cbor": "", "completed_at": ""}
        return _rows(content, lambda row: row | crashed if row["status"] == "failed" else row)
    return content


def _rows(content: bytes, change: Callable[[dict[str, str]], dict[str, str] | None]) -> bytes:
    reader = csv.DictReader(io.StringIO(content.decode()))
    out = io.StringIO()
    writer = csv.DictWriter(out, reader.fieldnames or [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for row in map(change, reader) if row is not None)
    return out.getvalue().encode()

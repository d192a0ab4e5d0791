"""What the benchmark measures runs, and comes to the result of an audit, before anybody asks how fast it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import generate, jobs


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("jobs") / "log.ndjson"
    generate.write(generate.plan(2000, 7, 1), path)
    return path


@pytest.mark.parametrize("job", [jobs.ingest, jobs.bare_read, jobs.sort], ids=lambda job: job.__name__)
def test_a_job_says_how_long_it_took(job, log: Path, tmp_path: Path) -> None:
    assert job(log, tmp_path)["seconds"] > 0


def test_the_stages_of_an_audit_find_what_was_injected_and_nothing_else(log: Path, tmp_path: Path) -> None:
    measured = jobs.audit(log, tmp_path)
    assert list(measured["stages"]) == ["ingest", "replay", "rules", "judge", "close the file"]
    assert measured["differences"] == []
    assert measured["rules"]

"""A generated log gives exactly the findings that were injected, and the same bytes from the same seed."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path

import pytest
from benchmarks import generate
from benchmarks.anomalies import ANOMALIES
from benchmarks.baselines import python_loop
from benchmarks.truth import Truth

from auditor import audit

EVENTS, EACH = 4000, 2


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("benchmarks") / "log.ndjson"
    generate.write(generate.plan(EVENTS, 7, EACH), path)
    return path


def test_an_audit_finds_what_was_injected_and_no_other_error(log: Path) -> None:
    truth = Truth.of(log)
    assert truth.anomalies == dict.fromkeys(ANOMALIES, EACH)
    with audit(log) as result:
        found = [(finding["run_id"], finding["rule"], finding["severity"]) for finding in result.findings]
        assert truth.differences(found) == []
        assert len(result.runs) == truth.runs


def test_a_miscount_is_seen(log: Path) -> None:
    truth = Truth.of(log)
    missed, *rest = truth.findings
    assert truth.differences(rest) == [f"missed: {missed}"]
    made_up = ("wrun_healthy", "a-rule-of-tomorrow", "error")
    assert truth.differences([*truth.findings, made_up]) == [f"made up: {made_up}"]


def test_the_baseline_counts_the_same(log: Path) -> None:
    runs, newest = python_loop.read(str(log))
    counted = Counter(name for events in runs.values() for name, _ in python_loop.check(events, newest))
    assert len(counted) == 10
    assert counted == Truth.of(log).count(counted)


def test_one_seed_gives_the_same_bytes(log: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again.ndjson", tmp_path / "other.ndjson"
    generate.write(generate.plan(EVENTS, 7, EACH), again)
    generate.write(generate.plan(EVENTS, 8, EACH), other)
    assert again.read_bytes() == log.read_bytes()
    assert other.read_bytes() != log.read_bytes()


def test_the_log_is_as_large_and_as_mixed_as_asked_for(log: Path) -> None:
    events = [json.loads(line) for line in log.read_bytes().splitlines()]
    assert abs(len(events) - EVENTS) < EVENTS / 5
    ids = [event["eventId"] for event in events]
    assert ids == sorted(set(ids))
    changes = sum(one["runId"] != next_["runId"] for one, next_ in itertools.pairwise(events))
    assert changes > len(events) / 2


def test_a_folder_holds_the_same_log(log: Path, tmp_path: Path) -> None:
    files = generate.write_folder(generate.plan(EVENTS, 7, EACH), tmp_path / "world")
    assert files == Truth.of(log).events
    with audit(log) as from_lines, audit(tmp_path / "world") as from_files:
        assert [(run["run_id"], run["log_verdict"]) for run in from_files.runs] == [
            (run["run_id"], run["log_verdict"]) for run in from_lines.runs
        ]

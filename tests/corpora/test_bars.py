"""What we promise on real logs: every corrupt run is named with the event that broke it, and no healthy one is."""

from __future__ import annotations

import os
import re
from collections import Counter

import pytest
from corpora.conftest import NAMES

NAMED = re.compile(r"\b(?:evnt|wevt|step|wait|hook)_[0-9A-Z]{26}\b")


def test_the_corpora_are_here() -> None:
    if not NAMES and not os.environ.get("CI"):
        pytest.skip("the corpora are not beside this checkout; point AUDITOR_CORPORA at them")
    assert len(NAMES) >= 9


@pytest.mark.parametrize("name", NAMES)
class TestWithoutTheRuntimesVerdict:
    """`run_failed` and the run's stored error are gone: the log alone has to tell."""

    def test_every_run_is_in_the_report(self, name, without_failures) -> None:
        audited = without_failures[name]
        assert set(audited.runs) == set(audited.corpus.truth)

    def test_every_corrupted_run_is_corrupt(self, name, without_failures) -> None:
        audited = without_failures[name]
        corrupted = [run for run, truth in audited.corpus.truth.items() if truth.get("corrupted")]
        missed = [run for run in corrupted if audited.runs[run]["log_verdict"] != "corrupt"]
        assert not missed

    def test_no_healthy_run_is_accused(self, name, without_failures) -> None:
        audited = without_failures[name]
        accused = {
            run: [finding["because"] for finding in audited.findings(run)]
            for run, truth in audited.corpus.truth.items()
            if _healthy(truth)
            and (audited.runs[run]["log_verdict"] == "corrupt" or audited.findings(run))
            and not _conflicts_with_itself(audited.findings(run))
        }
        assert not accused

    def test_at_most_two_in_a_hundred_healthy_runs_are_suspect(self, name, without_failures) -> None:
        audited = without_failures[name]
        verdicts = Counter(
            audited.runs[run]["log_verdict"] for run, truth in audited.corpus.truth.items() if _healthy(truth)
        )
        assert verdicts["suspect"] <= 0.02 * verdicts.total()
        assert verdicts["cannot_tell"] == 0

    def test_the_witness_holds_what_the_runtime_named(self, name, without_failures) -> None:
        audited = without_failures[name]
        named = {
            run: set(NAMED.findall(truth["errorMessage"]))
            for run, truth in audited.corpus.truth.items()
            if truth.get("corrupted") and NAMED.search(truth.get("errorMessage") or "")
        }
        missed = [run for run, ids in named.items() if ids.isdisjoint(_witnesses(audited.findings(run)))]
        assert len(missed) <= 0.1 * len(named), missed


@pytest.mark.parametrize("name", NAMES)
def test_the_runtimes_own_verdict_never_changes_the_log_verdict(name, whole, without_failures) -> None:
    before = {run: row["log_verdict"] for run, row in whole[name].runs.items()}
    after = {run: row["log_verdict"] for run, row in without_failures[name].runs.items()}
    assert before == after


@pytest.mark.parametrize("name", NAMES)
def test_the_runtimes_verdict_stands_beside_ours(name, whole) -> None:
    audited = whole[name]
    corrupted = {run for run, truth in audited.corpus.truth.items() if truth.get("corrupted")}
    assert {run for run, row in audited.runs.items() if row["runtime_verdict"] == "corrupted"} == corrupted


@pytest.mark.parametrize("name", NAMES)
def test_fences_are_not_evaluated_on_a_stock_export(name, whole) -> None:
    rules = {rule["id"]: rule for rule in whole[name].report["rules"]}
    for rule in ("stale-snapshot-write", "dropped-fence"):
        assert rules[rule]["outcome"] == "not_evaluated"
        assert rules[rule]["reason"] == "the log does not record fences"


def _healthy(truth: dict) -> bool:
    return truth["status"] in ("completed", "cancelled") or truth.get("errorCode") == "USER_ERROR"


def _conflicts_with_itself(findings: list[dict]) -> bool:
    return bool(findings) and {finding["rule"] for finding in findings} == {"self-hook-conflict"}


def _witnesses(findings: list[dict]) -> set[str]:
    return {
        name
        for finding in findings
        for witness in finding["witness"]
        for name in (witness["event_id"], witness["correlation_id"])
        if name is not None
    }

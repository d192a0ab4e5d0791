"""Decisions about findings: what they make of an audit, and how they reach the next one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from pages import SAMPLES

from auditor import Audit, audit
from dashboard.queries import finding as one
from dashboard.queries import findings as queries
from dashboard.service import Service
from dashboard.settings import Settings
from dashboard.triage import Choice, Chosen, Decision, Pattern, Standing

TODAY = dt.date(2026, 5, 20)
DAY = dt.timedelta(days=1)
FENCES = Pattern("4" * 32, "dropped-fence", "invoice", "no fence", 3)
WRITES = Pattern("5" * 32, "stale-snapshot-write", None, "stale", 1)


def decision(state: Chosen, *, until: dt.date | None = None, ceiling: int = 3) -> Decision:
    return Decision("4" * 32, "dropped-fence", None, "so it is", state, until, ceiling, "", "ada", 1000, "A")


def later_audit(folder: Path, baseline: Path) -> dict[str, str]:
    """The states of the findings of the sample `dropped-fence`, checked against a baseline: by instance."""
    with audit(SAMPLES / "dropped-fence.ndjson", baseline=baseline, save=folder / "later.duckdb") as made:
        return {
            row["fingerprint"]["instance"]: row["state"] for row in made.findings if row["rule"] == FENCES.rule
        }


@pytest.mark.parametrize(
    ("said", "found", "made_at", "standing"),
    [
        (decision(Chosen.OPEN), 1, 1, Standing.OPEN),
        (decision(Chosen.RESOLVED), 1, 999, Standing.RESOLVED),
        (decision(Chosen.RESOLVED), 1, 1001, Standing.REGRESSED),
        (decision(Chosen.IGNORED), 3, 1001, Standing.IGNORED),
        (decision(Chosen.IGNORED), 4, 1001, Standing.OPEN),
        (decision(Chosen.IGNORED, until=TODAY), 3, 1001, Standing.IGNORED),
        (decision(Chosen.IGNORED, until=TODAY - DAY), 3, 1001, Standing.OPEN),
    ],
)
def test_a_decision_says_how_a_pattern_stands(
    said: Decision, found: int, made_at: int, standing: Standing
) -> None:
    assert said.standing(found, made_at, TODAY) is standing


def test_what_is_open_again_says_why() -> None:
    assert decision(Chosen.IGNORED).ended(3, TODAY) is None
    assert decision(Chosen.RESOLVED).ended(9, TODAY) is None
    assert "up to 3, and there are 4" in str(decision(Chosen.IGNORED).ended(4, TODAY))
    assert "until 2026-05-19" in str(decision(Chosen.IGNORED, until=TODAY - DAY).ended(1, TODAY))


def test_decisions_survive_a_restart(empty: Service) -> None:
    choice = Choice(Chosen.IGNORED, "known since May", TODAY)
    empty.triage.decide([FENCES, WRITES], choice, "ada", "AUDIT")
    again = Service.of(Settings(empty.settings.folder)).triage.decisions()
    assert set(again) == {FENCES.pattern, WRITES.pattern}
    held = again[FENCES.pattern]
    assert (held.state, held.until, held.ceiling, held.decided_by) == (Chosen.IGNORED, TODAY, 3, "ada")
    assert (held.comment, held.workflow, held.audit_id) == ("known since May", "invoice", "AUDIT")


def test_every_decision_stays_in_the_history(empty: Service) -> None:
    empty.triage.decide([FENCES], Choice(Chosen.IGNORED, "later", ceiling=7), "ada", "A")
    empty.triage.decide([FENCES, WRITES], Choice(Chosen.RESOLVED, "mended"), "bob", "B")
    last, first = empty.triage.history(FENCES.pattern)
    assert (last["who"], last["state"], last["ceiling"], last["comment"]) == ("bob", "resolved", None, "mended")
    assert (first["who"], first["state"], first["ceiling"], first["until"]) == ("ada", "ignored", 7, None)
    assert len(empty.triage.history(WRITES.pattern)) == 1


def test_only_what_is_ignored_today_is_in_the_baseline(empty: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    triage = empty.triage
    assert triage.baseline() is None
    assert triage.baseline_file(empty.settings.folder) is None
    triage.decide([FENCES], Choice(Chosen.IGNORED, until=TODAY), "ada", "A")
    triage.decide([WRITES], Choice(Chosen.RESOLVED), "ada", "A")
    for day, known in ((TODAY, True), (TODAY + DAY, False)):
        noon = dt.datetime.combine(day, dt.time(12), dt.UTC)
        monkeypatch.setattr("time.time_ns", lambda at=noon: int(at.timestamp() * 1e9))
        text = triage.baseline()
        assert (FENCES.pattern in (text or "")) is known
        assert WRITES.pattern not in (text or "")


def test_check_accepts_what_is_ignored_as_a_baseline(empty: Service, samples_audit: Path, tmp_path: Path) -> None:
    with Audit.open(samples_audit) as made:
        wanted = list(queries.standing_of_patterns(made.con))
        patterns = [Pattern(**row) for row in queries.decidable(made.con, wanted)]
    empty.triage.decide(patterns, Choice(Chosen.IGNORED), "ada", "A")
    baseline = empty.triage.baseline_file(tmp_path)
    assert baseline is not None
    assert set(later_audit(tmp_path, baseline).values()) == {"known"}


def test_more_findings_than_the_ceiling_are_new_again(empty: Service, samples_audit: Path, tmp_path: Path) -> None:
    with Audit.open(samples_audit) as made:
        counts = queries.standing_of_patterns(made.con)
        (pattern,) = [
            row
            for row in queries.decidable(made.con, list(counts))
            if row["findings"] == 2 and row["rule"] == FENCES.rule
        ]
        total = len(one.occurrences(made.con, pattern["pattern"], limit=9))
    empty.triage.decide([Pattern(**pattern)], Choice(Chosen.IGNORED, ceiling=1), "ada", "A")
    baseline = empty.triage.baseline_file(tmp_path)
    assert baseline is not None
    states = sorted(later_audit(tmp_path, baseline).values())
    assert total == 2
    assert states.count("known") == 1


def test_a_pattern_whose_findings_are_all_consequences_is_ignored_with_a_ceiling_of_one(empty: Service) -> None:
    folded = Pattern("6" * 32, "stalled-run", None, "it stands still", 0)
    empty.triage.decide([folded], Choice(Chosen.IGNORED), "ada", "A")
    assert empty.triage.decisions()[folded.pattern].ceiling == 1

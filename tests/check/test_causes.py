"""Findings of one bug are one cause, with one sentence that says what they have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from logs import Log, entity, manifest, time, write

from auditor import audit
from auditor.check.catalogue import load
from auditor.check.decisions import KEPT_WITNESSES
from auditor.check.diagnosis import CLASSES, Diagnosis, Placeholder
from auditor.check.header import Rule

FIELDS = ("fence", "requestId", "writerId", "site")


def causes(path: Path, rule: str) -> list[dict[str, Any]]:
    with audit(path) as result:
        return [cause for cause in result.causes if cause["rule"] == rule]


def run(number: int, **more: Any) -> Log:
    return Log(f"wrun_01KAP2D000{number:016d}", **more)


def tail(log: Log, behind: int = 0) -> dict[str, str]:
    return {"kind": "tail", "value": log.events[-1 - behind]["eventId"]}


def unfenced_waits(log: Log) -> Log:
    """A fenced creation, then a completion and an end that carry none."""
    log.add("wait_created", entity("wait", 0), data={"resumeAt": time(3)}, fence=tail(log), writerId="a")
    log.add("wait_completed", entity("wait", 0), fence=None, writerId="b", site="scan")
    return log.add("run_completed", fence=None, writerId="b", site="end")


def stale(log: Log, *missed: str, kind: str = "wait") -> Log:
    """A creation by `late` that had not read the steps created before it."""
    known = tail(log)
    for ordinal, name in enumerate(missed):
        log.add("step_created", entity("step", ordinal), data={"stepName": name}, fence=tail(log), writerId="w")
    return log.add(f"{kind}_created", entity(kind, 20), fence=known, writerId="late")


def hung(log: Log, *steps: str) -> Log:
    for ordinal, name in enumerate(steps):
        log.life("step", ordinal, "created", "started", stepName=name)
    return log


class TestOneCause:
    def test_dropped_fences_are_one_cause_whatever_was_written_where(self, tmp_path: Path) -> None:
        logs = [unfenced_waits(run(number)).events for number in (1, 2)]
        healthy = run(3)
        healthy.add("run_completed", fence={"kind": "unfenced", "value": None, "reason": "test"})
        [cause] = causes(write(tmp_path / "log.ndjson", manifest(*FIELDS), *logs, healthy.events), "dropped-fence")
        assert cause["diagnosis"] == (
            "Fences are dropped on lazily resolved event types: run_completed and wait_completed at end and scan; "
            "every wait_created carries one."
        )
        assert (cause["runs"], cause["all_runs"], cause["findings"]) == (2, 3, 6)
        assert (cause["first_at"], cause["last_at"]) == (time(4), time(5))
        assert cause["writers"] == ["b"]
        assert cause["example"]["run_id"] is not None, "a finding of a run stands for all, not that of the log"

    def test_what_a_snapshot_missed_is_incidental(self, tmp_path: Path) -> None:
        logs = [
            stale(run(1), "pay").events,
            stale(run(2), "pay", "ship").events,
            stale(run(3), "pay", kind="hook").events,
        ]
        [cause] = causes(write(tmp_path / "log.ndjson", manifest(*FIELDS), *logs), "stale-snapshot-write")
        assert cause["diagnosis"] == (
            "Writes of wait_created and hook_created are accepted from snapshots that missed step_created, under "
            "tail fences."
        )
        assert len(cause["patterns"]) == 3
        assert cause["writers"] == ["late"], "who wrote what was missed has no part in it"
        assert cause["first_at"] == time(4), "when the missed event was written says nothing"

    def test_workflows_are_incidental_where_the_sentence_does_not_name_them(self, tmp_path: Path) -> None:
        logs = [stale(run(n, workflow=f"workflow//./f//{name}"), "pay").events for n, name in ((1, "a"), (2, "b"))]
        [cause] = causes(
            write(tmp_path / "log.ndjson", manifest(*FIELDS), *logs, run(3, workflow="workflow//./f//c").events),
            "stale-snapshot-write",
        )
        assert cause["workflows"] == ["workflow//./f//a", "workflow//./f//b"]
        assert (cause["runs"], cause["all_runs"]) == (2, 2)

    def test_consequences_are_counted_with_their_root(self, tmp_path: Path) -> None:
        log = Log(core="4.8.9").life("step", 0, "created", "started", "completed", "started", stepName="s")
        log.add("run_failed", data={"errorCode": "CORRUPTED_EVENT_LOG", "error": {"message": "x"}})
        with audit(write(tmp_path / "log.ndjson", log.events)) as result:
            cause = result.causes[0]
            of_cause = result.con.execute("SELECT rule FROM finding WHERE cause_no = 1 ORDER BY ALL").fetchall()
        assert (cause["rule"], cause["findings"], cause["consequences"]) == ("step-restarted-after-outcome", 1, 1)
        assert of_cause == [("runtime-corruption-verdict",), ("step-restarted-after-outcome",)]


class TestSeveralCauses:
    def test_each_step_that_hangs_is_a_bug_of_its_own(self, tmp_path: Path) -> None:
        logs = [hung(run(1), "a//pay", "a//ship").events, hung(run(2), "a//pay").events]
        late = run(3).add("run_completed", at=9000)
        found = causes(
            write(tmp_path / "log.ndjson", manifest(exportedAt=time(9001)), *logs, late.events), "hung-step"
        )
        assert [(cause["diagnosis"], cause["findings"]) for cause in found] == [
            ("Step pay was started long ago and has no outcome.", 2),
            ("Step ship was started long ago and has no outcome.", 1),
        ]

    def test_counts_are_exact_beyond_the_findings_that_keep_their_witnesses(self, tmp_path: Path) -> None:
        last = KEPT_WITNESSES + 5
        logs = [hung(run(n), "a//pay").events for n in range(last)] + [hung(run(last), "a//ship").events]
        found = causes(write(tmp_path / "log.ndjson", manifest(exportedAt=time(9001)), *logs), "hung-step")
        assert [(cause["diagnosis"], cause["findings"], cause["runs"]) for cause in found] == [
            ("Step pay was started long ago and has no outcome.", last, last),
            ("Step ship was started long ago and has no outcome.", 1, 1),
        ]
        assert len(found[1]["patterns"]) == 1


def test_no_finding_no_cause(tmp_path: Path) -> None:
    with audit(write(tmp_path / "log.ndjson", Log().add("run_completed").events)) as result:
        assert result.causes == []


class TestDiagnosis:
    TYPES = Placeholder("event_type", None, divides=False)

    @pytest.mark.parametrize(
        ("values", "said"),
        [
            (["a"], "x a"),
            (["a", "b"], "x a and b"),
            (["a", "b", "c"], "x a, b and c"),
            (["step//./f//a", "step//./g//b"], "x a and b"),
            (["step//./f//a", "step//./g//a"], "x step//./f//a and step//./g//a"),
            (list("abcdef"), "x a, b, c, d, e and f"),
            (list("abcdefg"), "x a, b, c, d, e and 2 more"),
            ([], None),
        ],
    )
    def test_values_are_said_as_a_person_says_them(self, values: list[str], said: str | None) -> None:
        assert Diagnosis.parse("x {event types}").sentence({self.TYPES: values}) == said

    def test_a_part_in_brackets_is_left_out_where_it_says_nothing(self) -> None:
        diagnosis = Diagnosis.parse("x[ at {sites}][, {event types}].")
        assert diagnosis.sentence({}) == "x."
        assert diagnosis.sentence({self.TYPES: ["a"]}) == "x, a."

    @pytest.mark.parametrize(
        ("types", "name"),
        [
            (["run_failed", "run_completed"], "terminal event types"),
            (["run_failed", "wait_completed"], "lazily resolved event types"),
            (["wait_created", "step_created"], "creations"),
            (["wait_created", "wait_completed"], None),
            (["wait_completed"], None),
        ],
    )
    def test_types_with_something_in_common_have_a_name(self, types: list[str], name: str | None) -> None:
        assert Diagnosis.parse("{class}").sentence({Placeholder("class", None, divides=False): types}) == name
        assert name is None or name in CLASSES

    def test_it_is_about_the_first_role_that_it_names(self) -> None:
        assert Diagnosis.parse("{steps} {sites of stale write} {fences of missed}").subject == "stale write"
        assert Diagnosis.parse("{steps}").subject is None


@pytest.mark.parametrize("rule", load().values(), ids=lambda rule: rule.id)
def test_the_sentence_of_a_rule_can_be_said(rule: Rule) -> None:
    if rule.diagnosis is not None:
        said = rule.diagnosis.sentence(
            {asked: ["wait_completed", "run_failed"] for asked in rule.diagnosis.placeholders}
        )
        assert said is not None
        assert said.endswith(".")
        assert said[0].isupper()
        assert "  " not in said

"""A finding keeps its two names whatever is read beside it, from where, and in which order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_bugs import RULE, restarted, run_name
from logs import Log, write
from own_rules import finds, rule_file

from auditor import Audit, audit
from auditor.check.baseline import Baseline, Entry, known_now
from auditor.check.decisions import KEPT_WITNESSES

SAMPLES = Path(__file__).parents[2] / "sample_logs"


class Seen(NamedTuple):
    """One witness: its role, what kind of record it is, and the record's own name."""

    role: str
    shape: str
    name: str


def instance(rule: str, run_id: str | None, witnesses: Iterable[Seen]) -> str:
    return digest("instance", rule, run_id or "", *sorted(witness.name for witness in witnesses))


def pattern(rule: str, workflow: str | None, witnesses: Iterable[Seen]) -> str:
    return digest("pattern", rule, workflow or "", *dict.fromkeys(f"{w.role}={w.shape}" for w in witnesses))


def digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(("1", *parts)).encode()).hexdigest()[:32]


def names(*paths: str | Path, **options: Any) -> set[tuple[str, str, str]]:
    with audit(*paths, **options) as result:
        return {(f["rule"], f["fingerprint"]["instance"], f["fingerprint"]["pattern"]) for f in result.findings}


def states(result: Audit) -> dict[str, str]:
    return {finding["run_id"]: finding["state"] for finding in result.findings}


def save(path: Path, result: Audit, by: str) -> Path:
    found = [(f["rule"], f["fingerprint"][by], None, f["because"]) for f in result.findings]
    path.write_text(known_now(by, found).text(), "utf-8")
    return path


class TestTheDefinition:
    def test_an_instance_is_its_rule_run_and_witnesses_and_a_pattern_its_rule_workflow_and_shape(
        self, tmp_path: Path
    ) -> None:
        log = restarted(1)
        with audit(write(tmp_path / "log.ndjson", log.events), select=[RULE]) as result:
            [finding] = result.findings
        completed, again = log.events[4]["eventId"], log.events[5]["eventId"]
        seen = [
            Seen("outcome", "step_completed:charge", f"{log.run_id}/{completed}/step_completed"),
            Seen("started again", "step_started:charge", f"{log.run_id}/{again}/step_started"),
        ]
        assert finding["fingerprint"] == {
            "instance": instance(RULE, log.run_id, reversed(seen)),
            "pattern": pattern(RULE, "workflow//./flows//order", seen),
        }

    def test_a_repeated_role_stands_once_in_a_pattern_and_every_record_in_an_instance(
        self, tmp_path: Path
    ) -> None:
        log = Log().add("run_completed")
        rule_file(tmp_path, "mine", "SELECT run_id, list(witness('seen', event_no)) AS witness, 'x' AS because "
                  "FROM (FROM log ORDER BY event_no DESC) GROUP BY run_id")  # fmt: skip
        [(_, own, bug)] = names(write(tmp_path / "log.ndjson", log.events), rules=[tmp_path], select=["mine"])
        seen = [
            Seen("seen", event["eventType"], f"{log.run_id}/{event['eventId']}/{event['eventType']}")
            for event in log.events
        ]
        assert own == instance("mine", log.run_id, seen)
        assert bug in {pattern("mine", "workflow//./flows//order", order) for order in (seen, seen[::-1])}

    def test_this_definition_never_changes_by_accident(self) -> None:
        """Baselines outlive versions: changing these values needs a new fingerprint version."""
        seen = [Seen("outcome", "step_completed:charge", "run/evnt_1/step_completed")]
        assert instance("rule", "run", seen) == "5f02459ae2df066dbb8e68115b887ccf"
        assert pattern("rule", "workflow", seen) == "6efda9a87bc61c7aa96af856e8fe139b"

    @pytest.mark.parametrize(
        ("sample", "rule", "own", "bug"),
        [
            (
                "stale-snapshot-write",
                "stale-snapshot-write",
                "d6b3612539123ee3417d4ef71b37a63c",
                "e3e1a15cccc20f6a62b8a0746606bf84",
            ),
            (
                "dropped-fence",
                "dropped-fence",
                "c34e34a62aafa7a9413027e81c5b1d12",
                "4d24cc9cde1576b7c5dd2ea163715e25",
            ),
        ],
    )
    def test_those_of_a_sample_log_never_change_by_accident(
        self, sample: str, rule: str, own: str, bug: str
    ) -> None:
        assert (rule, own, bug) in names(SAMPLES / f"{sample}.ndjson", select=[rule])


class TestWhereverItIsRead:
    LOGS = (restarted(1, "charge", "ship"), restarted(2, "ship"), restarted(3, workflow="other"))
    LINES = tuple(json.dumps(event) + "\n" for log in LOGS for event in log.events)

    @pytest.fixture(scope="class")
    @classmethod
    def expected(cls, tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str, str]]:
        path = tmp_path_factory.mktemp("one") / "log.ndjson"
        path.write_text("".join(cls.LINES), "utf-8")
        return names(path, select=["step"])

    @settings(max_examples=6, deadline=None)
    @given(
        lines=st.permutations(LINES),
        cut=st.integers(1, len(LINES) - 1),
        folder=st.sampled_from(["a", "z/deep", "ü %"]),
        swapped=st.booleans(),
    )
    def test_order_folder_and_files_do_not_change_a_fingerprint(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        expected: set[tuple[str, str, str]],
        lines: Sequence[str],
        cut: int,
        folder: str,
        swapped: bool,
    ) -> None:
        home = tmp_path_factory.mktemp("many") / folder
        home.mkdir(parents=True)
        paths = [home / "x.ndjson", home / "b.ndjson"]
        for path, part in zip(paths, (lines[:cut], lines[cut:]), strict=True):
            path.write_text("".join(part), "utf-8")
        assert len(expected) == 4
        assert names(*(reversed(paths) if swapped else paths), select=["step"]) == expected

    def test_what_is_read_beside_it_does_not_change_a_fingerprint(self, tmp_path: Path) -> None:
        alone = names(write(tmp_path / "one.ndjson", restarted(1).events), select=[RULE])
        other = write(tmp_path / "more.ndjson", restarted(0).events, restarted(2, workflow="other").events)
        assert alone < names(tmp_path / "one.ndjson", other, select=[RULE])


class TestANewRunOfAnOldBug:
    @pytest.mark.parametrize(("by", "state"), [("pattern", "known"), ("instance", "new")])
    def test_it_has_another_instance_and_the_same_pattern(self, tmp_path: Path, by: str, state: str) -> None:
        old, new = (write(tmp_path / f"{number}.ndjson", restarted(number).events) for number in (1, 2))
        with audit(old, select=[RULE]) as result:
            baseline = save(tmp_path / "baseline.jsonl", result, by)
        with audit(new, select=[RULE], baseline=baseline) as result:
            assert states(result) == {run_name(2): state}
            assert result.exit_code == (state == "new")

    def test_of_more_findings_than_the_ceiling_exactly_the_later_runs_are_new(self, tmp_path: Path) -> None:
        path = write(tmp_path / "log.ndjson", *(restarted(number).events for number in (4, 2, 1, 3)))
        with audit(path, select=[RULE]) as result:
            bug = result.findings[0]["fingerprint"]["pattern"]
        (tmp_path / "b").write_text(Baseline("pattern", (Entry(RULE, bug, 2, None, "x"),)).text())
        with audit(path, select=[RULE], baseline=tmp_path / "b") as result:
            assert states(result) == dict(
                zip(map(run_name, (1, 2, 3, 4)), ("known",) * 2 + ("new",) * 2, strict=True)
            )

    def test_a_graver_later_run_does_not_take_the_place_of_a_milder_known_one(self, tmp_path: Path) -> None:
        grave = f"""[{{when: "run.run_id = '{run_name(2)}'", is: error}}, {{is: info}}]"""
        rule_file(tmp_path, "mine", finds() + " WHERE event_type = 'run_completed'", severity=grave)
        path = write(tmp_path / "log.ndjson", *(Log(run_name(n)).add("run_completed").events for n in (1, 2)))
        with audit(path, rules=[tmp_path], select=["mine"]) as result:
            bugs = {finding["fingerprint"]["pattern"] for finding in result.findings}
            assert len(bugs) == 1
            assert [finding["severity"] for finding in result.findings] == ["error", "info"]
        (tmp_path / "b").write_text(Baseline("pattern", (Entry("mine", bugs.pop(), 1, None, "x"),)).text())
        with audit(path, rules=[tmp_path], select=["mine"], baseline=tmp_path / "b") as result:
            assert states(result) == {run_name(1): "known", run_name(2): "new"}


def test_an_occurrence_is_known_however_often_a_rule_tells_of_it(tmp_path: Path) -> None:
    path = write(tmp_path / "log.ndjson", Log().events)
    rule_file(tmp_path, "mine", finds(because="'one of ' || n") + ", range(2) AS twice(n)")
    with audit(path, rules=[tmp_path], select=["mine"]) as result:
        assert len(result.findings) == 4
        baseline = save(tmp_path / "b", result, "instance")
    assert len(baseline.read_text().splitlines()) == 3
    with audit(path, rules=[tmp_path], select=["mine"], baseline=baseline) as result:
        assert result.report["baseline"]["known"] == 4
        assert result.report["baseline"]["resolved"] == []
        assert result.exit_code == 0


def test_a_new_finding_stays_in_the_report_among_more_known_ones_than_are_kept(tmp_path: Path) -> None:
    many = KEPT_WITNESSES + 200
    rule_file(tmp_path, "mine", finds() + " WHERE event_type = 'step_created'")
    log = Log(run_name(1))
    for ordinal in range(many):
        log.life("step", ordinal % 1000, "created", stepName="s")
    path = write(tmp_path / "log.ndjson", log.events)
    with audit(path, rules=[tmp_path], select=["mine"]) as result:
        rows = result.con.execute("SELECT rule, pattern, NULL, because, instance FROM finding").fetchall()
        assert len({row[4] for row in rows}) == many
    baseline = tmp_path / "b"
    baseline.write_text(known_now("pattern", [row[:4] for row in rows]).text(), "utf-8")
    later = Log(run_name(2)).life("step", 0, "created", stepName="s")
    write(path, log.events, later.events)
    with audit(path, rules=[tmp_path], select=["mine"], baseline=baseline) as result:
        assert result.report["counts"]["states"] == {"new": 1, "known": many, "suppressed": 0, "folded": 0}
        assert len(result.findings) == KEPT_WITNESSES
        [new] = [finding for finding in result.findings if finding["state"] == "new"]
        assert [witness["run_id"] for witness in new["witness"]] == [run_name(2)]
        assert result.exit_code == 1

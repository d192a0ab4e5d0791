"""Rules as a configuration wants them: what is found, how grave it is, and what the audit says of that."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from logs import Log, entity, manifest, time, write
from own_rules import finds, rule_file

from auditor import audit
from auditor.check.catalogue import load
from auditor.check.tuning import Tuning, Tunings
from auditor.config import Config
from auditor.errors import UnknownRule, UsageError
from auditor.model.judgement import ExitCode, Severity, Verdict

RESTARTED = "step-restarted-after-outcome"  # its severity depends on the run
WAIT = "orphaned-wait"
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
HOSTILE = ["100%", "charge_card", "[order]", 'it\'s "quoted"', "back\\slash", "a\nb", "é", "$pattern", "{}"]
NEAR = [name.translate({ord(sign): "x" for sign in "%_[\\{$'é\n"}) for name in HOSTILE]


def restarted(run: str, workflow: str | None = "order", core: str | None = "4.8.9") -> Log:
    log = Log(run, workflow=workflow or "", core=core)
    if workflow is None:
        del log.events[0]["eventData"]["workflowName"]
    return log.life("step", 0, "created", "started", "completed", "started", stepName="s")


def overdue(run: str, workflow: str) -> Log:
    """A wait that was due 60 s before NOW."""
    return Log(run, workflow=workflow).add("wait_created", entity("wait", 0), data={"resumeAt": time(60)})


NOW = dt.datetime.fromisoformat(time(120.5))


def severities(path: Path, tunings: Tunings, rule: str = RESTARTED, **more: Any) -> dict[str, tuple[str, str]]:
    """Severity and confidence of what a rule finds, by run."""
    with audit(path, config=Config(tunings=tunings), select=[rule], **more) as result:
        return {row["run_id"]: (row["severity"], row["confidence"]) for row in result.findings}


def of_workflows(globs: dict[str, Severity]) -> Tunings:
    return Tunings(workflow={glob: Tuning({RESTARTED: word}) for glob, word in globs.items()})


class TestSeverity:
    def test_everywhere_replaces_all_cases_of_a_rule(self, tmp_path: Path) -> None:
        path = write(tmp_path / "log.ndjson", restarted("wrun_1").events, restarted("wrun_2", core=None).events)
        own = severities(path, Tunings())
        assert own["wrun_1"] == ("error", "proof")
        for word in (ERROR, INFO):
            found = severities(path, Tunings(Tuning({RESTARTED: word})))
            assert {severity for severity, _ in found.values()} == {word.value}

    def test_it_changes_the_verdict_and_the_exit_code(self, tmp_path: Path) -> None:
        path = write(tmp_path / "log.ndjson", restarted("wrun_1").events)
        with audit(path) as result:
            assert (result.exit_code, result.verdict) == (ExitCode.FOUND, Verdict.CORRUPT)
        with audit(path, config=Config(tunings=Tunings(Tuning({RESTARTED: INFO})))) as result:
            assert (result.exit_code, result.verdict) == (ExitCode.CLEAN, Verdict.SOUND)

    def test_of_a_workflow_wins_over_that_of_everywhere(self, tmp_path: Path) -> None:
        path = write(tmp_path / "log.ndjson", restarted("wrun_1", "a").events, restarted("wrun_2", "b").events)
        tunings = Tunings(Tuning({RESTARTED: WARNING}), {"b": Tuning({RESTARTED: INFO})})
        assert severities(path, tunings) == {"wrun_1": ("warning", "proof"), "wrun_2": ("info", "proof")}

    def test_elsewhere_the_cases_of_the_rule_still_hold(self, tmp_path: Path) -> None:
        path = write(tmp_path / "log.ndjson", restarted("wrun_1", "a").events, restarted("wrun_2", "b").events)
        tunings = of_workflows({"b": INFO})
        assert severities(path, tunings) == {"wrun_1": ("error", "proof"), "wrun_2": ("info", "proof")}

    @pytest.mark.parametrize("last", [INFO, WARNING])
    def test_of_two_globs_the_later_one_wins(self, tmp_path: Path, last: Severity) -> None:
        path = write(tmp_path / "log.ndjson", restarted("wrun_1", "order").events)
        first = WARNING if last is INFO else INFO
        assert severities(path, of_workflows({"order": first, "*": last})) == {"wrun_1": (last, "proof")}

    def test_a_run_without_a_workflow_matches_no_glob_and_keeps_its_certainty(self, tmp_path: Path) -> None:
        path = write(tmp_path / "log.ndjson", restarted("wrun_1", None).events)
        with audit(path) as result:
            assert result.runs[0]["workflow"] is None
        assert severities(path, of_workflows({"*": INFO})) == {"wrun_1": ("error", "proof")}

    def test_a_milder_word_for_some_workflows_does_not_make_the_rule_milder_where_a_version_is_unknown(
        self, tmp_path: Path
    ) -> None:
        log = Log("wrun_1", core=None, workflow="order")
        for seconds in (5, 6):
            log.add("wait_created", entity("wait", 0), data={"resumeAt": time(seconds)})
        path = write(tmp_path / "log.ndjson", log.events)
        rule = "duplicate-wait-created"
        own = severities(path, Tunings(), rule)
        tuned = severities(path, Tunings(workflow={"other": Tuning({rule: WARNING})}), rule)
        assert own == tuned != {}

    def test_a_glob_means_only_its_own_characters(self, tmp_path: Path) -> None:
        logs = [restarted(f"wrun_{number}", name).events for number, name in enumerate(HOSTILE + NEAR)]
        path = write(tmp_path / "log.ndjson", *logs)
        found = severities(path, of_workflows(dict.fromkeys(HOSTILE, INFO)))
        mild = {int(run.removeprefix("wrun_")) for run, (word, _) in found.items() if word == "info"}
        assert mild == set(range(len(HOSTILE)))

    @pytest.mark.parametrize(
        ("glob", "matched"),
        [
            ("a*", {"a", "ab", "abc"}),
            ("a?", {"ab"}),
            ("??b", {"é\nb"}),
            ("*b*", {"ab", "abc", "é\nb"}),
        ],
    )
    def test_a_star_is_any_text_and_a_question_mark_one_character(
        self, tmp_path: Path, glob: str, matched: set[str]
    ) -> None:
        names = ["a", "ab", "abc", "A", "é\nb"]
        logs = [restarted(f"wrun_{number}", name).events for number, name in enumerate(names)]
        found = severities(write(tmp_path / "log.ndjson", *logs), of_workflows({glob: INFO}))
        assert {names[int(run[-1])] for run, (word, _) in found.items() if word == "info"} == matched

    def test_a_finding_of_no_run_takes_the_severity_of_everywhere(self, tmp_path: Path) -> None:
        rule_file(tmp_path / "rules", "of-no-run", finds(run_id="CAST(NULL AS VARCHAR)") + " LIMIT 1")
        path = write(tmp_path / "log.ndjson", restarted("wrun_1").events)
        for everywhere, globs, word in (({"of-no-run": INFO}, {}, INFO), ({}, {"of-no-run": INFO}, ERROR)):
            tunings = Tunings(Tuning(everywhere), {"*": Tuning(globs)})
            config = Config(tunings=tunings, rules=(tmp_path / "rules",))
            with audit(path, config=config, select=["of-no-run"]) as result:
                assert [row["severity"] for row in result.findings] == [word]


class TestParameters:
    @pytest.mark.parametrize(("grace", "found"), [(60.4, True), (60.6, False)])
    def test_everywhere_replaces_the_default(self, tmp_path: Path, grace: float, found: bool) -> None:
        path = write(tmp_path / "log.ndjson", overdue("wrun_1", "w").events)
        tunings = Tunings(Tuning(params={WAIT: {"grace_seconds": grace}}))
        assert bool(severities(path, tunings, WAIT, now=NOW)) is found

    def test_of_a_workflow_wins_and_of_two_globs_the_later(self, tmp_path: Path) -> None:
        path = write(tmp_path / "log.ndjson", *(overdue(f"wrun_{name}", name).events for name in "abc"))

        def grace(seconds: float) -> Tuning:
            return Tuning(params={WAIT: {"grace_seconds": seconds}})

        tunings = Tunings(grace(900), {"[abc]": grace(0), "?": grace(0), "b": grace(901), "c": grace(902)})
        assert set(severities(path, tunings, WAIT, now=NOW)) == {"wrun_a"}
        tunings = Tunings(grace(900), {"b": grace(0), "*": grace(903), "c": grace(0)})
        assert set(severities(path, tunings, WAIT, now=NOW)) == {"wrun_c"}

    def test_a_glob_means_only_its_own_characters(self, tmp_path: Path) -> None:
        path = write(tmp_path / "log.ndjson", *(overdue(f"wrun_{name}", name).events for name in HOSTILE + NEAR))
        patient = Tuning(params={WAIT: {"grace_seconds": 900}})
        tunings = Tunings(workflow=dict.fromkeys(HOSTILE, patient))
        assert set(severities(path, tunings, WAIT, now=NOW)) == {f"wrun_{name}" for name in NEAR}

    def test_a_rule_run_by_hand_sees_them(self, tmp_path: Path) -> None:
        path = write(tmp_path / "log.ndjson", overdue("wrun_a", "a").events, overdue("wrun_b", "b").events)
        tunings = Tunings(
            Tuning(params={WAIT: {"grace_seconds": 7}}), {"b": Tuning(params={WAIT: {"grace_seconds": 900}})}
        )
        with audit(path, config=Config(tunings=tunings), select=[WAIT], now=NOW) as result:
            rows = result.con.execute("SELECT workflow, value FROM rule_param ORDER BY workflow NULLS FIRST")
            assert rows.fetchall() == [(None, 7.0), ("b", 900.0)]
            by_hand = result.con.execute(load()[WAIT].select).fetchall()
            assert [row[0] for row in by_hand] == [row["run_id"] for row in result.findings] == ["wrun_a"]

    def test_a_rule_of_a_user_has_them_too(self, tmp_path: Path) -> None:
        select = finds() + " WHERE \"position\" <= param('first-events', 'many', NULL)"
        params = "params: {many: {default: 1, meaning: how many}}"
        rule_file(tmp_path / "rules", "first-events", select, params)
        path = write(tmp_path / "log.ndjson", Log().add("run_completed").events)
        for tunings, found in ((Tunings(), 1), (Tunings(Tuning(params={"first-events": {"many": 3}})), 3)):
            with audit(path, config=Config(tunings=tunings, rules=(tmp_path / "rules",))) as result:
                (rule,) = [row for row in result.report["rules"] if row["id"] == "first-events"]
                assert (rule["outcome"], rule["findings"]) == ("found", found)


class TestWhatThereIsNot:
    @pytest.mark.parametrize(
        "tunings",
        [
            Tunings(Tuning({"orphan-wait": INFO})),
            Tunings(Tuning(params={"orphan-wait": {}})),
            Tunings(workflow={"w": Tuning({"orphan-wait": INFO})}),
            Tunings(workflow={"w": Tuning(params={"orphan-wait": {}})}),
        ],
        ids=["severity", "params", "severity of a workflow", "params of a workflow"],
    )
    def test_an_unknown_rule_is_an_error_with_near_ones(self, tunings: Tunings) -> None:
        with pytest.raises(UnknownRule, match="'orphan-wait'; did you mean orphaned-wait"):
            tunings.apply(load())

    @pytest.mark.parametrize("glob", [None, "w"])
    @pytest.mark.parametrize(
        ("rule", "name", "hint"),
        [
            (WAIT, "grace_second", "is it grace_seconds?"),
            (WAIT, "zzz", "is it grace_seconds?"),
            (RESTARTED, "grace_seconds", "it has none."),
        ],
    )
    def test_an_unknown_parameter_is_an_error_with_those_of_the_rule(
        self, glob: str | None, rule: str, name: str, hint: str
    ) -> None:
        tuning = Tuning(params={rule: {name: 1}})
        tunings = Tunings(workflow={glob: tuning}) if glob else Tunings(tuning)
        with pytest.raises(UsageError) as error:
            tunings.apply(load())
        assert str(error.value) == f"the rule {rule} has no parameter {name!r}; {hint}"

    def test_a_group_is_no_rule_here(self) -> None:
        with pytest.raises(UnknownRule):
            Tunings(Tuning({"fence": INFO})).apply(load())


class TestWhatIsSaid:
    def test_every_override_is_a_sentence_in_the_report(self, tmp_path: Path) -> None:
        tunings = Tunings(
            Tuning({RESTARTED: INFO}, {WAIT: {"grace_seconds": 1234567.25}}),
            {"w*": Tuning({WAIT: WARNING}, {WAIT: {"grace_seconds": 90}})},
        )
        path = write(tmp_path / "log.ndjson", manifest("fence"), overdue("wrun_1", "w").events)
        with audit(path, config=Config(tunings=tunings)) as result:
            assert result.report["audit"]["overrides"] == [
                "step-restarted-after-outcome: severity info",
                "orphaned-wait: grace_seconds 1234567.25",
                "orphaned-wait: severity warning for workflows w*",
                "orphaned-wait: grace_seconds 90 for workflows w*",
            ]

    def test_a_glob_that_matches_no_workflow_is_named(self, tmp_path: Path) -> None:
        globs = dict.fromkeys(["w*", "W", "w", "100%", ""], Tuning({WAIT: WARNING}))
        path = write(tmp_path / "log.ndjson", overdue("wrun_1", "w").events)
        with audit(path, config=Config(tunings=Tunings(workflow=globs))) as result:
            assert result.report["audit"]["unmatched_workflows"] == ["W", "100%", ""]

    def test_rules_that_are_not_tuned_stay_as_they_are(self) -> None:
        rules = load()
        tuned = Tunings(Tuning({RESTARTED: INFO})).apply(rules)
        assert {id for id in rules if rules[id] != tuned[id]} == {RESTARTED}
        assert tuned[RESTARTED].version != rules[RESTARTED].version

    def test_audits_under_other_parameters_are_other_audits(self, tmp_path: Path) -> None:
        path = write(tmp_path / "log.ndjson", overdue("wrun_1", "w").events)
        ids = set()
        for seconds in (1_000_000, 1_000_001):
            tunings = Tunings(workflow={"w": Tuning(params={WAIT: {"grace_seconds": seconds}})})
            with audit(path, config=Config(tunings=tunings)) as result:
                ids.add(result.report["audit"]["id"])
        assert len(ids) == 2

"""A suppression is a decision: it names what it is for, says why, and ends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from known_bugs import RULE, restarted, run_name
from logs import Log, manifest, write

from auditor import Audit, audit
from auditor.check.baseline import Baseline, Entry
from auditor.check.decisions import Suppression, like
from auditor.config import Config
from auditor.pipeline import run_audit

TODAY = dt.date(2026, 11, 23)
FOR_ALL = Suppression(RULE, "we refund", workflow="*")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one workflow and one of another."""
    logs = [restarted(1), restarted(2, "ship"), restarted(3, workflow="100%_a\\b")]
    return write(tmp_path_factory.mktemp("log") / "log.ndjson", *(log.events for log in logs))


@pytest.fixture(scope="module")
def found(log: Path) -> dict[str, dict[str, Any]]:
    with audit(log, select=[RULE]) as result:
        return {finding["run_id"]: finding for finding in result.findings}


def suppressed(log: Path, *decided: Suppression, **options: Any) -> list[int]:
    """The numbers of the runs whose finding is suppressed."""
    with audit(log, select=[RULE], suppressions=decided, **options) as result:
        return [number for number in (1, 2, 3) if states(result)[run_name(number)] == "suppressed"]


def states(result: Audit) -> dict[str, str]:
    return {finding["run_id"]: finding["state"] for finding in result.findings}


class TestMatchers:
    @pytest.mark.parametrize(
        ("matcher", "runs"),
        [
            (lambda _: {"run": run_name(2)}, [2]),
            (lambda _: {"run": run_name(2)[:-1]}, []),
            (lambda _: {"workflow": "workflow//*//order"}, [1, 2]),
            (lambda _: {"workflow": "workflow//./flows//orde?"}, [1, 2]),
            (lambda _: {"workflow": "WORKFLOW*"}, []),
            (lambda _: {"workflow": "order"}, []),
            (lambda _: {"workflow": "100%_a\\b"}, [3]),
            (lambda _: {"workflow": "%"}, []),
            (lambda f: {"event": f[run_name(1)]["witness"][0]["event_id"], "run": run_name(1)}, [1]),
            (lambda f: {"event": f[run_name(1)]["witness"][1]["event_id"]}, [1, 2, 3]),
            (lambda _: {"event": "evnt_nowhere"}, []),
            (lambda f: {"instance": f[run_name(3)]["fingerprint"]["instance"]}, [3]),
            (lambda f: {"pattern": f[run_name(1)]["fingerprint"]["pattern"]}, [1]),
            (lambda f: {"instance": f[run_name(1)]["fingerprint"]["pattern"]}, []),
            (lambda f: {"pattern": f[run_name(1)]["fingerprint"]["instance"]}, []),
        ],
    )
    def test_a_matcher_takes_what_is_so_and_nothing_else(
        self,
        log: Path,
        found: dict[str, dict[str, Any]],
        matcher: Callable[[dict[str, dict[str, Any]]], dict[str, str]],
        runs: list[int],
    ) -> None:
        assert suppressed(log, Suppression(RULE, "so", **matcher(found))) == runs

    def test_all_matchers_of_one_must_match(self, log: Path, found: dict[str, dict[str, Any]]) -> None:
        first = found[run_name(1)]
        everything = Suppression(
            RULE,
            "so",
            run=run_name(1),
            workflow="*order",
            event=first["witness"][0]["event_id"],
            instance=first["fingerprint"]["instance"],
            pattern=first["fingerprint"]["pattern"],
        )
        assert suppressed(log, everything) == [1]
        for wrong in (
            {"run": run_name(2)},
            {"workflow": "x"},
            {"event": "x"},
            {"instance": "x"},
            {"pattern": "x"},
        ):
            assert suppressed(log, replace(everything, **wrong)) == []

    def test_one_is_for_its_rule_alone(self, log: Path) -> None:
        assert suppressed(log, replace(FOR_ALL, rule="stale-snapshot-write")) == []

    def test_a_glob_is_text_but_for_its_star_and_question_mark(self) -> None:
        assert like(r"50%_a\*?") == r"50\%\_a\\%_"


class TestWhatBecameOfIt:
    def states(self, log: Path, *decided: Suppression) -> list[tuple[str, int]]:
        with audit(log, select=[RULE], suppressions=decided) as result:
            return [(row["state"], row["findings"]) for row in result.report["suppressions"]]

    def test_one_that_matches_nothing_is_unused(self, log: Path) -> None:
        assert self.states(log, FOR_ALL, Suppression(RULE, "x", run="no such run")) == [("used", 3), ("unused", 0)]

    def test_of_several_that_match_the_first_counts_and_none_is_unused(self, log: Path) -> None:
        one = Suppression(RULE, "x", run=run_name(1))
        assert self.states(log, one, FOR_ALL, one) == [("used", 1), ("used", 2), ("used", 0)]

    @pytest.mark.parametrize(("days", "state", "code"), [(-1, "expired", 1), (0, "used", 0), (1, "used", 0)])
    def test_it_holds_on_its_last_day_and_no_longer(
        self, log: Path, tmp_path: Path, days: int, state: str, code: int
    ) -> None:
        decided = replace(FOR_ALL, expires=TODAY + dt.timedelta(days))
        config = Config(select=(RULE,), suppressions=(decided,))
        run_audit([str(log)], tmp_path / "a.duckdb", config, today=TODAY)
        with Audit.open(tmp_path / "a.duckdb") as result:
            assert [row["state"] for row in result.report["suppressions"]] == [state]
            assert result.exit_code == code

    def test_an_expired_one_leaves_its_findings_to_the_next(self, log: Path) -> None:
        over = replace(FOR_ALL, expires=dt.date(2000, 1, 1))
        assert self.states(log, over, FOR_ALL) == [("expired", 0), ("used", 3)]


class TestConsequences:
    @pytest.fixture
    def failed(self, tmp_path: Path) -> Path:
        """The restart makes the runtime fail the run: one root, one consequence."""
        log = restarted(1).add("run_failed", data={"errorCode": "CORRUPTED_EVENT_LOG", "error": {"message": "x"}})
        return write(tmp_path / "log.ndjson", log.events)

    def test_those_of_a_suppressed_root_stay_folded_and_do_not_count(self, failed: Path) -> None:
        with audit(failed, suppressions=[FOR_ALL]) as result:
            assert {f["rule"]: f["state"] for f in result.findings if f["severity"] == "error"} == {
                RULE: "suppressed",
                "runtime-corruption-verdict": "folded",
            }
            assert result.exit_code == 0

    def test_a_suppression_of_a_folded_finding_is_used_and_changes_nothing(self, failed: Path) -> None:
        with audit(failed, suppressions=[replace(FOR_ALL, rule="runtime-corruption-verdict")]) as result:
            assert [(row["state"], row["findings"]) for row in result.report["suppressions"]] == [("used", 0)]
            assert result.report["counts"]["states"]["suppressed"] == 0
            assert result.exit_code == 1


def test_the_exit_code_follows_a_suppression_and_the_verdict_does_not(log: Path) -> None:
    with audit(log, select=[RULE]) as before, audit(log, select=[RULE], suppressions=[FOR_ALL]) as after:
        assert (before.exit_code, after.exit_code) == (1, 0)
        assert before.verdict == after.verdict == "corrupt"
        assert [run["log_verdict"] for run in after.runs] == ["corrupt"] * 3
        assert after.report["counts"]["findings"] == before.report["counts"]["findings"]


def test_a_suppression_does_not_hide_what_could_not_be_judged(tmp_path: Path) -> None:
    path = write(tmp_path / "log.ndjson", restarted(1).events)
    with path.open("a") as file:
        file.write("{oops\n")
    with audit(path, select=[RULE], suppressions=[FOR_ALL]) as result:
        assert result.exit_code == 3


def test_a_suppressed_finding_does_not_use_up_what_the_baseline_knows(tmp_path: Path) -> None:
    path = write(tmp_path / "log.ndjson", restarted(1).events, restarted(2).events, restarted(3).events)
    with audit(path, select=[RULE]) as result:
        bug = result.findings[0]["fingerprint"]["pattern"]
    baseline = tmp_path / "b"
    baseline.write_text(Baseline("pattern", (Entry(RULE, bug, 1, None, "x"),)).text())
    first = Suppression(RULE, "x", run=run_name(1))
    with audit(path, select=[RULE], suppressions=[first], baseline=baseline) as result:
        assert list(states(result).values()) == ["suppressed", "known", "new"]


def test_a_finding_of_the_log_as_a_whole_is_about_the_workflows_of_its_witnesses(tmp_path: Path) -> None:
    """Two runs of two workflows lost their fences: what is said of both is suppressed for both, or not at all."""
    logs = [Log(run_name(number), workflow=f"a//{name}") for number, name in ((1, "pay"), (2, "ship"))]
    for log in logs:
        log.add("run_completed", fence=None)
    path = write(tmp_path / "log.ndjson", manifest("fence"), *(log.events for log in logs))

    def state(workflow: str) -> str:
        decided = [Suppression("dropped-fence", "we know", workflow=workflow)]
        with audit(path, select=["dropped-fence"], suppressions=decided) as result:
            return states(result)[None]

    assert [state(glob) for glob in ("a//*", "a//pay", "b//*")] == ["suppressed", "new", "new"]

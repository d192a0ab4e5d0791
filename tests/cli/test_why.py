"""`auditor check --why` says of a finding what was decided about it, and what was tried."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from known_bugs import RULE, restarted, run_name
from logs import Log, write
from own_rules import finds, rule_file

from auditor import UsageError, audit
from auditor.check.baseline import Baseline, Entry
from auditor.check.decisions import KEPT_WITNESSES, Suppression
from auditor.report.why import render

OVER = "2000-01-01"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The restart of the first run makes the runtime fail it."""
    first = restarted(1).add("run_failed", data={"errorCode": "CORRUPTED_EVENT_LOG", "error": {"message": "x"}})
    return write(tmp_path / "log.ndjson", first.events, restarted(2).events)


@pytest.fixture
def bugs(log: Path) -> dict[tuple[str, str | None], dict[str, str]]:
    """Fingerprints by rule and run."""
    with audit(log, select=["step", "replay", "run", "log"]) as result:
        return {(f["rule"], f["run_id"]): f["fingerprint"] for f in result.findings}


def joined(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def why(auditor: Callable[..., object], log: Path) -> Callable[..., str]:
    def ask(fingerprint: str, *more: object) -> str:
        done = auditor("check", log, "--why", fingerprint, *more)
        assert done.stderr == ""  # type: ignore[attr-defined]
        return joined(done.stdout)  # type: ignore[attr-defined]

    return ask


def test_without_decisions_it_counts(why, bugs) -> None:
    said = why(bugs[RULE, run_name(2)]["instance"])
    assert said.startswith(f"NEW error {RULE} ")
    assert "it counts: there is no baseline" in said
    assert "no suppression names this rule" in said


def test_the_first_characters_of_a_fingerprint_do(why, bugs) -> None:
    name = bugs[RULE, run_name(2)]["instance"]
    assert why(name[:8], "--select", RULE) == why(name, "--select", RULE)


def test_a_pattern_names_every_finding_of_the_bug(why, bugs) -> None:
    said = why(bugs[RULE, run_name(2)]["pattern"], "--select", RULE)
    assert said.count("NEW error") == 2
    assert bugs[RULE, run_name(1)]["instance"] in said


def test_a_consequence_names_its_root(why, bugs) -> None:
    said = why(bugs["runtime-corruption-verdict", run_name(1)]["instance"])
    root = bugs[RULE, run_name(1)]["instance"]
    assert f"it does not count: it is a consequence of {RULE} {root}" in said


def test_the_exit_code_is_that_of_the_audit(auditor, log, bugs) -> None:
    name = bugs[RULE, run_name(2)]["instance"]
    assert auditor("check", log, "--why", name).returncode == 1
    assert auditor("check", log, "--why", name, "--fail-on", "never").returncode == 0


class TestBaselines:
    def baseline(self, path: Path, by: str, fingerprint: str, count: int) -> Path:
        path.write_text(Baseline(by, (Entry(RULE, fingerprint, count, None, "x"),)).text())
        return path

    def test_of_a_known_bug_the_first_are_known_and_one_more_counts(self, why, bugs, tmp_path) -> None:
        bug = bugs[RULE, run_name(1)]["pattern"]
        path = self.baseline(tmp_path / "b", "pattern", bug, 1)
        said = why(bug, "--select", RULE, "--baseline", "b")
        assert f"it does not count: it is in the baseline {path.name}, by pattern" in said
        assert "it counts: the baseline b knows 1 of this pattern, and this is one more" in said

    def test_what_it_does_not_know_counts(self, why, bugs, tmp_path) -> None:
        self.baseline(tmp_path / "b", "instance", "0" * 32, 1)
        said = why(bugs[RULE, run_name(2)]["instance"], "--baseline", "b")
        assert "it counts: its instance is not in the baseline b" in said


class TestSuppressions:
    @pytest.mark.parametrize(
        ("matchers", "said"),
        [
            (f'run = "{run_name(2)}"', "it does not count: suppressed by ops, because: we refund"),
            (f'run = "{run_name(1)}"', f"#1 (we refund) is for the run {run_name(1)}, not {run_name(2)}"),
            ('workflow = "other*"', "#1 (we refund) is for workflows other*, not workflow//./flows//order"),
            ('event = "evnt_1"', "#1 (we refund) is for the event evnt_1; its witnesses are evnt_"),
            (f'instance = "{"0" * 32}"', f"#1 (we refund) is for the instance {'0' * 32}, not "),
            (f'pattern = "{"0" * 32}"', f"#1 (we refund) is for the pattern {'0' * 32}, not "),
            (f'workflow = "*"\nexpires = "{OVER}"', f"#1 (we refund) expired after {OVER}"),
            ('workflow = "*"\nexpires = "2999-01-01"', "suppressed by ops until 2999-01-01, because: we refund"),
        ],
    )
    def test_it_says_which_one_matched_or_why_it_did_not(self, why, bugs, tmp_path, matchers, said) -> None:
        decision = f'[[suppressions]]\nrule = "{RULE}"\nreason = "we refund"\nby = "ops"\n{matchers}\n'
        (tmp_path / "auditor.toml").write_text(decision)
        assert said in why(bugs[RULE, run_name(2)]["instance"])

    def test_each_that_was_tried_has_its_own_number(self, log, bugs) -> None:
        same = Suppression(RULE, "twice", run="elsewhere")
        other = Suppression("stale-snapshot-write", "other rule", run="elsewhere")
        with audit(log, suppressions=[other, same, same]) as result:
            said = joined(render(result, bugs[RULE, run_name(2)]["instance"]))
        assert "suppression tried: #2 (twice)" in said
        assert "suppression tried: #3 (twice)" in said
        assert "other rule" not in said


class TestWhatIsNoFingerprint:
    @pytest.mark.parametrize("name", ["", "abc", "0123456", "ABCDEF0123", "01234567%", "é" * 8, RULE])
    def test_it_is_misuse(self, auditor, log, name) -> None:
        done = auditor("check", log, "--why", name)
        assert (done.returncode, done.stdout) == (2, "")
        assert "--why takes 8 or more characters of a fingerprint" in done.stderr

    def test_one_that_nothing_has_is_misuse(self, auditor, log) -> None:
        done = auditor("check", log, "--why", "0" * 32)
        assert (done.returncode, done.stdout) == (2, "")
        assert "no finding has a fingerprint that begins with 00000000" in done.stderr


def test_hostile_words_of_a_log_do_not_reach_the_terminal(auditor, tmp_path) -> None:
    hostile = "\x1b[2J\u202e\n::error::##[error]"
    log = write(tmp_path / "hostile.ndjson", restarted(1, workflow=hostile).events)
    with audit(log, select=[RULE]) as result:
        name = result.findings[0]["fingerprint"]["instance"]
    decision = f'[[suppressions]]\nrule = "{RULE}"\nreason = "\\u001b[2J"\nworkflow = "other"\n'
    (tmp_path / "auditor.toml").write_text(decision)
    said = auditor("check", log, "--why", name).stdout
    assert "is for workflows other, not" in joined(said)
    assert not {"\x1b", "\u202e"} & set(said)
    assert "##[" not in said
    assert not any(line.lstrip().startswith("::") for line in said.splitlines())


class TestMoreFindingsThanAreKept:
    def test_of_one_fingerprint_ten_are_shown(self, log, tmp_path) -> None:
        rule_file(tmp_path, "mine", finds(because="'no. ' || n") + ", range(13) AS more(n) WHERE position = 1")
        with audit(log, rules=[tmp_path], select=["mine"]) as result:
            said = render(result, result.findings[0]["fingerprint"]["instance"])
        assert said.count("NEW  error  mine") == 10
        assert said.endswith("... and 3 more findings with this fingerprint\n")

    def test_one_that_is_only_counted_is_not_denied(self, tmp_path) -> None:
        rule_file(tmp_path, "mine", finds() + " WHERE event_type = 'hook_received'")
        log = Log(run_name(1))
        for _ in range(KEPT_WITNESSES + 1):
            log.add("hook_received", "hook_1")
        path = write(tmp_path / "many.ndjson", log.events)
        with audit(path, rules=[tmp_path], select=["mine"]) as result:
            [(name,)] = result.con.execute("SELECT instance FROM finding WHERE NOT kept").fetchall()
            with pytest.raises(UsageError, match="of a finding of mine that is only counted"):
                render(result, name)

    def test_the_root_of_a_consequence_may_be_one_of_them(self, tmp_path) -> None:
        """Known findings make room for new ones; what follows from them is kept all the same."""
        steps = [f"step {number}" for number in range(KEPT_WITNESSES)]
        first = restarted(1).add(
            "run_failed", data={"errorCode": "CORRUPTED_EVENT_LOG", "error": {"message": "x"}}
        )
        path = write(tmp_path / "many.ndjson", first.events, restarted(2, *steps).events)
        decided = Suppression(RULE, "x", run=run_name(1))
        chosen = [RULE, "runtime-corruption-verdict"]
        with audit(path, select=chosen, suppressions=[decided]) as result:
            [folded] = [finding for finding in result.findings if finding["state"] == "folded"]
            assert folded["folded_under"] not in [f["fingerprint"]["instance"] for f in result.findings]
            assert f"a consequence of {RULE} {folded['folded_under']}" in joined(
                render(result, folded["fingerprint"]["instance"])
            )

"""The fixture `audit_log`, in the test suite of a user."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import NamedTuple

import pytest
from logs import Log, manifest, write
from lxml import etree

SUITE = """
def test_sound(audit_log):
    audit_log("sound.ndjson").assert_sound()

def test_corrupt(audit_log):
    audit_log("corrupt log.ndjson").assert_sound()

def test_unreadable(audit_log):
    audit_log("unreadable.ndjson").assert_sound()

def test_hostile(audit_log):
    audit_log("hostile.ndjson").assert_sound()

def test_tolerant(audit_log):
    audit_log("corrupt log.ndjson", fail_on=None).assert_sound()

def test_options(audit_log):
    options = dict(fail_on=None, select=["wait"], max_rejects=0, fields={"a b": "runId"})
    audit_log("unreadable.ndjson", **options).assert_sound()

def test_configured(audit_log):
    audit_log("configured/log.ndjson").assert_sound()

def test_configured_and_stricter(audit_log):
    audit_log("configured/log.ndjson", fail_on="error").assert_sound()

def test_configured_by_another(audit_log):
    audit_log("configured/log.ndjson", config="strict.toml").assert_sound()

def test_configured_by_a_variable(audit_log, monkeypatch):
    monkeypatch.setenv("AUDITOR_CONFIG", "configured/auditor.toml")
    audit_log("corrupt log.ndjson").assert_sound()

def test_unconfigured(audit_log):
    audit_log("configured/log.ndjson", config=None).assert_sound()

def test_misconfigured(audit_log):
    audit_log("misconfigured/log.ndjson").assert_sound()

def test_demanded(audit_log):
    log = audit_log("corrupt log.ndjson")
    rule = log.findings[0]["rule"]
    assert log.assert_finds(rule)[0] == log.findings[0]
    assert log.verdict == "corrupt" == log.report["verdict"]

def test_missing(audit_log):
    audit_log("sound.ndjson").assert_finds("dropped-fence")

def test_misspelt(audit_log):
    audit_log("sound.ndjson").assert_finds("droped-fence")
"""


class Outcome(NamedTuple):
    """What became of one test: its message, and all that pytest printed; both are empty if it passed."""

    message: str
    output: str


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """The user's suite is run once, in a process of its own: the database cannot be loaded twice in one."""
    folder = tmp_path_factory.mktemp("user")
    sound = Log().life("step", 0, "created", "started", "completed", stepName="charge").add("run_completed")
    write(folder / "sound.ndjson", manifest(), sound.events)
    for name, run_id in (("corrupt log", "wrun_1"), ("hostile", "wrun_\x1b[31m\n::error::\u202e")):
        log = Log(run_id).life("wait", 0, "created", "completed", "created", resumeAt="2026-11-22T12:01:00.000Z")
        write(folder / f"{name}.ndjson", manifest(), log.events)
    for name, configuration in (("configured", 'fail_on = "never"'), ("misconfigured", 'fail-on = "never"')):
        (folder / name).mkdir()
        shutil.copy(folder / "corrupt log.ndjson", folder / name / "log.ndjson")
        (folder / name / "auditor.toml").write_text(f"{configuration}\n")
    (folder / "strict.toml").write_text('fail_on = "error"\n')
    (folder / "unreadable.ndjson").write_text("not a log\n")
    (folder / "test_logs.py").write_text(SUITE)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junitxml=out.xml"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )
    found = {}
    for case in etree.parse(str(folder / "out.xml")).iter("testcase"):
        failure = case.find("failure")
        output = "" if failure is None else failure.text
        message = "\n".join(line[8:] for line in output.splitlines() if line.startswith("E "))
        found[case.get("name").removeprefix("test_")] = Outcome(message, output)
    return found


def test_a_sound_log_passes(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["sound"] == Outcome("", "")


def test_a_corrupt_log_fails_with_its_proof(outcomes: dict[str, Outcome]) -> None:
    message = outcomes["corrupt"].message
    first = message.splitlines()[0]
    assert first.startswith("AssertionError: corrupt event log: ")
    assert len(first) <= 120
    assert "\nexit code 1: " in message
    assert "\n  > #5 " in message
    assert "log.ndjson:5" in message
    assert "see it again: auditor check 'corrupt log.ndjson'" in message
    assert "what it means: auditor explain" in message


def test_a_failure_points_at_the_test_and_not_into_the_plugin(outcomes: dict[str, Outcome]) -> None:
    output = outcomes["corrupt"].output
    assert 'audit_log("corrupt log.ndjson").assert_sound()' in output
    assert "testing.py" not in output


def test_a_log_that_cannot_be_judged_is_not_sound(outcomes: dict[str, Outcome]) -> None:
    message = outcomes["unreadable"].message
    assert message.startswith("AssertionError: cannot tell event log: ")
    assert "NOT JUDGED" in message


def test_options_are_those_of_an_audit_and_of_the_command_that_shows_it_again(
    outcomes: dict[str, Outcome],
) -> None:
    assert outcomes["tolerant"] == Outcome("", "")
    again = "auditor check unreadable.ndjson --fail-on never --select wait --max-rejects 0 --map 'a b=runId'"
    assert again in outcomes["options"].message


def test_it_obeys_the_configuration_that_check_obeys(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["configured"] == Outcome("", "")
    assert outcomes["configured_by_a_variable"] == Outcome("", "")
    assert (
        "UsageError: misconfigured/auditor.toml:1: there is no setting fail-on"
        in outcomes["misconfigured"].message
    )


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("configured_and_stricter", "--fail-on error"),
        ("configured_by_another", "--config strict.toml"),
        ("unconfigured", "--no-config"),
    ],
)
def test_what_a_test_says_wins_over_the_configuration(outcomes: dict[str, Outcome], name: str, flags: str) -> None:
    assert "exit code 1" in outcomes[name].message
    assert f"see it again: auditor check configured/log.ndjson {flags}\n" in outcomes[name].message


def test_a_test_may_demand_a_finding(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["demanded"] == Outcome("", "")


def test_a_finding_that_is_missing_says_what_became_of_its_rule(outcomes: dict[str, Outcome]) -> None:
    said = "AssertionError: dropped-fence found nothing: not evaluated (the log does not record fences)\n"
    assert outcomes["missing"].message.startswith(said)


def test_a_rule_that_does_not_exist_is_a_mistake_in_the_test(outcomes: dict[str, Outcome]) -> None:
    assert "UnknownRule" in outcomes["misspelt"].message
    assert "did you mean dropped-fence" in outcomes["misspelt"].message


def test_hostile_words_of_a_log_reach_no_terminal(outcomes: dict[str, Outcome]) -> None:
    message = outcomes["hostile"].message
    assert "wrun_\ufffd[31m" in message
    # `#x1B` is how JUnit writes what XML cannot hold.
    assert not [sign for sign in ("\x1b", "#x1B", "\u202e", "\n::error::") if sign in message]


def test_a_suite_that_does_not_use_it_does_not_pay_for_it() -> None:
    loaded = "import auditor.pytest_plugin, sys; print({'click', 'duckdb', 'pyarrow'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"

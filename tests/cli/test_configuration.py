"""The configuration as a user meets it: which file holds, what each key does, what the command line overrules."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from logs import Log, entity, time, write
from own_rules import finds, rule_file

from auditor import ExitCode, schemas
from auditor.config import VARIABLE

RESTARTED = "step-restarted-after-outcome"
ONE = ["--select", RESTARTED]
"""Only one rule: an audit by all of them takes its time."""

SCHEMA = json.loads(schemas.text("report"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of its own, without what the shell of a developer says."""
    (tmp_path / ".git").mkdir()
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path


@pytest.fixture
def corrupt(tmp_path: Path) -> Path:
    """A run with one error."""
    log = Log(workflow="order").life("step", 0, "created", "started", "completed", "started", stepName="s")
    return write(tmp_path / "log.ndjson", log.events)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return write(tmp_path / "sound.ndjson", Log("wrun_" + "2" * 26).add("run_completed").events)


def configured(folder: Path, text: str, name: str = "auditor.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def report(done: Any) -> dict[str, Any]:
    """The JSON report of a command, which is as its schema says whatever the configuration."""
    said: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(said, SCHEMA, cls=jsonschema.Draft202012Validator)
    return said


class TestWhichFileHolds:
    def test_the_one_beside_the_logs_is_found_and_the_report_names_it(self, auditor, corrupt, here) -> None:
        path = configured(here, f'[severity]\n{RESTARTED} = "info"\n')
        done = auditor("check", corrupt, "--format", "json", *ONE)
        said = report(done)
        assert done.returncode == said["exit_code"] == ExitCode.CLEAN
        assert Path(said["audit"]["config"]).resolve() == path
        assert said["audit"]["overrides"] == [f"{RESTARTED}: severity info"]
        assert [row["severity"] for row in said["findings"] if row["rule"] == RESTARTED] == ["info"]

    def test_without_one_the_report_says_so(self, auditor, sound) -> None:
        said = report(auditor("check", sound, "--format", "json", *ONE))
        assert (said["audit"]["config"], said["audit"]["overrides"]) == (None, [])

    def test_a_named_one_wins_over_the_variable_and_that_over_the_closest(
        self, auditor, sound, here, monkeypatch
    ) -> None:
        def held(*args: object) -> str | None:
            config: str | None = report(auditor("check", sound, "--format", "json", *ONE, *args))["audit"][
                "config"
            ]
            return config

        configured(here, "")
        named, by_variable = configured(here / "a", "", "named.toml"), configured(here / "b", "")
        monkeypatch.setenv(VARIABLE, str(by_variable))
        assert held() == str(by_variable)
        assert held("--config", named) == str(named)
        assert held("--no-config") is None
        monkeypatch.setenv(VARIABLE, "")
        assert held() == "auditor.toml"

    def test_to_name_one_and_to_want_none_is_an_error(self, auditor, sound, here) -> None:
        path = configured(here, "")
        done = auditor("check", sound, "--config", path, "--no-config")
        assert done.returncode == ExitCode.ERROR
        assert done.stderr == "auditor: --config and --no-config exclude each other\n"

    @pytest.mark.parametrize("by", ["--config", "the variable"])
    def test_a_named_one_that_is_not_there_is_an_error(self, auditor, sound, monkeypatch, by) -> None:
        if by == "the variable":
            monkeypatch.setenv(VARIABLE, "missing.toml")
        done = auditor("check", sound, *(["--config", "missing.toml"] if by == "--config" else []))
        assert done.returncode == ExitCode.ERROR
        assert (
            done.stderr == "auditor: missing.toml: the configuration cannot be read: No such file or directory\n"
        )

    def test_logs_under_two_of_them_are_one_error(self, auditor, sound, here) -> None:
        logs = []
        for name in "ab":
            configured(here / name, "")
            logs.append(here / name / "log.ndjson")
            logs[-1].write_bytes(sound.read_bytes())
        done = auditor("check", *logs)
        assert done.returncode == ExitCode.ERROR
        assert len(done.stderr.splitlines()) == 1
        assert "the inputs are under different configurations" in done.stderr
        assert auditor("check", *logs, "--no-config", *ONE).returncode == ExitCode.CLEAN

    def test_stdin_is_under_that_of_the_current_folder(self, auditor, sound, here, monkeypatch) -> None:
        path = configured(here, "")
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sound.read_bytes())))
        assert report(auditor("check", "-", "--format", "json", *ONE))["audit"]["config"] == path.name


class TestEveryKeyHasAnEffect:
    """Each on the exit code alone, as CI sees it."""

    @staticmethod
    def code(auditor: Any, log: Path, text: str, *args: object) -> int:
        configured(log.parent, text)
        done = auditor("check", log, *args)
        assert done.stderr == ""
        return int(done.returncode)

    def test_extend(self, auditor, corrupt, here) -> None:
        configured(here, f'[severity]\n{RESTARTED} = "info"\n', "base.toml")
        assert self.code(auditor, corrupt, 'extend = "base.toml"', *ONE) == ExitCode.CLEAN

    @pytest.mark.parametrize(("word", "code"), [("never", ExitCode.CLEAN), ("error", ExitCode.FOUND)])
    def test_fail_on(self, auditor, corrupt, word, code) -> None:
        assert self.code(auditor, corrupt, f'fail_on = "{word}"', *ONE) == code

    @pytest.mark.parametrize(("most", "code"), [(1, ExitCode.CANNOT_TELL), (2, ExitCode.CLEAN)])
    def test_max_rejects(self, auditor, corrupt, most, code) -> None:
        text = f'fail_on = "never"\nmax_rejects = {most}'
        assert self.code(auditor, with_rejects(corrupt), text, *ONE) == code

    def test_require(self, auditor, sound) -> None:
        assert self.code(auditor, sound, 'require = ["fences"]') == ExitCode.CANNOT_TELL

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ('select = ["wait"]', ExitCode.CLEAN),
            (f'select = ["{RESTARTED}"]', ExitCode.FOUND),
            ("select = []", ExitCode.FOUND),
            ('ignore = ["step"]', ExitCode.CLEAN),
            (f'select = ["step"]\nignore = ["{RESTARTED}"]', ExitCode.CLEAN),
        ],
    )
    def test_select_and_ignore(self, auditor, corrupt, text, code) -> None:
        assert self.code(auditor, corrupt, text) == code

    def test_rules(self, auditor, sound, here) -> None:
        rule_file(here / "rules", "every-event", finds())
        assert self.code(auditor, sound, 'rules = ["rules"]\nselect = ["own"]') == ExitCode.FOUND

    def test_rule_seconds(self, auditor, sound, here) -> None:
        endless = "SELECT count(*) FROM range(100000000000) AS a(i) WHERE hash(i) = 1"
        rule_file(here / "rules", "endless", f"{finds()} WHERE ({endless}) > 0")
        text = 'rules = ["rules"]\nselect = ["endless"]\nrule_seconds = 0.2'
        assert self.code(auditor, sound, text) == ExitCode.CANNOT_TELL

    @pytest.mark.parametrize(("seconds", "code"), [(119, ExitCode.CLEAN), (121, ExitCode.FOUND)])
    def test_now(self, auditor, here, seconds, code) -> None:
        assert self.code(auditor, overdue(here), f'select = ["wait"]\nnow = {time(seconds)}') == code

    def test_baseline(self, auditor, corrupt) -> None:
        written = auditor("baseline", "write", corrupt, "--baseline", "known.jsonl", *ONE)
        assert written.returncode == ExitCode.CLEAN
        assert self.code(auditor, corrupt, 'baseline = "known.jsonl"', *ONE) == ExitCode.CLEAN

    @pytest.mark.parametrize(("glob", "code"), [("ord*", ExitCode.CLEAN), ("other", ExitCode.FOUND)])
    def test_severity_of_a_workflow(self, auditor, corrupt, glob, code) -> None:
        assert self.code(auditor, corrupt, f'[workflow."{glob}".severity]\n{RESTARTED} = "info"', *ONE) == code

    @pytest.mark.parametrize("table", ["params", 'workflow."w?".params'])
    def test_params(self, auditor, here, table) -> None:
        log = overdue(here)
        text = f'select = ["orphaned-wait"]\n[{table}.orphaned-wait]\ngrace_seconds = 100\n'
        assert self.code(auditor, log, text, "--now", time(121)) == ExitCode.CLEAN
        assert self.code(auditor, log, text, "--now", time(161)) == ExitCode.FOUND

    @pytest.mark.parametrize(
        ("matcher", "code"),
        [
            ('workflow = "ord*"', ExitCode.CLEAN),
            ('workflow = "ord"', ExitCode.FOUND),
            ('workflow = "order"\nexpires = 2020-01-01', ExitCode.FOUND),
        ],
    )
    def test_suppressions(self, auditor, corrupt, matcher, code) -> None:
        text = f'[[suppressions]]\nrule = "{RESTARTED}"\nreason = "r"\n{matcher}\n'
        assert self.code(auditor, corrupt, text, *ONE) == code
        assert auditor("check", corrupt, "--no-suppressions", *ONE).returncode == ExitCode.FOUND


def with_rejects(log: Path) -> Path:
    """The log with two unreadable rows. In a sound one they would leave no run judged, whatever is tolerated."""
    with log.open("a") as file:
        file.write("{oops\n" * 2)
    return log


def overdue(folder: Path) -> Path:
    log = Log(workflow="w1").add("wait_created", entity("wait", 0), data={"resumeAt": time(60)})
    return write(folder / "overdue.ndjson", log.events)


class TestTheCommandLineWins:
    @pytest.mark.parametrize(
        ("text", "args", "code"),
        [
            ('fail_on = "error"', ["--fail-on", "never"], ExitCode.CLEAN),
            ('fail_on = "never"', ["--fail-on", "error"], ExitCode.FOUND),
            ('select = ["wait"]', ["--select", RESTARTED], ExitCode.FOUND),
            ('ignore = ["step"]', ["--ignore", "wait"], ExitCode.FOUND),
            ('ignore = ["wait"]', ["--ignore", "step"], ExitCode.CLEAN),
        ],
    )
    def test_over_what_counts(self, auditor, corrupt, here, text, args, code) -> None:
        configured(here, text)
        assert auditor("check", corrupt, *args).returncode == code

    def test_over_max_rejects_with_zero_too(self, auditor, corrupt, here) -> None:
        log = with_rejects(corrupt)
        configured(here, 'max_rejects = 9\nfail_on = "never"')
        assert auditor("check", log, "--max-rejects", "0", *ONE).returncode == ExitCode.CANNOT_TELL
        assert auditor("check", log, *ONE).returncode == ExitCode.CLEAN

    def test_over_require(self, auditor, sound, here) -> None:
        configured(here, 'require = ["fences"]')
        assert auditor("check", sound, "--require", "complete").returncode == ExitCode.CLEAN

    def test_over_now(self, auditor, here) -> None:
        log = overdue(here)
        configured(here, f'select = ["wait"]\nnow = "{time(121)}"')
        assert auditor("check", log, "--now", time(119)).returncode == ExitCode.CLEAN

    def test_over_the_baseline(self, auditor, corrupt, here) -> None:
        configured(here, 'baseline = "missing.jsonl"')
        assert auditor("check", corrupt).returncode == ExitCode.ERROR
        assert auditor("check", corrupt, "--no-baseline", *ONE).returncode == ExitCode.FOUND
        written = auditor("baseline", "write", corrupt, "--baseline", "known.jsonl", *ONE)
        assert written.returncode == ExitCode.CLEAN
        assert auditor("check", corrupt, "--baseline", "known.jsonl", *ONE).returncode == ExitCode.CLEAN

    def test_over_rule_seconds(self, auditor, sound, here) -> None:
        rule_file(here / "rules", "every-event", finds())
        configured(here, 'rules = ["rules"]\nrule_seconds = 0.000001\nselect = ["every-event"]')
        assert auditor("check", sound).returncode == ExitCode.CANNOT_TELL
        assert auditor("check", sound, "--rule-timeout", "60").returncode == ExitCode.FOUND

    def test_but_rules_on_it_are_beside_those_of_the_file(self, auditor, sound, here) -> None:
        for name in ("one", "two"):
            rule_file(here / name, f"of-{name}", finds())
        configured(here, 'rules = ["one"]')
        said = report(auditor("check", sound, "--rules", "two", "--select", "own", "--format", "json"))
        assert {"of-one", "of-two"} == {row["rule"] for row in said["findings"]}

    def test_a_folder_of_rules_that_both_name_is_read_once(self, auditor, sound, here) -> None:
        rule_file(here / "rules", "every-event", finds())
        configured(here, 'rules = ["rules"]\nselect = ["own"]')
        assert auditor("check", sound, "--rules", "rules").returncode == ExitCode.FOUND


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        "text",
        [
            '[severity]\norphan-wait = "info"',
            "[params.orphan-wait]\ngrace_seconds = 1",
            '[workflow.w.severity]\norphan-wait = "info"',
            "[workflow.w.params.orphan-wait]\ngrace_seconds = 1",
            '[[suppressions]]\nrule = "orphan-wait"\nreason = "r"\nrun = "x"',
            'select = ["orphan-wait"]',
            'ignore = ["orphan-wait"]',
        ],
    )
    def test_an_unknown_rule_is_named_with_near_ones_and_the_file(self, auditor, sound, here, text) -> None:
        path = configured(here, text)
        done = auditor("check", sound)
        assert done.returncode == ExitCode.ERROR
        assert "there is no rule or group called 'orphan-wait'; did you mean orphaned-wait" in done.stderr
        assert done.stderr.startswith(f"auditor: {path.name}: ")
        path.rename(here / "base.toml")
        configured(here, 'extend = "base.toml"')
        assert auditor("check", sound).stderr == done.stderr.replace(path.name, "base.toml")

    def test_an_unknown_rule_on_the_command_line_is_not_laid_to_the_file(self, auditor, sound, here) -> None:
        path = configured(here, 'select = ["fence"]')
        done = auditor("check", sound, "--select", "orphan-wait")
        assert done.returncode == ExitCode.ERROR
        assert path.name not in done.stderr

    def test_an_unknown_parameter_is_named_with_those_of_the_rule(self, auditor, sound, here) -> None:
        path = configured(here, "[params.orphaned-wait]\ngrace = 1")
        done = auditor("check", sound)
        assert done.stderr == (
            f"auditor: {path.name}: the rule orphaned-wait has no parameter 'grace'; is it grace_seconds?\n"
        )

    def test_of_two_files_that_tune_a_rule_the_one_with_the_unknown_parameter_is_named(
        self, auditor, sound, here
    ) -> None:
        (here / "base.toml").write_text("[params.orphaned-wait]\ngrace = 1", "utf-8")
        configured(here, 'extend = "base.toml"\n[params.orphaned-wait]\ngrace_seconds = 1')
        assert auditor("check", sound).stderr.startswith("auditor: base.toml: the rule orphaned-wait has no ")

    def test_a_broken_file_stops_the_audit_with_its_line(self, auditor, sound, here) -> None:
        path = configured(here, '[project]\nname = "x"\n[tool.auditor]\nfail_on = "fatal"\n', "pyproject.toml")
        done = auditor("check", sound)
        assert (done.returncode, done.stdout) == (ExitCode.ERROR, "")
        assert done.stderr.startswith(f"auditor: {path.name}:4: fail_on: 'fatal' is not one of ")

    def test_what_a_file_says_cannot_write_a_line_of_its_own(self, auditor, sound, here) -> None:
        configured(here, '[workflow."a\\n::error::owned\\u001b[31m"]\nx = 1')
        done = auditor("check", sound)
        assert len(done.stderr.splitlines()) == 1
        assert "\x1b" not in done.stderr

    @pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "1e12"])
    def test_a_rule_cannot_be_given_a_time_that_no_clock_measures(self, auditor, sound, seconds) -> None:
        done = auditor("check", sound, "--rule-timeout", seconds)
        assert done.returncode == ExitCode.ERROR
        assert "is not above 0 and at most 86400" in done.stderr

    @pytest.mark.parametrize("now", ["0001-01-01T00:00:00+01:00", "2026-02-30", "soon"])
    def test_a_time_that_never_was_is_misuse(self, auditor, sound, now) -> None:
        done = auditor("check", sound, "--now", now)
        assert done.returncode == ExitCode.ERROR
        assert "is not an ISO 8601 time" in done.stderr

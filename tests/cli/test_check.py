"""`auditor check` as a user meets it: reports on stdout, words on stderr, honest exit codes."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import duckdb
import pytest
from logs import Log, entity, manifest, time, write
from own_rules import finds, rule_file

from auditor import ExitCode, audit
from auditor.check import engine


def restarted(run: str = "wrun_" + "1" * 26) -> Log:
    return Log(run).life("step", 0, "created", "started", "completed", "started", stepName="s")


@pytest.fixture
def corrupt(tmp_path: Path) -> Path:
    return write(tmp_path / "corrupt.ndjson", restarted().events)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return write(tmp_path / "sound.ndjson", Log("wrun_" + "2" * 26).add("run_completed").events)


@pytest.fixture
def unreadable(tmp_path: Path) -> Path:
    path = tmp_path / "unreadable.ndjson"
    path.write_text("{oops\n")
    return path


def test_the_installed_command_ends_with_the_code_of_what_it_found(installed, corrupt, sound) -> None:
    """As a shell meets it; the others call the same `main` without a new process."""
    found, clean, misused = (installed("check", path) for path in (corrupt, sound, "nothing-here"))
    assert [done.returncode for done in (found, clean, misused)] == [
        ExitCode.FOUND,
        ExitCode.CLEAN,
        ExitCode.ERROR,
    ]
    assert "step-restarted-after-outcome" in found.stdout
    assert (found.stderr, clean.stderr, misused.stdout) == ("", "", "")
    assert misused.stderr == "auditor: nothing-here: there is no such file or folder\n"


def test_a_corrupt_log_is_exit_code_1_with_its_proof_on_stdout(auditor, corrupt) -> None:
    done = auditor("check", corrupt)
    assert done.returncode == ExitCode.FOUND
    assert "step-restarted-after-outcome" in done.stdout
    assert "follows its step_completed at #5" in done.stdout
    assert done.stderr == ""


def test_a_sound_log_is_exit_code_0(auditor, sound) -> None:
    done = auditor("check", sound)
    assert done.returncode == ExitCode.CLEAN
    assert "not record fences" in done.stdout.replace("\n   ", "")


def test_the_exit_code_is_the_worst_over_all_inputs_in_any_order(corrupt, sound, unreadable) -> None:
    def code(*paths: Path) -> int:
        with audit(*paths, select=["step-restarted-after-outcome"]) as result:  # the rule that `corrupt` breaks
            return int(result.exit_code)

    for paths in itertools.permutations([corrupt, sound, unreadable]):
        assert code(*paths) == ExitCode.FOUND
    for paths in itertools.permutations([sound, unreadable]):
        assert code(*paths) == ExitCode.CANNOT_TELL
    assert code(sound) == ExitCode.CLEAN


@pytest.mark.parametrize("name", ["text", "json"])
def test_the_exit_code_does_not_depend_on_the_format(auditor, corrupt, unreadable, name) -> None:
    assert auditor("check", "--format", name, corrupt).returncode == ExitCode.FOUND
    assert auditor("check", "--format", name, unreadable).returncode == ExitCode.CANNOT_TELL


@pytest.mark.parametrize(
    ("fail_on", "code"),
    [("error", ExitCode.CLEAN), ("warning", ExitCode.FOUND), ("info", ExitCode.FOUND), ("never", ExitCode.CLEAN)],
)
def test_fail_on_names_the_lowest_severity_that_fails(auditor, tmp_path, fail_on, code) -> None:
    log = Log().add("run_completed", fence=None)  # a dropped fence: a warning
    path = write(tmp_path / "log.ndjson", manifest("fence"), log.events)
    assert auditor("check", path, "--fail-on", fail_on, "--select", "dropped-fence").returncode == code


def test_several_reports_come_from_one_run(auditor, corrupt, tmp_path) -> None:
    done = auditor("check", corrupt, "--report", "json=out.json", "--report", "text=out.txt", "--format", "json")
    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(done.stdout)
    assert "step-restarted-after-outcome" in (tmp_path / "out.txt").read_text()


def test_save_keeps_an_audit_file_that_any_duckdb_reads(auditor, corrupt, tmp_path) -> None:
    auditor("check", corrupt, "--save", "audit.duckdb")
    with duckdb.connect(str(tmp_path / "audit.duckdb"), read_only=True) as con:
        assert con.execute("SELECT DISTINCT rule FROM finding").fetchall() == [("step-restarted-after-outcome",)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.duckdb", "corrupt.ndjson"]


def test_now_moves_what_is_overdue(auditor, tmp_path) -> None:
    log = Log().add("wait_created", entity("wait", 0), data={"resumeAt": time(60)})
    path = write(tmp_path / "log.ndjson", log.events)
    assert auditor("check", path).returncode == ExitCode.CLEAN
    assert auditor("check", path, "--now", time(119)).returncode == ExitCode.CLEAN
    done = auditor("check", path, "--now", time(121))
    assert done.returncode == ExitCode.FOUND
    assert "orphaned-wait" in done.stdout


def test_select_and_ignore_take_rules_and_groups_and_the_report_says_what_was_left_out(auditor, corrupt) -> None:
    done = auditor("check", corrupt, "--ignore", "step")
    assert done.returncode == ExitCode.CLEAN
    assert "left out by --select, --ignore or the configuration" in done.stdout
    selected = json.loads(
        auditor("check", corrupt, "--select", "attribute,late-creation", "--format", "json").stdout
    )
    assert [rule["id"] for rule in selected["rules"]] == [
        "duplicate-attribute",
        "late-creation",
    ]


def test_a_rule_that_reads_all_findings_is_not_evaluated_on_a_part_of_them(auditor, corrupt) -> None:
    report = json.loads(auditor("check", corrupt, "--select", "replay", "--format", "json").stdout)
    outcome = {rule["id"]: rule["outcome"] for rule in report["rules"]}
    assert outcome["runtime-verdict-unexplained"] == "not_evaluated"


def test_require_refuses_a_log_that_cannot_show_it(auditor, sound) -> None:
    assert auditor("check", sound, "--require", "ordinals").returncode == ExitCode.CANNOT_TELL
    done = auditor("check", sound, "--require", "fences")
    assert done.returncode == ExitCode.CANNOT_TELL
    assert "--require fences" in done.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nothing-here"], "nothing-here: there is no such file or folder"),
        (["a" * 300], "cannot be a file or folder: File name too long"),
        (["{sound}", "--select", "step-restarted"], "did you mean step-restarted-after-outcome"),
        (["{sound}", "--ignore", "zzz"], "`auditor rules` lists them"),
        (["{sound}", "--report", "pdf=x"], "is not FMT=PATH"),
        (["{sound}", "--report", "json"], "is not FMT=PATH"),
        (["{sound}", "--report", "json=missing/x.json"], "no such folder"),
        (["{sound}", "--save", "missing/x.duckdb"], "no such folder"),
        (["{sound}", "--save", "."], ". is a folder"),
        (["{sound}", "--report", "json=."], "the report cannot be written: Is a directory"),
        (["{sound}", "--now", "yesterday"], "is not an ISO 8601 time"),
        (["{sound}", "--fail-on", "fatal"], "'fatal' is not one of"),
        ([], "Missing argument"),
    ],
)
def test_misuse_is_exit_code_2_with_one_clear_sentence(auditor, sound, args, message) -> None:
    done = auditor("check", *(arg.format(sound=sound) for arg in args))
    assert done.returncode == ExitCode.ERROR
    assert message in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_rule_that_fails_leaves_no_run_judged(corrupt, sound, monkeypatch) -> None:
    build = engine.findings_query
    broken = "cross-run-event"
    monkeypatch.setattr(
        engine,
        "findings_query",
        lambda rule, **given: ("SELECT x", 0) if rule.id == broken else build(rule, **given),
    )
    with audit(sound) as result:
        assert result.verdict == "cannot_tell"
        assert result.exit_code == ExitCode.CANNOT_TELL
        outcome = {rule["id"]: (rule["outcome"], rule["reason"]) for rule in result.report["rules"]}
        assert outcome[broken][0] == "failed"
        assert "x" in outcome[broken][1]
    with audit(corrupt) as result:
        assert result.verdict == "corrupt", "an error that is proven stays proven"


@pytest.mark.parametrize(
    ("header", "verdict"),
    [
        (("severity: error", "confidence: proof"), "corrupt"),
        (("severity: error", "confidence: strong"), "corrupt"),
        (("severity: error", "confidence: suspect"), "suspect"),
        (("severity: warning", "confidence: suspect"), "suspect"),
        (("severity: warning", "confidence: proof"), "sound"),
        (("severity: error", "confidence: proof", "about: runtime"), "sound"),
    ],
    ids=", ".join,
)
def test_a_finding_of_no_run_is_about_the_log_as_a_whole(auditor, sound, tmp_path, header, verdict) -> None:
    """An audit is no better than what was found about all of it; its runs keep the verdicts that they have."""
    select = finds(run_id="CAST(NULL AS VARCHAR)") + " LIMIT 1"
    file = rule_file(tmp_path / "rules", "of-no-run", select, *header[2:])
    text = file.read_text("utf-8").replace("severity: error", header[0]).replace("confidence: proof", header[1])
    file.write_text(text, "utf-8")
    for fail_on, code in ((None, ExitCode.CLEAN), ("info", ExitCode.FOUND)):
        with audit(sound, rules=[tmp_path / "rules"], fail_on=fail_on) as result:
            assert (result.verdict, result.exit_code) == (verdict, code)
            assert {run["log_verdict"] for run in result.runs} == {"sound"}
            assert result.report["counts"]["verdicts"]["sound"] == len(result.runs)
    done = auditor("check", sound, "--rules", "rules", "--format", "concise", "--fail-on", "never")
    assert done.stdout.splitlines()[-1].startswith(f"{verdict}, exit code 0: ")


def test_the_same_input_gives_the_same_report(corrupt) -> None:
    with audit(corrupt) as one, audit(corrupt) as two:
        assert one.report == two.report


def test_what_we_write_beside_a_log_is_no_log(auditor, corrupt, tmp_path) -> None:
    """The default baseline lands where the logs are, and so do reports."""
    assert auditor("baseline", "write", ".").returncode == ExitCode.CLEAN
    reports = ["--report", "json=report.json", "--report", "jsonl=report.jsonl", "--report", "sarif=report.sarif"]
    assert auditor("check", ".", *reports).returncode == ExitCode.FOUND
    done = auditor("check", ".", "--baseline", "auditor-baseline.jsonl", "--format", "json")
    assert done.returncode == ExitCode.CLEAN
    (read,) = json.loads(done.stdout)["inputs"]
    assert (read["skipped"], read["rejects"], read["problem"]) == (4, 0, None)
    alone = auditor("check", "auditor-baseline.jsonl")
    assert alone.returncode == ExitCode.CANNOT_TELL
    assert "holds no event log that auditor knows" in " ".join(alone.stdout.split())

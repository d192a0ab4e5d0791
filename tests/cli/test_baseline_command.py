"""`auditor baseline` as a user meets it: nothing is written unseen, nothing is forgotten unread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from known_bugs import RULE, restarted, run_name
from logs import Log, write
from own_rules import finds, rule_file

from auditor import ExitCode

FILE = "auditor-baseline.jsonl"
ONLY = ("--select", RULE)
GONE = f'{{"rule": "zzz", "pattern": "{"0" * 32}", "count": 3, "workflow": null, "message": "x"}}\n'


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two bugs: one in two runs, another in one of them."""
    return write(tmp_path / "log.ndjson", restarted(1, "charge", "ship").events, restarted(2).events)


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()[1:]]


class TestWrite:
    def test_what_is_found_today_does_not_fail_tomorrow(self, auditor, log, tmp_path) -> None:
        assert auditor("check", log).returncode == ExitCode.FOUND
        done = auditor("baseline", "write", log)
        assert (done.returncode, done.stderr) == (ExitCode.CLEAN, "")
        assert done.stdout.splitlines()[-1] == f"{FILE}: written (3 known findings, by pattern)"
        assert sorted(entry["count"] for entry in entries(tmp_path / FILE)) == [1, 2]
        assert auditor("check", log, "--baseline", FILE).returncode == ExitCode.CLEAN
        assert auditor("check", log, "--baseline", FILE, "--no-suppressions").returncode == ExitCode.CLEAN

    def test_the_difference_is_printed_by_bug(self, auditor, log, tmp_path) -> None:
        done = auditor("baseline", "write", log)
        printed = done.stdout.splitlines()[:-1]
        assert printed == [
            f"+ {RULE} {entry['pattern']} 0 -> {entry['count']}: {entry['message']}"
            for entry in entries(tmp_path / FILE)
        ]

    def test_what_would_change_nothing_is_not_written(self, auditor, log, tmp_path) -> None:
        auditor("baseline", "write", log)
        before = (tmp_path / FILE).stat()
        done = auditor("baseline", "write", log)
        assert done.returncode == ExitCode.CLEAN
        assert done.stdout == f"{FILE}: nothing to change (3 known findings, by pattern)\n"
        assert (tmp_path / FILE).stat().st_mtime_ns == before.st_mtime_ns

    def test_a_change_is_shown_and_waits_for_accept(self, auditor, log, tmp_path) -> None:
        auditor("baseline", "write", log, *ONLY)
        before = (tmp_path / FILE).read_bytes()
        write(log, restarted(1, "charge", "ship").events, restarted(2).events, restarted(3).events)
        done = auditor("baseline", "write", log, *ONLY)
        assert done.returncode == ExitCode.FOUND
        assert " 2 -> 3: " in done.stdout
        assert len(done.stdout.splitlines()) == 2
        assert done.stdout.endswith("not changed; look at the difference, then say --accept\n")
        assert (tmp_path / FILE).read_bytes() == before
        assert auditor("baseline", "write", log, *ONLY, "--accept").returncode == ExitCode.CLEAN
        after = (tmp_path / FILE).read_bytes()
        assert len(set(before.splitlines()) ^ set(after.splitlines())) == 2

    def test_the_words_of_a_known_bug_stay_as_they_were(self, auditor, log, tmp_path) -> None:
        auditor("baseline", "write", log, *ONLY)
        path = tmp_path / FILE
        path.write_text(path.read_text().replace("follows its", "came after its"))
        assert "nothing to change" in auditor("baseline", "write", log, *ONLY).stdout
        write(log, restarted(1, "charge", "ship").events)
        auditor("baseline", "write", log, *ONLY, "--accept")
        assert all("came after its" in entry["message"] for entry in entries(path))

    def test_it_may_name_other_things_only_if_that_is_accepted(self, auditor, log, tmp_path) -> None:
        auditor("baseline", "write", log, *ONLY)
        done = auditor("baseline", "write", log, *ONLY, "--by", "instance")
        assert done.returncode == ExitCode.FOUND
        assert done.stdout.splitlines()[0] == "by pattern -> by instance"
        assert [line[0] for line in done.stdout.splitlines()[1:-1]].count("-") == 2
        assert [line[0] for line in done.stdout.splitlines()[1:-1]].count("+") == 3
        assert auditor("baseline", "write", log, *ONLY, "--by", "instance", "--accept").returncode == 0
        assert len({entry["instance"] for entry in entries(tmp_path / FILE)}) == 3
        assert "by instance" in auditor("baseline", "write", log, *ONLY).stdout

    def test_a_log_without_findings_makes_a_baseline_that_knows_nothing(self, auditor, tmp_path) -> None:
        sound = write(tmp_path / "sound.ndjson", Log().add("run_completed").events)
        assert auditor("baseline", "write", sound, *ONLY).returncode == ExitCode.CLEAN
        assert entries(tmp_path / FILE) == []
        assert auditor("baseline", "write", sound, *ONLY, "--by", "instance").returncode == ExitCode.FOUND

    @pytest.mark.parametrize("damage", ["a row", "an input", "nothing", "a rule"])
    def test_what_is_not_seen_is_not_forgotten(self, auditor, log, tmp_path, damage) -> None:
        auditor("baseline", "write", log, *ONLY)
        before = (tmp_path / FILE).read_bytes()
        more: tuple[object, ...] = ONLY
        if damage == "a row":
            log.write_text(log.read_text() + "{oops\n")
        elif damage == "an input":
            (tmp_path / "cut.ndjson.gz").write_bytes(b"\x1f\x8bcut off")
            more = (*ONLY, tmp_path / "cut.ndjson.gz")
        elif damage == "nothing":
            log.write_text("")
        else:
            rule_file(tmp_path, "broken", finds(because="error('no')"))
            more = ("--rules", tmp_path, "--select", f"{RULE},broken")
        for command in ("write", "prune"):
            done = auditor("baseline", command, log, *more, "--accept")
            assert done.returncode == ExitCode.CANNOT_TELL, done.stdout
            assert done.stderr.startswith("auditor: nothing is ")
            assert (tmp_path / FILE).read_bytes() == before

    def test_rows_that_the_configuration_tolerates_are_no_reason(self, auditor, log, tmp_path) -> None:
        log.write_text(log.read_text() + "{oops\n")
        (tmp_path / "auditor.toml").write_text("max_rejects = 1\n")
        assert auditor("baseline", "write", log, *ONLY).returncode == ExitCode.CLEAN

    def test_what_is_known_of_rules_that_are_left_out_stays(self, auditor, log, tmp_path) -> None:
        auditor("baseline", "write", log, *ONLY)
        before = (tmp_path / FILE).read_bytes()
        for command in ("write", "prune"):
            done = auditor("baseline", command, log, "--ignore", RULE, "--select", "hook", "--accept")
            assert done.returncode == ExitCode.CLEAN
            assert "nothing to change" in done.stdout
        assert (tmp_path / FILE).read_bytes() == before
        assert auditor("baseline", "check", log, "--select", "hook", "--exact").returncode == ExitCode.CLEAN


class TestTheFileOnDisk:
    def test_a_damaged_baseline_is_never_written_over(self, auditor, log, tmp_path) -> None:
        (tmp_path / FILE).write_text("<<<<<<< ours\n")
        for command in (("baseline", "write"), ("baseline", "check"), ("baseline", "prune")):
            done = auditor(*command, log, *(() if command[1] == "check" else ("--accept",)))
            assert (done.returncode, done.stdout) == (ExitCode.ERROR, "")
            assert f"{FILE}:1: this line of the baseline is not JSON" in done.stderr
        assert (tmp_path / FILE).read_text() == "<<<<<<< ours\n"

    @pytest.mark.parametrize("name", ["missing/b.jsonl", "x" * 300, "folder"])
    def test_a_place_that_cannot_be_written_is_misuse(self, auditor, log, tmp_path, name) -> None:
        (tmp_path / "folder").mkdir()
        done = auditor("baseline", "write", log, *ONLY, "--baseline", name, "--accept")
        assert done.returncode == ExitCode.ERROR
        assert done.stderr.startswith(f"auditor: {name}: the baseline cannot be ")

    def test_the_old_file_stays_whole_if_the_new_one_cannot_be_written(self, auditor, log, tmp_path) -> None:
        auditor("baseline", "write", log, *ONLY)
        before = (tmp_path / FILE).read_bytes()
        (tmp_path / f"{FILE}.part").mkdir()
        write(log, restarted(1).events)
        done = auditor("baseline", "write", log, *ONLY, "--accept")
        assert done.returncode == ExitCode.ERROR
        assert "cannot be written" in done.stderr
        assert (tmp_path / FILE).read_bytes() == before

    def test_nothing_is_left_beside_it(self, auditor, log, tmp_path) -> None:
        auditor("baseline", "write", log, *ONLY)
        assert sorted(path.name for path in tmp_path.iterdir()) == [FILE, "log.ndjson"]

    def test_the_configured_one_is_relative_to_its_configuration(
        self, auditor, log, tmp_path, monkeypatch
    ) -> None:
        (tmp_path / "auditor.toml").write_text('baseline = "audit/known.jsonl"\n')
        (tmp_path / "audit").mkdir()
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert auditor("baseline", "write", log).returncode == ExitCode.CLEAN
        assert len(entries(tmp_path / "audit" / "known.jsonl")) == 2
        assert auditor("check", log).returncode == ExitCode.CLEAN
        assert auditor("baseline", "check", log).returncode == ExitCode.CLEAN
        assert auditor("check", log, "--no-baseline").returncode == ExitCode.FOUND
        assert auditor("check", log, "--no-config").returncode == ExitCode.FOUND


class TestCheck:
    def test_new_known_and_resolved_are_told_apart(self, auditor, log) -> None:
        auditor("baseline", "write", log, *ONLY)
        write(log, restarted(1).events, restarted(2, "refund").events)
        done = auditor("baseline", "check", log, *ONLY)
        assert done.returncode == ExitCode.FOUND
        lines = done.stdout.splitlines()
        assert [line.split()[0] for line in lines[:-2]] == ["new", "resolved", "resolved"]
        assert lines[-2].startswith("1 new, 1 known, 2 resolved; exit code 1: 1 new finding at or above error")

    def test_what_is_resolved_fails_only_if_it_must_be_exact(self, auditor, log) -> None:
        auditor("baseline", "write", log, *ONLY)
        assert auditor("baseline", "check", log, *ONLY, "--exact").returncode == ExitCode.CLEAN
        write(log, restarted(1).events)
        assert auditor("baseline", "check", log, *ONLY).returncode == ExitCode.CLEAN
        assert auditor("baseline", "check", log, *ONLY, "--exact").returncode == ExitCode.FOUND

    def test_an_entry_of_a_rule_that_there_is_not_is_said_with_near_names(self, auditor, log, tmp_path) -> None:
        """As after the rule was renamed: its findings are new under the new name, and the old one says nothing."""
        auditor("baseline", "write", log, *ONLY)
        head, *known = (
            (tmp_path / FILE).read_text("utf-8").replace(RULE, "step-restarted-after-outcom").splitlines()
        )
        # The rule is part of a fingerprint.
        known = [line.replace(json.loads(line)["pattern"], f"{at:032}") for at, line in enumerate(known)]
        (tmp_path / FILE).write_text("".join(f"{line}\n" for line in (head, *known)), "utf-8")
        done = auditor("baseline", "check", log, *ONLY)
        lines = done.stdout.splitlines()
        assert [line.split()[0] for line in lines[:5]] == ["new", "new", "new", "gone", "gone"]
        assert lines[5].startswith(
            f"there is no rule or group called 'step-restarted-after-outcom'; did you mean {RULE}"
        )
        assert lines[6].startswith("3 new, 0 known, 0 resolved, 2 of rules that are gone; exit code 1: 3 findings")

    def test_an_entry_of_a_rule_that_there_is_not_fails_only_if_it_must_be_exact(
        self, auditor, log, tmp_path
    ) -> None:
        auditor("baseline", "write", log, *ONLY)
        with (tmp_path / FILE).open("a", encoding="utf-8") as file:
            file.write(GONE)
        assert auditor("baseline", "check", log, *ONLY).returncode == ExitCode.CLEAN
        assert auditor("baseline", "check", log, *ONLY, "--exact").returncode == ExitCode.FOUND
        assert auditor("check", log, *ONLY, "--baseline", FILE).returncode == ExitCode.CLEAN

    @pytest.mark.parametrize("command", [("baseline", "check", "--exact"), ("check",)])
    def test_a_baseline_does_not_hide_what_could_not_be_judged(self, auditor, log, command) -> None:
        auditor("baseline", "write", log, *ONLY)
        log.write_text(log.read_text() + "{oops\n")
        assert auditor(*command, log, *ONLY, "--baseline", FILE).returncode == ExitCode.CANNOT_TELL
        write(log, restarted(1, "new").events)
        log.write_text(log.read_text() + "{oops\n")
        assert auditor(*command, log, *ONLY, "--baseline", FILE).returncode == ExitCode.FOUND

    def test_without_a_baseline_it_is_misuse(self, auditor, log) -> None:
        done = auditor("baseline", "check", log)
        assert done.returncode == ExitCode.ERROR
        assert "there is no such baseline; `auditor baseline write` makes one" in done.stderr


class TestPrune:
    def test_what_is_resolved_is_taken_out_and_nothing_is_added(self, auditor, log, tmp_path) -> None:
        auditor("baseline", "write", log, *ONLY)
        write(log, restarted(1).events, restarted(2, "refund").events)
        done = auditor("baseline", "prune", log, *ONLY)
        assert done.returncode == ExitCode.FOUND
        assert [line[0] for line in done.stdout.splitlines()[:-1]] == ["-", "-"]
        assert auditor("baseline", "prune", log, *ONLY, "--accept").returncode == ExitCode.CLEAN
        assert [entry["count"] for entry in entries(tmp_path / FILE)] == [1]
        assert "nothing to change" in auditor("baseline", "prune", log, *ONLY).stdout
        assert auditor("check", log, *ONLY, "--baseline", FILE).returncode == ExitCode.FOUND

    def test_what_is_known_of_rules_that_there_are_not_is_taken_out(self, auditor, log, tmp_path) -> None:
        auditor("baseline", "write", log, *ONLY)
        before = (tmp_path / FILE).read_text("utf-8")
        (tmp_path / FILE).write_text(before + GONE, "utf-8")
        done = auditor("baseline", "prune", log, *ONLY, "--accept")
        assert done.stdout.splitlines()[0] == f"- zzz {'0' * 32} 3 -> 0: x"
        assert (tmp_path / FILE).read_text("utf-8") == before

    def test_without_a_baseline_it_is_misuse(self, auditor, log) -> None:
        assert auditor("baseline", "prune", log).returncode == ExitCode.ERROR


class TestCheckWithABaseline:
    def test_named_and_none_exclude_each_other(self, auditor, log) -> None:
        done = auditor("check", log, "--baseline", FILE, "--no-baseline")
        assert done.returncode == ExitCode.ERROR

    def test_a_missing_one_is_misuse_and_not_an_empty_one(self, auditor, log) -> None:
        done = auditor("check", log, "--baseline", FILE)
        assert (done.returncode, done.stdout) == (ExitCode.ERROR, "")


def test_what_is_suppressed_is_not_written(auditor, log, tmp_path) -> None:
    decision = f'[[suppressions]]\nrule = "{RULE}"\nreason = "refunded"\nrun = "{run_name(1)}"\n'
    (tmp_path / "auditor.toml").write_text(decision)
    auditor("baseline", "write", log, *ONLY)
    assert [entry["count"] for entry in entries(tmp_path / FILE)] == [1]
    assert auditor("check", log, *ONLY, "--baseline", FILE).returncode == ExitCode.CLEAN
    done = auditor("check", log, *ONLY, "--baseline", FILE, "--no-suppressions")
    assert done.returncode == ExitCode.FOUND


def test_hostile_words_of_a_log_reach_neither_the_terminal_nor_the_file(auditor, tmp_path) -> None:
    hostile = "\x1b[31m\x9b31m\u202egpj\n::error::##[error]=1+1"
    log = write(tmp_path / "log.ndjson", restarted(1, workflow=hostile).events)
    rule_file(tmp_path, "mine", finds(because="workflow") + " JOIN run USING (run_id) LIMIT 1")
    options = (log, "--rules", tmp_path, "--select", "mine")
    said = [
        auditor("baseline", "write", *options),
        auditor("baseline", "check", *options),
        auditor("baseline", "write", *options, "--by", "instance"),
    ]
    write(log, Log(workflow=hostile).events)
    said.append(auditor("baseline", "check", *options))
    shown = "".join(done.stdout + done.stderr for done in said) + (tmp_path / FILE).read_text()
    assert "\ufffd[31m" in shown
    assert not {"\x1b", "\x9b", "\u202e"} & set(shown)
    assert "##[" not in shown
    assert not any(line.startswith("::") for line in shown.splitlines())


def test_hostile_words_of_a_baseline_do_not_reach_the_terminal(auditor, log, tmp_path) -> None:
    row = {"rule": RULE, "pattern": "0" * 32, "count": 1, "workflow": None, "message": "\x1b[2J\n::error::\u202e"}
    header = {"schema": "auditor.baseline/v1", "by": "pattern"}
    (tmp_path / FILE).write_text(json.dumps(header) + "\n" + json.dumps(row, ensure_ascii=False) + "\n", "utf-8")
    for command in ("check", "prune", "write"):
        done = auditor("baseline", command, log, *ONLY)
        assert "0" * 32 in done.stdout or command == "check"
        assert not {"\x1b", "\u202e"} & set(done.stdout)
        assert not any(line.startswith("::") for line in done.stdout.splitlines())


def test_a_rule_that_says_nothing_leaves_a_baseline_that_can_be_read(auditor, log, tmp_path) -> None:
    rule_file(tmp_path, "mine", finds(because="''"))
    options = (log, "--rules", tmp_path, "--select", "mine")
    assert auditor("baseline", "write", *options).returncode == ExitCode.CLEAN
    assert auditor("baseline", "check", *options).returncode == ExitCode.CLEAN

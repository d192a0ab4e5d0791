"""`auditor simulate` as a command: logs with known faults, small failures, and the matrix."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from readme import README

from auditor.simulate.faults import FAULTS
from auditor.simulate.scenarios import SCENARIOS

DOOR = ("simulate", "--scenario", "door", "--fence", "off")


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    """The command silences the runtime for as long as its process lives."""
    logger = logging.getLogger("auditor.runtime")
    before = logger.level
    yield
    logger.setLevel(before)


def test_every_scenario_and_every_fault_is_listed(auditor: Any) -> None:
    done = auditor("simulate", "--list")
    assert done.returncode == 0
    names = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert names == [*SCENARIOS, *FAULTS]


@pytest.mark.parametrize("name", ["fence-not-enforced", "resumed-twice"])
def test_a_fault_is_explained(auditor: Any, name: str) -> None:
    done = auditor("simulate", "--explain", name)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, name)
    for word in (*FAULTS[name].rules, *FAULTS[name].scenarios):
        assert word in done.stdout


def test_runs_without_a_fault_are_as_they_should_be(auditor: Any) -> None:
    done = auditor("simulate", "--scenario", "door", "--scenario", "timers", "--seeds", 6)
    assert (done.returncode, done.stdout) == (0, "6 runs, all as they should be\n")


def test_several_runs_can_be_in_one_world(auditor: Any) -> None:
    assert auditor("simulate", "--scenario", "door", "--seeds", 2, "--runs", 5).stdout.startswith("10 runs, ")


# Logs -----------------------------------------------------------------------------------------------------------


def test_the_audit_finds_in_a_written_log_what_the_truth_says(auditor: Any, tmp_path: Path) -> None:
    made = auditor("simulate", "--fault", "fence-not-enforced", "--seeds", 8, "--out", "broken")
    assert made.returncode == 0, made.stderr
    assert "auditor check broken/log.ndjson" in made.stdout
    truth = json.loads((tmp_path / "broken/truth.json").read_text())
    effective = {run["runId"] for run in truth["runs"] if run["effective"]}
    assert f"8 runs, {len(effective)} not as they should be" in made.stdout
    checked = auditor("check", "broken/log.ndjson", "--format", "json")
    assert checked.returncode == 1
    findings = json.loads(checked.stdout)["findings"]
    assert {one["run_id"] for one in findings if one["rule"] == "stale-snapshot-write"} == effective != set()


def test_the_same_seed_writes_the_same_bytes(auditor: Any, tmp_path: Path) -> None:
    for name in ("one", "other"):
        auditor("simulate", "--seed", 7, "--seeds", 3, "--scenario", "race", "--out", name)
    for name in ("log.ndjson", "truth.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_what_is_there_already_is_not_written_over(auditor: Any, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    done = auditor("simulate", "--seeds", 1, "--scenario", "door", "--out", "there")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there exists already" in done.stderr
    assert list((tmp_path / "there").iterdir()) == []


# A small failure ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shrunk() -> dict[str, str]:
    """What a search has found, once for all tests that read it."""
    return {}


def smallest(auditor: Any, shrunk: dict[str, str]) -> str:
    if not shrunk:
        done = auditor(*DOOR, "--seeds", 200, "--shrink")
        assert done.returncode == 0, done.stderr
        shrunk["said"] = done.stdout
    return shrunk["said"]


def test_the_bug_that_fences_cure_is_shown_in_a_dozen_events(auditor: Any, shrunk: dict[str, str]) -> None:
    said = smallest(auditor, shrunk)
    assert re.match(r"door, seed \d+, size 1; \d+ simulations tried\n\nrun wrun_", said)
    events = re.findall(r"^ +#(\d+)  (\w+)", said, re.MULTILINE)
    assert [int(position) for position, _ in events] == list(range(1, len(events) + 1))
    assert 6 < len(events) <= 12
    kinds = [kind for _, kind in events]
    assert kinds.index("hook_received") < kinds.index("wait_completed") < len(kinds) - 1
    assert re.search(r"wait_completed .* knew the log up to #\d+, not #\d+ hook_received", said)
    assert re.search(r"\^ a replay has step#2 \S+ .* here, not wait_created of ", said), said
    assert re.search(r"^script: \S", said, re.MULTILINE)


def test_its_script_plays_it_again(auditor: Any, shrunk: dict[str, str]) -> None:
    said = smallest(auditor, shrunk)
    seed = re.findall(r"seed (\d+)", said)[0]
    script = re.findall(r"^script: (.*)$", said, re.MULTILINE)[0]
    again = auditor(*DOOR, "--seed", seed, "--seeds", 1, "--script", script)
    assert again.returncode == 0, again.stderr
    assert again.stdout.strip() in said
    assert f"again:  auditor {' '.join(DOOR[:3])} --seed {seed} --seeds 1 --fence off --script '{script}'" in said


def test_its_script_goes_well_under_fences(auditor: Any, shrunk: dict[str, str]) -> None:
    said = smallest(auditor, shrunk)
    seed = re.findall(r"seed (\d+)", said)[0]
    script = re.findall(r"^script: (.*)$", said, re.MULTILINE)[0]
    well = auditor("simulate", "--scenario", "door", "--seed", seed, "--seeds", 1, "--script", script)
    assert "run_completed" in well.stdout
    assert "^" not in well.stdout


def test_where_nothing_goes_wrong_there_is_nothing_to_make_small(auditor: Any) -> None:
    done = auditor("simulate", "--scenario", "door", "--seeds", 20, "--shrink")
    assert (done.returncode, done.stdout) == (0, "all is as it should be in 20 simulations\n")


# The matrix -----------------------------------------------------------------------------------------------------


def test_a_fault_that_is_found_is_a_row_of_the_matrix(auditor: Any) -> None:
    done = auditor("simulate", "--matrix", "--fault", "fence-not-enforced", "--seeds", 8)
    assert done.returncode == 0, done.stdout
    heading, row, empty, sums = done.stdout.splitlines()
    assert heading.split()[:6] == ["fault", "injected", "effective", "found", "missed", "false"]
    name, injected, effective, found, missed, false, *fired = row.split()
    assert (name, injected, missed, false, empty) == ("fence-not-enforced", "8", "0", "0", "")
    assert 0 < int(effective) == int(found)
    assert "stale-snapshot-write" in fired
    assert sums == (
        f"1 faults, 8 injected, {effective} effective, {found} found, 0 missed, 0 false alarms, "
        "0 idle faults, 0 idle rules"
    )


def test_a_fault_that_no_rule_of_its_finds_makes_the_exit_code_1(
    auditor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FAULTS["fence-not-enforced"], "rules", ("slot-hole",))
    done = auditor("simulate", "--matrix", "--fault", "fence-not-enforced", "--seeds", 8)
    assert done.returncode == 1
    assert "    missed: " in done.stdout
    assert "    false alarm: " in done.stdout
    assert re.search(r" 0 found, [1-9]\d* missed, [1-9]\d* false alarms", done.stdout)


def test_a_fault_that_hardly_ever_takes_effect_makes_the_exit_code_1(
    auditor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # To a chain of steps nobody sends a signal.
    monkeypatch.setattr(FAULTS["signal-fenced"], "scenarios", ("sequential",))
    done = auditor("simulate", "--matrix", "--fault", "signal-fenced", "--seeds", 1)
    assert "    idle: it took effect in fewer than a tenth of its seeds" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("1 idle faults, 0 idle rules")
    assert done.returncode == 1


# Misuse ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scenario", "dor"], "did you mean door"),
        (["--fault", "fence-not-enforcd"], "did you mean fence-not-enforced"),
        (["--explain", "truncated-exports"], "did you mean truncated-export"),
        (["--fault", "zzz"], "auditor simulate --list names them all"),
        (["--fence", "some"], "wait_completed_only"),
        (["--seeds", "0"], "--seeds"),
        (["--seed", "-1"], "--seed"),
        (["--matrix", "--size", "3", "--out", "x"], "--matrix takes --fault, --seed and --seeds; not --size"),
        (["--scenario", "door", "--script", "worker-0"], "a script is of one simulation"),
        (["--scenario", "door", "--seeds", "2", "--script", "worker-0"], "a script is of one simulation"),
        (["--scenario", "door", "--seeds", "1", "--script", "worker-0*x"], "is no part of a script"),
    ],
)
def test_misuse_is_said_before_anything_is_played(auditor: Any, options: list[str], words: str) -> None:
    done = auditor("simulate", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_readme_shows_what_the_command_prints(auditor: Any) -> None:
    shown = re.search(r"^\$ auditor (simulate --scenario .*?)\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL)
    assert shown is not None
    assert auditor(*shown[1].split()).stdout.strip() == shown[2].strip()

"""Bad input: good rows are kept, bad ones are named with file, line and reason, and nothing is ever green."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ingest.shapes import ndjson, postgres_csv, tar_gz, world_local
from logs import RUN, Log

from auditor import ExitCode, audit
from auditor.ingest import json_rows

GOOD = json.dumps(Log().events[0])
EVENT = Log().events[1]


def rejects(path: Path) -> tuple[list[tuple[int | None, str]], dict[str, Any]]:
    with audit(path) as result:
        report = result.report
    return [(row["line"], row["reason"]) for row in report["rejects"]], report


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"runId": "wrun_1", "eventId": ', "not JSON"),
        ("[1, 2, 3]", "an array"),
        ('"text"', "a string"),
        ("null", "null"),
        ("not json at all", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"runId": "r", "a": "\\ud800"}', "surrogate"),
        (json.dumps(EVENT | {"eventData": "text"}), "eventData is a string"),
        (json.dumps(EVENT | {"fence": 3}), "fence is a number"),
        (json.dumps(EVENT | {"executionContext": "x"}), "executionContext is a string"),
        (json.dumps(EVENT | {"eventData": {"executionContext": [1]}}), "executionContext is an array"),
        (json.dumps(EVENT | {"runId": None}), "runId is missing"),
        (json.dumps(EVENT | {"runId": ""}), "runId is missing"),
        (json.dumps(EVENT | {"runId": ["r"]}), "runId is an array"),
        (json.dumps({k: v for k, v in EVENT.items() if k != "eventId"}), "eventId is missing"),
        (json.dumps({k: v for k, v in EVENT.items() if k != "eventType"}), "eventType is missing"),
        (json.dumps(EVENT | {"createdAt": "yesterday"}), "createdAt is not a time"),
        (json.dumps(EVENT | {"record": "surprise"}), "record is surprise"),
        (json.dumps({"record": "entity", "runId": "r", "kind": "cat"}), "kind is not"),
    ],
    ids=lambda value: value[:30],
)
def test_a_bad_line_is_named_and_the_others_are_kept(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "log.ndjson"
    path.write_text(f"{GOOD}\n\n{line}\n{json.dumps(EVENT)}\n")
    found, report = rejects(path)
    assert [number for number, _ in found] == [3]
    assert reason in found[0][1]
    assert report["counts"]["events"] == 2
    assert report["exit_code"] == ExitCode.CANNOT_TELL


def test_bytes_that_are_not_utf8_are_named(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    path.write_bytes(GOOD.encode() + b'\n{"runId": "\xff\xfe"}\n')
    found, _ = rejects(path)
    assert found == [(2, "not UTF-8 (byte 12)")]


def test_a_cut_off_last_line_is_named(tmp_path: Path) -> None:
    path = ndjson(Log().life("step", 0, "created", "completed").events, tmp_path / "log.ndjson")
    path.write_bytes(path.read_bytes()[:-40])
    found, report = rejects(path)
    assert [line for line, _ in found] == [4]
    (run,) = report["runs"]
    assert run["log_verdict"] == "cannot_tell"
    assert run["reason"] == "1 of its rows could not be read"


def test_a_reject_without_a_run_casts_doubt_on_every_run_of_its_input(tmp_path: Path) -> None:
    path = ndjson([*Log("wrun_1").events, *Log("wrun_2").events], tmp_path / "log.ndjson")
    path.write_text(path.read_text() + "garbage\n")
    other = ndjson(Log().events, tmp_path / "other.ndjson")
    with audit(path, other) as result:
        verdicts = {run["run_id"]: run["log_verdict"] for run in result.runs}
    assert verdicts == {"wrun_1": "cannot_tell", "wrun_2": "cannot_tell", RUN: "sound"}


def test_tolerated_rejects_still_leave_their_run_unjudged(tmp_path: Path) -> None:
    path = ndjson(Log().events, tmp_path / "log.ndjson")
    path.write_text(path.read_text() + "garbage\n")
    with audit(path, max_rejects=5) as result:
        assert result.exit_code == ExitCode.CANNOT_TELL


def test_a_broken_file_of_world_local_is_named_and_its_run_is_not_judged(tmp_path: Path) -> None:
    log = Log().add("run_completed")
    path = world_local(log.events, tmp_path / "world")
    victim = path / "events" / f"{RUN}-{log.events[1]['eventId']}.json"
    victim.write_text('{"eventType": "run_')
    empty = path / "events" / f"{RUN}-evnt_01KAP2D0000000000000000009.json"
    empty.write_text("")
    with audit(path) as result:
        rows = {row["source"]: row["reason"] for row in result.report["rejects"]}
        (run,) = result.runs
    assert rows[f"events/{victim.name}"].startswith("not JSON")
    assert rows[f"events/{empty.name}"] == "an empty file"
    assert run["log_verdict"] == "cannot_tell"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda row: row.replace("\\x", "zz", 1), "not hexadecimal"),
        (lambda row: row.replace("\\xa", "\\xff", 1), "cannot be decoded"),
        (lambda row: row + ",extra,columns", "number of columns"),
        (lambda row: row.split(",", 1)[0], "number of columns"),
    ],
)
def test_a_bad_row_of_a_table_is_named(tmp_path: Path, change, reason: str) -> None:
    path = postgres_csv(Log().life("step", 0, "created", stepName="s").events, tmp_path / "csv")
    table = path / "workflow_events.csv"
    lines = table.read_text().splitlines()
    lines[1] = change(lines[1])
    table.write_text("\n".join(lines) + "\n")
    found, report = rejects(path)
    assert [line for line, _ in found] == [2]
    assert reason in found[0][1]
    assert report["counts"]["events"] == 2


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("empty.ndjson", b"", "is empty"),
        ("blank.ndjson", b"\n \n", "is empty"),
        ("image.png", b"\x89PNG\0\0\0", "is binary"),
        ("notes.txt", b"hello", "is no event log"),
        ("other.csv", b"a,b\n1,2\n", "is no event log"),
        ("cut.tar.gz", b"\x1f\x8b\x08\0\0\0\0\0", "is binary"),
    ],
)
def test_a_file_that_is_no_log_is_a_problem_of_that_input(tmp_path, name, content, problem) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with audit(path) as result:
        (row,) = result.report["inputs"]
        assert problem in row["problem"]
        assert result.exit_code == ExitCode.CANNOT_TELL
        assert result.verdict == "cannot_tell"


def test_an_empty_folder_is_never_green(tmp_path: Path) -> None:
    with audit(tmp_path) as result:
        assert result.exit_code == ExitCode.CANNOT_TELL


@pytest.mark.parametrize("lost", [1, 8, 500, 2000, 5000])
def test_an_archive_that_breaks_off_keeps_what_was_read_and_is_not_green(tmp_path: Path, lost: int) -> None:
    logs = [Log(f"wrun_{number:026d}").add("run_completed") for number in range(100)]
    events = [event for log in logs for event in log.events]
    archive = tar_gz(world_local(events, tmp_path / "world"), tmp_path / "world.tar.gz")
    archive.write_bytes(archive.read_bytes()[:-lost])
    with audit(archive) as result:
        (row,) = result.report["inputs"]
        assert "damaged or cut off" in row["problem"]
        assert 0 < row["events"] <= len(events)
        assert {run["log_verdict"] for run in result.runs} == {"cannot_tell"}
        assert result.exit_code == ExitCode.CANNOT_TELL


def test_a_tar_cut_off_between_two_members_is_not_green(tmp_path: Path) -> None:
    log = world_local(Log().add("run_completed").events, tmp_path / "world")
    archive = tmp_path / "world.tar"
    with tarfile.open(archive, "w") as tar:
        for path in sorted((log / "events").iterdir()):
            tar.add(path, f"events/{path.name}")
        whole = tar.offset
    archive.write_bytes(archive.read_bytes()[:whole])
    with audit(archive) as result:
        assert "damaged or cut off" in result.report["inputs"][0]["problem"]
        assert result.verdict == "cannot_tell"


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_whole_tar_of_any_compression_is_sound(tmp_path: Path, mode: str) -> None:
    archive = tmp_path / "log.tar"
    with tarfile.open(archive, mode) as tar:
        tar.add(ndjson(Log().add("run_completed").events, tmp_path / "log.ndjson"), "log.ndjson")
    with audit(archive) as result:
        assert result.verdict == "sound"


def test_a_promised_log_that_is_none_is_a_reject_in_a_folder(tmp_path: Path) -> None:
    ndjson(Log().events, tmp_path / "good.ndjson")
    (tmp_path / "bad.ndjson").write_text("oops\n")
    found, report = rejects(tmp_path)
    assert [reason for _, reason in found] == [
        "is no event log that auditor knows (auditor.log/v1, world-local, Postgres-world CSV)"
    ]
    assert report["exit_code"] == ExitCode.CANNOT_TELL


def test_rows_refused_twice_are_never_taken_for_those_of_another_file(tmp_path: Path, monkeypatch) -> None:
    ndjson(Log("wrun_1").events, tmp_path / "a.ndjson")
    (tmp_path / "b.ndjson").write_text(json.dumps(EVENT | {"eventData": "text"}) + "\n")
    monkeypatch.setattr(json_rows, "clean", lambda raw: raw)
    with audit(tmp_path / "a.ndjson", tmp_path / "b.ndjson") as result:
        assert "could not be read" in result.report["inputs"][1]["problem"]
        assert result.report["counts"]["events"] == 2
        assert result.exit_code == ExitCode.CANNOT_TELL


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=8,
)


def every_row_is_accounted_for(tmp_path, values, tail) -> None:
    path = tmp_path / "log.ndjson"
    lines = [GOOD.encode(), *(json.dumps(value).encode() for value in values), tail.replace(b"\n", b"")]
    path.write_bytes(b"\n".join(lines) + b"\n")
    with audit(path) as result:
        counts = result.report["counts"]
        heads = result.con.execute("SELECT count(*) FROM head").fetchall()[0][0]
    read = sum(1 for line in lines if line.strip())
    merged = result.report["inputs"][0]["merged"]
    assert counts["events"] + merged + counts["entities"] + counts["refusals"] + counts["rejects"] + heads == read


ROWS = st.lists(JSON | st.dictionaries(st.sampled_from(sorted(EVENT)), JSON, max_size=6), max_size=6)
HEALTH = [HealthCheck.function_scoped_fixture]


@settings(max_examples=30, deadline=None, suppress_health_check=HEALTH)
@given(values=ROWS, tail=st.binary())
@example(values=[[False, 2.1762557089505233e70, '0"\x1f\x07\x80\x80\x80']], tail=b"")
def test_whatever_the_rows_nothing_crashes_and_every_row_is_accounted_for(tmp_path, values, tail) -> None:
    every_row_is_accounted_for(tmp_path, values, tail)


@pytest.mark.proof
@settings(max_examples=1000, deadline=None, suppress_health_check=HEALTH)
@given(values=ROWS, tail=st.binary())
def test_whatever_the_rows_nothing_crashes_at_length(tmp_path, values, tail) -> None:
    every_row_is_accounted_for(tmp_path, values, tail)

"""What could not be read leaves a doubt, and a doubt is never green."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ingest.reading import read
from ingest.shapes import compressed, ndjson, postgres_csv, world_local
from logs import RUN, Log

from auditor import ExitCode, audit
from auditor.ingest import json_rows

CHEAP = ["duplicate-event-id"]
"""One rule, where only the verdict matters."""

EVENT = Log().events[1]


def test_a_cut_off_last_line_leaves_its_run_unjudged(tmp_path: Path) -> None:
    path = ndjson(Log().life("step", 0, "created", "completed").events, tmp_path / "log.ndjson")
    path.write_bytes(path.read_bytes()[:-40])
    with audit(path, select=CHEAP) as result:
        (run,) = result.runs
        assert [(row["line"], row["run_id"]) for row in result.report["rejects"]] == [(4, RUN)]
        assert (run["log_verdict"], run["reason"]) == ("cannot_tell", "1 of its rows could not be read")
        assert result.exit_code == ExitCode.CANNOT_TELL


def test_a_log_cut_off_at_the_front_keeps_its_other_rows(tmp_path: Path) -> None:
    path = ndjson(Log().life("step", 0, "created", "started", "completed").events, tmp_path / "log.ndjson")
    path.write_bytes(path.read_bytes()[40:])
    found = read(path)
    assert [row["line"] for row in found.events] == [2, 3, 4, 5]
    assert [(name, line) for name, line, _ in found.reasons] == [("log.ndjson", 1)]


def test_a_reject_without_a_run_casts_doubt_on_every_run_of_its_export(tmp_path: Path) -> None:
    path = ndjson([*Log("wrun_1").events, *Log("wrun_2").events], tmp_path / "log.ndjson")
    path.write_text(path.read_text() + "garbage\n")
    other = ndjson(Log().events, tmp_path / "other.ndjson")
    doubt = "1 unreadable rows of its export may belong to it"
    assert read(path, other, gaps=True).gaps == {"wrun_1": doubt, "wrun_2": doubt, RUN: None}


def test_a_run_id_that_is_damaged_itself_is_not_taken_for_another_run(tmp_path: Path) -> None:
    path = ndjson(Log().events, tmp_path / "log.ndjson")
    path.write_bytes(path.read_bytes() + json.dumps(EVENT).encode().replace(b"wrun_0", b"wrun_\xff"))
    found = read(path, gaps=True)
    assert found.rejects[0]["run_id"] is None
    assert found.gaps == {RUN: "1 unreadable rows of its export may belong to it"}


def test_tolerated_rejects_still_leave_their_run_unjudged(tmp_path: Path) -> None:
    path = ndjson(Log().events, tmp_path / "log.ndjson")
    path.write_text(path.read_text() + "garbage\n")
    with audit(path, select=CHEAP, max_rejects=5) as result:
        assert result.exit_code == ExitCode.CANNOT_TELL


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
    found = read(path, gaps=True)
    ((source, line, said),) = found.reasons
    assert (source, line) == ("workflow_events.csv", 2)
    assert reason in said
    assert len(found.events) == 2
    assert found.gaps[RUN] is not None


def test_an_empty_folder_is_never_green(tmp_path: Path) -> None:
    with audit(tmp_path, select=CHEAP) as result:
        assert result.verdict == "cannot_tell"
        assert result.exit_code == ExitCode.CANNOT_TELL
        assert "holds no event log that auditor knows" in result.report["inputs"][0]["problem"]


@pytest.mark.parametrize(
    "name", ["bad.ndjson", "bad.json", "bad.csv", "bad.parquet", "bad.ndjson.gz", "bad.csv.zst"]
)
def test_a_promised_log_that_is_none_is_a_reject_in_a_folder(name: str, tmp_path: Path) -> None:
    ndjson(Log().events, tmp_path / "good.ndjson")
    (tmp_path / "oops").write_text("oops\n")
    if name.endswith((".gz", ".xz")):
        compressed(tmp_path / "oops", tmp_path / name)
    else:
        (tmp_path / "oops").rename(tmp_path / name)
    found = read(tmp_path)
    assert [(source, line) for source, line, _ in found.reasons] == [(name, 1)]
    assert found.reasons[0][2].startswith("is no event log that auditor knows (auditor.log/v1, ")


def test_what_promises_nothing_is_left_aside_and_counted(tmp_path: Path) -> None:
    ndjson(Log().events, tmp_path / "good.ndjson")
    for name in ("README.md", "image.png", "run.stderr"):
        (tmp_path / name).write_text("[hello]\n")
    found = read(tmp_path)
    assert (found.rejects, found.problems, found.inputs[0]["skipped"]) == ([], [None], 3)


def test_an_export_of_the_cli_in_a_folder_called_events_is_no_world(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / f"{RUN}.json").write_text(json.dumps(Log().events))
    found = read(tmp_path)
    assert (len(found.events), found.rejects) == (2, [])


def test_rows_refused_twice_are_never_taken_for_those_of_another_file(tmp_path: Path, monkeypatch) -> None:
    ndjson(Log("wrun_1").events, tmp_path / "a.ndjson")
    (tmp_path / "b.ndjson").write_text(json.dumps(EVENT | {"eventData": "text"}) + "\n")
    monkeypatch.setattr(json_rows, "clean", lambda raw: raw)
    found = read(tmp_path / "a.ndjson", tmp_path / "b.ndjson")
    assert "could not be read" in found.problems[1]
    assert len(found.events) == 2


def test_a_world_that_is_damaged_here_and_there_keeps_the_rest(tmp_path: Path) -> None:
    log = Log().add("run_completed")
    path = world_local(log.events, tmp_path / "world")
    victim = path / "events" / f"{RUN}-{log.events[1]['eventId']}.json"
    victim.write_text('{"eventType": "run_')
    found = read(path, gaps=True)
    assert [source for source, *_ in found.reasons] == [f"events/{victim.name}"]
    assert len(found.events) == 2
    assert found.gaps[RUN] is not None

"""The same events give the same columns, findings and verdicts in every format."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import duckdb
import pytest
from ingest.shapes import ndjson, postgres_csv, tar_gz, tar_with, world_local
from logs import Log, entity, manifest, time, write

from auditor import Audit, InputError, UsageError, audit

BYTES = {"__type": "Uint8Array", "data": base64.b64encode(b'devl[[1],"secret"]').decode()}


def corrupt_log() -> Log:
    log = Log(core="4.8.9")
    log.add("step_created", entity("step", 0), data={"stepName": "charge", "input": BYTES})
    log.life("step", 0, "started", stepName="charge")
    log.add("step_completed", entity("step", 0), data={"stepName": "charge", "result": BYTES})
    log.life("step", 0, "started", stepName="charge")
    for due in (5, 6):
        log.add("wait_created", entity("wait", 1), data={"resumeAt": time(due)})
    return log.add("wait_completed", entity("wait", 1), data={"resumeAt": time(5)})


def shape(name: str, folder: Path) -> Path:
    events = corrupt_log().events
    match name:
        case "ndjson":
            return ndjson(events, folder / "log.ndjson")
        case "ndjson in tar":
            return tar_gz(ndjson(events, folder / "log.ndjson"), folder / "log.tar.gz")
        case "world-local":
            return world_local(events, folder / "world")
        case "world-local in tar":
            return tar_gz(world_local(events, folder / "world"), folder / "world.tar.gz")
        case "postgres":
            return postgres_csv(events, folder / "csv")
        case "postgres in tar":
            return tar_gz(postgres_csv(events, folder / "csv"), folder / "csv.tar.gz")
        case "one table":
            return postgres_csv(events, folder / "csv") / "workflow_events.csv"
    raise AssertionError(name)


SHAPES = [
    "ndjson",
    "ndjson in tar",
    "world-local",
    "world-local in tar",
    "postgres",
    "postgres in tar",
    "one table",
]


def columns(path: Path) -> list[tuple[Any, ...]]:
    """Every ingested column but those that say where a row came from."""
    with audit(path) as result:
        return result.con.execute(
            "SELECT * EXCLUDE (event_no, source_id, line) FROM event ORDER BY event_id"
        ).fetchall()


@pytest.mark.parametrize("name", SHAPES[1:])
def test_a_format_gives_the_same_columns(name: str, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    assert columns(shape(name, tmp_path / "a")) == columns(shape("ndjson", tmp_path / "b"))


@pytest.mark.parametrize("name", SHAPES)
def test_a_format_gives_the_same_findings_and_no_rejects(name: str, tmp_path: Path) -> None:
    with audit(shape(name, tmp_path)) as result:
        found = [(f["rule"], f["severity"], f["fingerprint"]["instance"]) for f in result.findings]
        report = result.report
    assert [(rule, severity) for rule, severity, _ in found] == [
        ("duplicate-wait-created", "error"),
        ("step-restarted-after-outcome", "error"),
    ]
    assert len({instance for *_, instance in found}) == 2
    assert report["counts"]["rejects"] == 0
    assert report["runs"][0]["core_version"] == "4.8.9"


def test_fingerprints_do_not_depend_on_the_format(tmp_path: Path) -> None:
    prints = set()
    for number, name in enumerate(SHAPES):
        folder = tmp_path / str(number)
        folder.mkdir()
        with audit(shape(name, folder)) as result:
            prints.add(tuple(f["fingerprint"]["instance"] for f in result.findings))
    assert len(prints) == 1


def test_a_witness_of_ndjson_knows_its_line(tmp_path: Path) -> None:
    with audit(shape("ndjson", tmp_path)) as result:
        restart = next(f for f in result.findings if f["rule"] == "step-restarted-after-outcome")
    assert [(w["source"], w["line"]) for w in restart["witness"]] == [("log.ndjson", 5), ("log.ndjson", 6)]


def test_a_blank_line_does_not_shift_the_lines_of_witnesses(tmp_path: Path) -> None:
    path = shape("ndjson", tmp_path)
    path.write_text("\n\n" + path.read_text().replace("\n", "\n\n"))
    with audit(path) as result:
        restart = next(f for f in result.findings if f["rule"] == "step-restarted-after-outcome")
        assert result.report["counts"]["rejects"] == 0
    assert [w["line"] for w in restart["witness"]] == [11, 13]


def test_a_byte_order_mark_is_no_part_of_the_log(tmp_path: Path) -> None:
    path = shape("ndjson", tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    with audit(path) as result:
        assert result.report["counts"]["rejects"] == 0
        assert result.report["counts"]["events"] == len(corrupt_log().events)


def test_a_witness_of_a_table_knows_its_row(tmp_path: Path) -> None:
    with audit(shape("postgres", tmp_path)) as result:
        restart = next(f for f in result.findings if f["rule"] == "step-restarted-after-outcome")
    assert [(w["source"], w["line"]) for w in restart["witness"]] == [
        ("workflow_events.csv", 6),
        ("workflow_events.csv", 7),
    ]


def test_a_witness_of_world_local_knows_its_file(tmp_path: Path) -> None:
    with audit(shape("world-local", tmp_path)) as result:
        witness = result.findings[0]["witness"][0]
    assert witness["source"] == f"events/{witness['run_id']}-{witness['event_id']}.json"
    assert witness["line"] is None


def test_left_overs_of_a_killed_process_are_skipped_and_counted(tmp_path: Path) -> None:
    path = shape("world-local", tmp_path)
    (path / "events" / "wrun_X-evnt_Y.json.tmp.01KAP2D000").write_text("")
    (path / "hooks" / "token-index").mkdir()
    (path / "hooks" / "token-index" / "evnt_1.json").write_text("{}")
    with audit(path) as result:
        report = result.report
    assert report["inputs"][0]["skipped"] == 4
    assert report["inputs"][0]["problem"] is None


def test_a_folder_may_hold_a_mix(tmp_path: Path) -> None:
    ndjson(Log("wrun_" + "1" * 26).add("run_completed").events, tmp_path / "one.ndjson")
    world_local(Log("wrun_" + "2" * 26).add("run_completed").events, tmp_path / "world")
    inner = tmp_path / "inner"
    inner.mkdir()
    tar_gz(postgres_csv(Log("wrun_" + "3" * 26).add("run_completed").events, tmp_path / "csv"), inner / "x.tar.gz")
    (tmp_path / "README.md").write_text("# notes")
    with audit(tmp_path) as result:
        assert [run["run_id"][-1] for run in result.runs] == ["1", "2", "3"]
        (row,) = result.report["inputs"]
        assert row["format"] == "auditor.log/v1 + postgres-world + world-local"
        # The table stands in the folder and, again, in the tar: one run, its rows merged.
        assert row["merged"] == 3
        assert result.report["counts"]["events"] == 9


def test_names_inside_an_archive_are_never_paths(tmp_path: Path) -> None:
    text = ndjson(corrupt_log().events, tmp_path / "log.ndjson").read_bytes()
    inside = tmp_path / "inside"
    inside.mkdir()
    archive = tar_with("../../outside.ndjson", text, inside / "log.tar.gz")
    with audit(archive) as result:
        assert result.report["counts"]["events"] == len(corrupt_log().events)
    assert not (tmp_path.parent / "outside.ndjson").exists()


def test_events_in_any_order_are_one_log(tmp_path: Path) -> None:
    events = corrupt_log().events
    forward = ndjson(events, tmp_path / "forward.ndjson")
    backward = ndjson(reversed(events), tmp_path / "backward.ndjson")
    with audit(forward) as one, audit(backward) as two:
        assert [f["fingerprint"] for f in one.findings] == [f["fingerprint"] for f in two.findings]
        assert one.report["audit"]["id"] == two.report["audit"]["id"]


def test_recorded_positions_are_the_order_of_a_log_with_foreign_ids(tmp_path: Path) -> None:
    events = [
        event | {"position": number, "eventId": f"e{100 - number}"}
        for number, event in enumerate(Log().life("wait", 0, "created", "completed").events, start=1)
    ]
    with audit(write(tmp_path / "log.ndjson", manifest("position"), events)) as result:
        assert result.verdict == "sound"


def test_foreign_ids_without_positions_cannot_be_ordered(tmp_path: Path) -> None:
    events = [event | {"eventId": f"e{number}"} for number, event in enumerate(Log().events)]
    with audit(ndjson(events, tmp_path / "log.ndjson")) as result:
        assert result.verdict == "cannot_tell"
        assert "no known scheme" in result.runs[0]["reason"]


def test_slots_are_positions(tmp_path: Path) -> None:
    log = Log(slots=True, spec=7, core="5.0.0-beta.55").add("run_completed")
    with audit(ndjson(log.events, tmp_path / "log.ndjson")) as result:
        assert result.verdict == "sound"
        capabilities = {row["name"]: row["runs"] for row in result.report["capabilities"]}
    assert capabilities["slots"] == 1


def test_a_time_with_an_offset_is_that_moment(tmp_path: Path) -> None:
    log = Log().add("run_completed")
    log.events[-1]["createdAt"] = "2026-11-22T14:00:03.000+02:00"
    with audit(ndjson(log.events, tmp_path / "log.ndjson")) as result:
        (moment,) = result.con.execute("SELECT CAST(max(created_at) AS VARCHAR) FROM event").fetchall()
    assert moment == ("2026-11-22 12:00:03",)


def test_a_path_that_does_not_exist_is_misuse(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        audit(tmp_path / "nothing")


def test_a_saved_audit_opens_again(tmp_path: Path) -> None:
    audit(shape("ndjson", tmp_path), save=tmp_path / "kept.duckdb").close()
    with Audit.open(tmp_path / "kept.duckdb") as result:
        assert result.verdict == "corrupt"
    assert not (tmp_path / "kept.duckdb.part").exists()
    duckdb.connect(str(tmp_path / "other.duckdb")).close()
    with pytest.raises(InputError, match="is no audit file"):
        Audit.open(tmp_path / "other.duckdb")

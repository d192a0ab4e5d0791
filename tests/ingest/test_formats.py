"""The same events give the same columns, findings and verdicts in every format."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from ingest.reading import read
from ingest.shapes import (
    cli_array,
    cli_page,
    compressed,
    foreign_csv,
    ndjson,
    parquet,
    postgres_csv,
    renamed,
    tar,
    tar_gz,
    world_local,
    zipped,
)
from logs import Log, entity, manifest, time, write

from auditor import Audit, InputError, UsageError, audit

RULES = ["duplicate-wait-created", "step-restarted-after-outcome"]
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


SHAPES: dict[str, Callable[[Path], Path]] = {
    "ndjson": lambda folder: ndjson(corrupt_log().events, folder / "log.ndjson"),
    "world-local": lambda folder: world_local(corrupt_log().events, folder / "world"),
    "world-local in .tar.gz": lambda folder: tar_gz(SHAPES["world-local"](folder), folder / "world.tar.gz"),
    "world-local in .zip": lambda folder: zipped(SHAPES["world-local"](folder), folder / "world.zip"),
    "world-local in .tar.zst": lambda folder: compressed(
        tar(SHAPES["world-local"](folder), folder / "x.tar"), folder / "world.tar.zst"
    ),
    "postgres": lambda folder: postgres_csv(corrupt_log().events, folder / "csv"),
    "postgres in .tar.gz": lambda folder: tar_gz(SHAPES["postgres"](folder), folder / "csv.tar.gz"),
    "one table": lambda folder: SHAPES["postgres"](folder) / "workflow_events.csv",
    "cli": lambda folder: cli_array(corrupt_log().events, folder / "events.json"),
    "cli page": lambda folder: cli_page(corrupt_log().events, folder / "events.json"),
    "csv": lambda folder: foreign_csv(renamed(corrupt_log().events), folder / "log.csv"),
    "parquet": lambda folder: parquet(renamed(corrupt_log().events), folder / "log.parquet"),
}


def shape(name: str, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return SHAPES[name](folder)


@pytest.mark.parametrize("name", list(SHAPES)[1:])
def test_a_format_gives_the_same_columns(name: str, tmp_path: Path) -> None:
    found = read(shape(name, tmp_path / "a"))
    assert found.content == read(shape("ndjson", tmp_path / "b")).content
    assert (found.rejects, found.problems) == ([], [None])


def test_every_format_gives_the_same_findings(tmp_path: Path) -> None:
    expected = [("duplicate-wait-created", "error"), ("step-restarted-after-outcome", "error")]
    fingerprints = set()
    for name in ("ndjson", "world-local in .zip", "cli", "parquet"):
        with audit(shape(name, tmp_path / name), select=RULES) as result:
            assert [(finding["rule"], finding["severity"]) for finding in result.findings] == expected
            assert result.runs[0]["core_version"] == "4.8.9"
            fingerprints.add(tuple(finding["fingerprint"]["instance"] for finding in result.findings))
    assert len(fingerprints) == 1


def test_a_witness_of_ndjson_knows_its_line(tmp_path: Path) -> None:
    with audit(shape("ndjson", tmp_path), select=RULES) as result:
        restart = next(f for f in result.findings if f["rule"] == "step-restarted-after-outcome")
    assert [(w["source"], w["line"]) for w in restart["witness"]] == [("log.ndjson", 5), ("log.ndjson", 6)]


def test_a_blank_line_does_not_shift_the_lines_of_witnesses(tmp_path: Path) -> None:
    path = shape("ndjson", tmp_path)
    path.write_text("\n\n" + path.read_text().replace("\n", "\n\n"))
    found = read(path)
    assert found.rejects == []
    assert [row["line"] for row in found.events] == list(range(3, 3 + 2 * len(found.events), 2))


def test_a_byte_order_mark_is_no_part_of_the_log(tmp_path: Path) -> None:
    path = shape("ndjson", tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    found = read(path)
    assert (len(found.events), found.rejects) == (len(corrupt_log().events), [])


def test_a_witness_of_a_table_knows_its_row(tmp_path: Path) -> None:
    with audit(shape("postgres", tmp_path), select=RULES) as result:
        restart = next(f for f in result.findings if f["rule"] == "step-restarted-after-outcome")
    assert [(w["source"], w["line"]) for w in restart["witness"]] == [
        ("workflow_events.csv", 6),
        ("workflow_events.csv", 7),
    ]


def test_a_witness_of_world_local_knows_its_file(tmp_path: Path) -> None:
    with audit(shape("world-local", tmp_path), select=RULES) as result:
        witness = result.findings[0]["witness"][0]
    assert witness["source"] == f"events/{witness['run_id']}-{witness['event_id']}.json"
    assert witness["line"] is None


def test_left_overs_of_a_killed_process_are_skipped_and_counted(tmp_path: Path) -> None:
    path = shape("world-local", tmp_path)
    (path / "events" / "wrun_X-evnt_Y.json.tmp.01KAP2D000").write_text("")
    (path / "hooks" / "token-index").mkdir()
    (path / "hooks" / "token-index" / "evnt_1.json").write_text("{}")
    found = read(path)
    assert (found.inputs[0]["skipped"], found.problems) == (4, [None])


def test_a_folder_may_hold_a_mix(tmp_path: Path) -> None:
    ndjson(Log("wrun_" + "1" * 26).add("run_completed").events, tmp_path / "one.ndjson")
    world_local(Log("wrun_" + "2" * 26).add("run_completed").events, tmp_path / "world")
    inner = tmp_path / "inner"
    inner.mkdir()
    tar_gz(postgres_csv(Log("wrun_" + "3" * 26).add("run_completed").events, tmp_path / "csv"), inner / "x.tar.gz")
    (tmp_path / "README.md").write_text("# notes")
    found = read(tmp_path, gaps=True)
    assert [(run[-1], gap) for run, gap in sorted(found.gaps.items())] == [("1", None), ("2", None), ("3", None)]
    (row,) = found.inputs
    assert row["format"] == "auditor.log/v1 + postgres-world + world-local"
    # The table stands in the folder and, again, in the tar: one run, its rows merged.
    assert (row["merged"], len(found.events)) == (3, 9)


def test_events_in_any_order_are_one_log(tmp_path: Path) -> None:
    events = corrupt_log().events
    forward = ndjson(events, tmp_path / "forward.ndjson")
    backward = ndjson(reversed(events), tmp_path / "backward.ndjson")
    with audit(forward, select=RULES) as one, audit(backward, select=RULES) as two:
        assert [f["fingerprint"] for f in one.findings] == [f["fingerprint"] for f in two.findings]
        assert one.report["audit"]["id"] == two.report["audit"]["id"]


def test_recorded_positions_are_the_order_of_a_log_with_foreign_ids(tmp_path: Path) -> None:
    events = [
        event | {"position": number, "eventId": f"e{100 - number}"}
        for number, event in enumerate(Log().life("wait", 0, "created", "completed").events, start=1)
    ]
    with audit(write(tmp_path / "log.ndjson", manifest("position"), events), select=RULES) as result:
        assert result.verdict == "sound"


def test_foreign_ids_without_positions_cannot_be_ordered(tmp_path: Path) -> None:
    events = [event | {"eventId": f"e{number}"} for number, event in enumerate(Log().events)]
    with audit(ndjson(events, tmp_path / "log.ndjson"), select=RULES) as result:
        assert result.verdict == "cannot_tell"
        assert "no known scheme" in result.runs[0]["reason"]


def test_slots_are_positions(tmp_path: Path) -> None:
    log = Log(slots=True, spec=7, core="5.0.0-beta.55").add("run_completed")
    with audit(ndjson(log.events, tmp_path / "log.ndjson"), select=RULES) as result:
        assert result.verdict == "sound"
        capabilities = {row["name"]: row["runs"] for row in result.report["capabilities"]}
    assert capabilities["slots"] == 1


def test_a_time_with_an_offset_is_that_moment(tmp_path: Path) -> None:
    log = Log().add("run_completed")
    log.events[-1]["createdAt"] = "2026-11-22T14:00:03.000+02:00"
    found = read(ndjson(log.events, tmp_path / "log.ndjson"))
    assert str(found.events[-1]["created_at"]) == "2026-11-22 12:00:03"


def test_a_path_that_does_not_exist_is_misuse(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        audit(tmp_path / "nothing")


def test_a_saved_audit_opens_again(tmp_path: Path) -> None:
    audit(shape("ndjson", tmp_path), select=RULES, save=tmp_path / "kept.duckdb").close()
    with Audit.open(tmp_path / "kept.duckdb") as result:
        assert result.verdict == "corrupt"
    assert not (tmp_path / "kept.duckdb.part").exists()
    duckdb.connect(str(tmp_path / "other.duckdb")).close()
    with pytest.raises(InputError, match="is no audit file"):
        Audit.open(tmp_path / "other.duckdb")

"""The same run read more than once: one set of events, each with the most that any export says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ingest.reading import read
from ingest.shapes import cli_array, foreign_csv, ndjson, postgres_csv, renamed, tar_gz, world_local
from logs import RUN, Log, entity, manifest, time, write

from auditor import audit


def log() -> Log:
    log = Log().add("step_created", entity("step", 0), data={"stepName": "charge", "input": {"card": 1}})
    log.add("step_completed", entity("step", 0), data={"stepName": "charge", "result": {"ok": True}})
    log.add("wait_created", entity("wait", 1), data={"resumeAt": time(9)})
    return log.add("run_completed", data={"output": 1})


def bare() -> list[dict[str, Any]]:
    """The events as an export without payloads has them."""
    payloads = ("input", "result", "output")
    return [
        event | {"eventData": {k: v for k, v in event.get("eventData", {}).items() if k not in payloads}}
        for event in log().events
    ]


def capabilities(*paths: Path) -> dict[str, int]:
    with audit(*paths, select=["duplicate-event-id"]) as result:
        assert result.findings == []
        return {row["name"]: row["runs"] for row in result.report["capabilities"]}


PAIRS = {
    "ndjson twice": (
        lambda f: ndjson(log().events, f / "a.ndjson"),
        lambda f: ndjson(log().events, f / "b.ndjson"),
    ),
    "world-local twice": (
        lambda f: world_local(log().events, f / "a"),
        lambda f: tar_gz(world_local(log().events, f / "b"), f / "b.tar.gz"),
    ),
    "world-local and the CLI": (
        lambda f: world_local(log().events, f / "a"),
        lambda f: cli_array(bare(), f / "b.json"),
    ),
    "the CLI and the CLI with data": (
        lambda f: cli_array(bare(), f / "a.json"),
        lambda f: cli_array(log().events, f / "b.json"),
    ),
    "ndjson and a bare csv": (
        lambda f: ndjson(log().events, f / "a.ndjson"),
        lambda f: foreign_csv(renamed(bare()), f / "b.csv"),
    ),
    "postgres and ndjson": (
        lambda f: postgres_csv(log().events, f / "a"),
        lambda f: ndjson(log().events, f / "b.ndjson"),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_two_exports_of_a_run_are_one_log(name: str, tmp_path: Path) -> None:
    one, other = (make(tmp_path) for make in PAIRS[name])
    events = len(log().events)
    for pair in ((one, other), (other, one)):
        found = read(*pair, gaps=True)
        assert [row["event_id"] for row in found.content] == [event["eventId"] for event in log().events]
        assert [row["step_name"] for row in found.events] == [None, None, "charge", "charge", None, None]
        assert [row["payload_bytes"] is not None for row in found.events] == [
            False,
            False,
            True,
            True,
            False,
            True,
        ]
        assert [(row["events"], row["merged"]) for row in found.inputs] == [(events, 0), (events, events)]
        assert len(found.copies) == events
        assert {row["event_no"] for row in found.copies} == {row["event_no"] for row in found.events}
        assert found.gaps == {RUN: None}


def test_two_exports_are_a_capability(tmp_path: Path) -> None:
    one, other = (make(tmp_path) for make in PAIRS["world-local and the CLI"])
    assert capabilities(one)["two_exports"] == 0
    assert capabilities(one, other)["two_exports"] == 1


def test_a_copy_knows_where_it_stands(tmp_path: Path) -> None:
    events = log().events
    one, other = ndjson(events, tmp_path / "a.ndjson"), ndjson(reversed(events), tmp_path / "b.ndjson")
    found = read(one, other)
    sources = {row["source_id"]: row["name"] for row in found.sources}
    lines = {row["event_no"]: row["line"] for row in found.events}
    copies = [(sources[row["source_id"]], lines[row["event_no"]], row["line"]) for row in found.copies]
    assert sorted(copies) == [("b.ndjson", line, len(events) + 1 - line) for line in range(1, len(events) + 1)]


def test_a_row_that_stands_twice_in_one_file_is_merged_but_no_second_export(tmp_path: Path) -> None:
    path = ndjson(log().events * 2, tmp_path / "log.ndjson")
    found = read(path)
    assert len(found.events) == len(found.copies) == found.inputs[0]["merged"] == len(log().events)
    assert capabilities(path)["two_exports"] == 0


def test_a_log_split_in_two_files_is_not_two_exports(tmp_path: Path) -> None:
    events = log().events
    one, other = ndjson(events[:3], tmp_path / "a.ndjson"), ndjson(events[3:], tmp_path / "b.ndjson")
    found = read(one, other, gaps=True)
    assert len(found.events) == len(events)
    assert (found.copies, found.gaps) == ([], {RUN: None})
    assert capabilities(one, other)["two_exports"] == 0


def test_exports_that_overlap_are_one_log(tmp_path: Path) -> None:
    events = log().events
    one, other = ndjson(events[:4], tmp_path / "a.ndjson"), ndjson(events[2:], tmp_path / "b.ndjson")
    found = read(one, other)
    assert len(found.events) == len(events)
    assert [row["merged"] for row in found.inputs] == [0, 2]
    assert capabilities(one, other)["two_exports"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"eventType": "step_failed"},
        {"correlationId": entity("step", 7)},
        {"createdAt": time(77)},
        {"eventData": {"stepName": "refund"}},
        {"eventData": {"stepName": "charge", "result": {"ok": False}}},
        {"eventData": {"stepName": "charge", "attempt": 3}, "specVersion": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_content_under_one_id_stays(change: dict[str, Any], tmp_path: Path) -> None:
    events = log().events
    other = [event | (change if number == 3 else {}) for number, event in enumerate(events)]
    found = read(ndjson(events, tmp_path / "a.ndjson"), ndjson(other, tmp_path / "b.ndjson"))
    assert len(found.events) == len(events) + 1
    assert found.inputs[1]["merged"] == len(events) - 1


def test_other_content_under_one_id_is_a_finding(tmp_path: Path) -> None:
    events = log().events
    other = [*events[:3], events[3] | {"eventType": "step_failed"}, *events[4:]]
    paths = ndjson(events, tmp_path / "a.ndjson"), ndjson(other, tmp_path / "b.ndjson")
    with audit(*paths, select=["duplicate-event-id"]) as result:
        (finding,) = result.findings
    assert {witness["source"] for witness in finding["witness"]} == {"a.ndjson", "b.ndjson"}


def test_of_three_rows_under_one_id_the_equal_two_are_one(tmp_path: Path) -> None:
    events = log().events
    other = [*events[:3], events[3] | {"createdAt": time(77)}, *events[4:]]
    found = read(ndjson([*events, *other, *events], tmp_path / "log.ndjson"))
    assert len(found.events) == len(events) + 1
    assert found.inputs[0]["merged"] == 2 * len(events) - 1


def test_one_event_id_in_two_runs_is_two_events(tmp_path: Path) -> None:
    one = Log("wrun_1", slots=True, spec=7).events
    other = Log("wrun_2", slots=True, spec=7).events
    found = read(ndjson([*one, *other], tmp_path / "log.ndjson"))
    assert (len(found.events), found.copies) == (4, [])


def test_a_broken_row_of_one_export_is_not_healed_by_another(tmp_path: Path) -> None:
    whole = ndjson(log().events, tmp_path / "a.ndjson")
    broken = tmp_path / "b.ndjson"
    broken.write_text("".join(json.dumps(event) + "\n" for event in log().events[:-1]) + '{"runId": "')
    found = read(whole, broken, gaps=True)
    assert len(found.events) == len(log().events)
    assert found.gaps == {RUN: "1 unreadable rows of its export may belong to it"}


def test_what_one_export_adds_is_kept_with_the_events_of_the_other(tmp_path: Path) -> None:
    """A recorder's file has fences and hashes; the world's own export has none of them, but the payloads."""
    recorded = [
        event | {"position": n, "fence": {"kind": "tail", "value": f"e{n - 1}"}, "hash": f"h{n}", "tickId": "t"}
        for n, event in enumerate(bare(), 1)
    ]
    one = write(tmp_path / "recorded.ndjson", manifest("fence", "hash"), recorded)
    other = world_local(log().events, tmp_path / "world")
    for pair in ((one, other), (other, one)):
        found = read(*pair)
        assert [row["hash"] for row in found.events] == [f"h{n}" for n in range(1, 7)]
        assert {row["fence_kind"] for row in found.events} == {"tail"}
        assert sum(row["payload_bytes"] is not None for row in found.events) == 3


def rewritten(*paths: Path) -> list[tuple[list[int], bool]]:
    """The positions in the witness of every finding that an event was put in, and whether it folds."""
    with audit(*paths) as result:
        return [
            ([witness["position"] for witness in finding["witness"]], finding["folded_under"] is not None)
            for finding in result.findings
            if finding["rule"] == "prefix-rewritten"
        ]


def headed(events: list[dict[str, Any]], path: Path, *, count: int | None = None) -> Path:
    """An export that counts its events, rightly or not."""
    head = {"record": "head", "runId": RUN, "tail": events[-1]["eventId"], "events": count or len(events)}
    return write(path, manifest(), events, head)


def test_an_event_that_an_earlier_export_lacks_was_put_in_behind_it(tmp_path: Path) -> None:
    events = log().events
    earlier = world_local([*events[:3], events[4]], tmp_path / "a")
    later = world_local(events, tmp_path / "b")
    assert rewritten(earlier, later) == rewritten(later, earlier) == [([4, 5], False)]


def test_an_export_that_counts_its_events_is_whole_in_any_format(tmp_path: Path) -> None:
    events = log().events
    earlier = headed([*events[:3], *events[4:]], tmp_path / "a.ndjson")
    later = headed(events[:5], tmp_path / "b.ndjson")
    assert rewritten(earlier, later) == [([4, 5], False)]


def test_places_that_moved_are_found_once(tmp_path: Path) -> None:
    """Where positions are recorded, every event behind the late one has two contents."""
    placed = [[*log().events[:3], *log().events[4:]], log().events]
    exports = [
        headed([event | {"position": n} for n, event in enumerate(events, 1)], tmp_path / f"{name}.ndjson")
        for name, events in enumerate(placed)
    ]
    with audit(*exports) as result:
        roots = {finding["rule"] for finding in result.findings if finding["folded_under"] is None}
        assert {finding["rule"] for finding in result.findings} > {"prefix-rewritten", "duplicate-event-id"}
    assert "prefix-rewritten" in roots
    assert "duplicate-event-id" not in roots


SHORT = {
    "it ends earlier": (lambda e: e[:4], world_local),
    "its beginning is missing": (lambda e: e[2:], world_local),
    "it may have lost a line": (lambda e: [*e[:3], *e[4:]], ndjson),
    "it has what the other lacks": (lambda e: [*e[:2], *e[3:]], world_local),
    "it says that it lost one": (lambda e: [*e[:3], *e[4:]], lambda e, path: headed(e, path, count=6)),
}


@pytest.mark.parametrize("name", SHORT)
def test_an_export_that_is_short_is_no_earlier_state(name: str, tmp_path: Path) -> None:
    shorten, shape = SHORT[name]
    events = log().events
    other = [*events[:4], *events[5:]] if name == "it has what the other lacks" else events
    assert rewritten(shape(shorten(events), tmp_path / "a"), world_local(other, tmp_path / "b")) == []


def test_what_was_said_in_a_slot_that_was_empty_is_no_surprise(tmp_path: Path) -> None:
    events = Log(slots=True, spec=7).add("wait_created", entity("wait", 0)).add("run_completed").events
    paths = headed([*events[:2], events[3]], tmp_path / "a.ndjson"), headed(events, tmp_path / "b.ndjson")
    assert rewritten(*paths) == []

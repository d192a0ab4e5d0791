"""What `workflow inspect ... --json` prints: arrays, pages and single objects, and how the CLI cuts them off."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from corpora.conftest import HOME
from ingest.reading import read, read_each
from ingest.shapes import cli_array, cli_page, ndjson
from logs import RUN, Log, entity, time

from auditor import audit

STEP = {"runId": RUN, "stepId": entity("step", 0), "stepName": "charge", "status": "completed", "attempt": 1}
SLEEP = {"correlationId": entity("wait", 1), "runId": RUN, "eventId": "evnt_1", "resumeAt": time(9)}
HOOK = {"runId": RUN, "hookId": entity("hook", 2), "token": "secret", "createdAt": time(1)}
RUN_ROW = {"runId": RUN, "status": "completed", "workflowName": "order", "createdAt": time(0), "specVersion": 3}

CUT = "at which the CLI cuts off without a word; export it newest first or with another --limit"


def run_id(number: int) -> str:
    """For logs that are read at once, each of which needs a run of its own."""
    return f"wrun_{number:026d}"


def log(events: int = 0, run: str = RUN) -> Log:
    """A run with two steps, and as many events as it takes."""
    log = Log(run)
    log.add("step_created", entity("step", 0), data={"stepName": "charge", "input": {"card": 1}})
    log.add("step_retrying", entity("step", 0), data={"error": "declined", "stack": "at charge"})
    log.add("step_completed", entity("step", 0), data={"stepName": "charge", "result": {"ok": True}})
    while len(log.events) < events - 1:
        log.add("attr_set")
    return log.add("run_completed", data={"output": 1})


def without_data(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the CLI prints them without `--withData`: payloads are gone but for the stack."""
    bare = []
    for event in events:
        data = {
            k: v for k, v in event.get("eventData", {}).items() if k not in ("input", "error", "result", "output")
        }
        bare.append({k: v for k, v in event.items() if k != "eventData"} | ({"eventData": data} if data else {}))
    return bare


class TestShapes:
    """An array, a page and an object are the same rows."""

    @pytest.mark.parametrize("newest_first", [True, False])
    def test_an_array_of_events_is_a_log(self, newest_first: bool, tmp_path: Path) -> None:
        found = read(cli_array(log().events, tmp_path / "e.json", newest_first=newest_first), gaps=True)
        assert found.content == read(ndjson(log().events, tmp_path / "log.ndjson")).content
        assert found.inputs[0]["format"] == "workflow-cli-json"
        assert found.gaps == {RUN: None}
        assert [row["line"] for row in found.events] == list(range(6, 0, -1) if newest_first else range(1, 7))

    def test_a_page_of_events_is_a_log(self, tmp_path: Path) -> None:
        found = read(cli_page(log().events, tmp_path / "e.json"), gaps=True)
        assert found.content == read(ndjson(log().events, tmp_path / "log.ndjson")).content
        assert found.gaps == {RUN: None}

    def test_an_array_on_one_line_is_a_log(self, tmp_path: Path) -> None:
        (tmp_path / "e.json").write_text("\ufeff" + json.dumps(log().events), "utf-8")
        assert len(read(tmp_path / "e.json").events) == 6

    def test_steps_sleeps_hooks_and_runs_are_rows_of_entities(self, tmp_path: Path) -> None:
        cli_array(log().events, tmp_path / "events.json")
        (tmp_path / "steps.json").write_text(json.dumps([STEP]))
        (tmp_path / "sleeps.json").write_text(json.dumps([SLEEP]))
        cli_page([HOOK], tmp_path / "hooks.json")
        cli_page([RUN_ROW], tmp_path / "runs.json")
        (tmp_path / "run.json").write_text(json.dumps(RUN_ROW | {"output": 1}, indent=2))
        found = read(tmp_path, gaps=True)
        assert [(row["kind"], row["correlation_id"]) for row in found.entities] == [
            ("hook", entity("hook", 2)),
            ("run", None),
            ("run", None),
            ("step", entity("step", 0)),
            ("wait", entity("wait", 1)),
        ]
        assert found.gaps == {RUN: None}
        assert all("entities" in row["records"] for row in found.exports)
        assert found.rejects == []
        assert "secret" not in str(found)

    def test_empty_arrays_and_pages_are_no_reason_to_doubt(self, tmp_path: Path) -> None:
        cli_array(log().events, tmp_path / "events.json")
        (tmp_path / "sleeps.json").write_text("[]\n")
        cli_page([], tmp_path / "hooks.json")
        found = read(tmp_path, gaps=True)
        assert found.gaps == {RUN: None}
        assert (found.rejects, found.problems) == ([], [None])

    def test_what_the_cli_says_beside_its_json_is_left_aside(self, tmp_path: Path) -> None:
        cli_array(log().events, tmp_path / "events.json")
        (tmp_path / "events.stderr").write_text("[Debug] Initializing world\n")
        found = read(tmp_path, gaps=True)
        assert (found.rejects, found.inputs[0]["skipped"], found.gaps) == ([], 1, {RUN: None})


class TestData:
    """Without `--withData` there are no payloads, and none are missed."""

    @pytest.mark.parametrize("names", [("a.json", "b.json"), ("b.json", "a.json")])
    def test_both_exports_of_a_run_are_one_log_with_payloads(self, names: tuple[str, str], tmp_path: Path) -> None:
        cli_array(log().events, tmp_path / names[0])
        cli_array(without_data(log().events), tmp_path / names[1])
        found = read(tmp_path, gaps=True)
        alone = read(ndjson(log().events, tmp_path / "log.ndjson"))
        assert found.content == alone.content
        assert found.inputs[0]["merged"] == 6

    def test_an_export_without_data_has_lost_nothing(self, tmp_path: Path) -> None:
        other = Log("wrun_01KAP2D000QQQQQQQQQQQQQQQQ").life("step", 0, "created", "completed").add("run_completed")
        cli_array(log().events, tmp_path / "one.json")
        cli_array(without_data(other.events), tmp_path / "two.json")
        with audit(tmp_path, select=["payload-missing"]) as result:
            assert result.findings == []
            assert result.verdict == "sound"

    def test_a_stack_alone_is_no_payload(self, tmp_path: Path) -> None:
        found = read(cli_array(without_data(log().events), tmp_path / "e.json"))
        assert {row["payload_bytes"] for row in found.events} == {None}


class TestCutOff:
    """The CLI stops at 20, 100 or 1,000 rows and does not say so."""

    def test_an_array_as_long_as_a_limit_is_not_judged(self, tmp_path: Path) -> None:
        paths = {
            str(limit): cli_array(log(limit + 1, run_id(limit)).events[1:], tmp_path / f"{limit}.json")
            for limit in (20, 100, 1000)
        }
        for limit, found in read_each(paths, gaps=True).items():
            assert found.gaps == {run_id(int(limit)): f"the array holds exactly {limit} rows, {CUT}"}

    def test_the_verdict_says_what_to_do(self, tmp_path: Path) -> None:
        path = cli_array(log(25).events[:20], tmp_path / "e.json", newest_first=False)
        with audit(path, select=["duplicate-event-id"]) as result:
            assert result.exit_code == 3
            assert result.runs[0]["log_verdict"] == "cannot_tell"
            assert "export it newest first or with another --limit" in result.runs[0]["reason"]

    def test_any_other_length_is_judged(self, tmp_path: Path) -> None:
        paths = {
            str(events): cli_array(log(events, run_id(events)).events, tmp_path / f"{events}.json")
            for events in (19, 21, 99, 101)
        }
        for events, found in read_each(paths, gaps=True).items():
            assert found.gaps == {run_id(int(events)): None}

    def test_an_array_that_reaches_back_to_the_creation_is_whole(self, tmp_path: Path) -> None:
        assert read(cli_array(log(20).events, tmp_path / "e.json"), gaps=True).gaps == {RUN: None}

    def test_oldest_first_it_may_be_cut_off_behind(self, tmp_path: Path) -> None:
        found = read(cli_array(log(20).events, tmp_path / "e.json", newest_first=False), gaps=True)
        assert found.gaps == {RUN: f"the array holds exactly 20 rows, {CUT}"}

    def test_an_array_of_two_runs_proves_nothing_about_either(self, tmp_path: Path) -> None:
        events = [*log(10).events, *[event | {"runId": "wrun_2"} for event in log(10).events]]
        assert None not in read(cli_array(events, tmp_path / "e.json"), gaps=True).gaps.values()

    def test_an_uncut_export_beside_it_heals(self, tmp_path: Path) -> None:
        cli_array(log(30).events[10:], tmp_path / "default.json")
        assert None not in read(tmp_path, gaps=True).gaps.values()
        cli_array(log(30).events, tmp_path / "limit1000.json")
        found = read(tmp_path, gaps=True)
        assert found.gaps == {RUN: None}
        assert len(found.events) == 30

    def test_a_page_with_more_behind_it_is_not_judged(self, tmp_path: Path) -> None:
        found = read(cli_page(log().events, tmp_path / "e.json", more=True), gaps=True)
        assert found.gaps == {RUN: "the page says hasMore: there are rows that were not exported"}

    def test_a_page_of_a_limit_is_whole_if_it_says_so(self, tmp_path: Path) -> None:
        assert read(cli_page(log(20).events, tmp_path / "e.json"), gaps=True).gaps == {RUN: None}

    def test_a_list_of_runs_with_more_behind_it_says_nothing_about_a_log(self, tmp_path: Path) -> None:
        cli_array(log().events, tmp_path / "e.json")
        cli_page([RUN_ROW], tmp_path / "runs.json", more=True)
        assert read(tmp_path, gaps=True).gaps == {RUN: None}


class TestDamage:
    """What is broken is named by its element; those before it, and behind it if they can be found, are kept."""

    def test_a_cut_off_array_keeps_its_first_elements(self, tmp_path: Path) -> None:
        paths = {}
        for lost in (1, 2, 3, 40, 150):
            path = paths[str(lost)] = cli_array(log(run=run_id(lost)).events, tmp_path / f"{lost}.json")
            path.write_text(path.read_text()[: -1 - lost])
        for lost, found in read_each(paths, gaps=True).items():
            (reject,) = found.rejects
            assert reject["line"] == len(found.events) + 1, lost
            assert "the file is cut off" in reject["reason"], lost
            assert list(found.gaps) == [run_id(int(lost))]
            assert None not in found.gaps.values(), lost

    def test_an_element_that_is_broken_is_named_and_the_others_are_kept(self, tmp_path: Path) -> None:
        path = cli_array(log().events, tmp_path / "e.json")
        lines = path.read_text().splitlines()
        at = lines.index('    "eventType": "step_retrying",')
        lines[at] = '    "eventType": "step_'
        path.write_text("\n".join(lines))
        found = read(path, gaps=True)
        assert found.reasons == [("e.json", 3, f"not JSON (line {at})")]
        assert len(found.events) == 5
        assert found.gaps == {RUN: "1 of its rows could not be read"}

    def test_what_looks_like_an_event_inside_a_broken_one_is_none(self, tmp_path: Path) -> None:
        events = log().events
        events[2]["eventData"]["input"] = [{"runId": RUN, "eventType": "run_failed", "eventId": "evnt_9"}, None]
        path = cli_array(events, tmp_path / "e.json")
        path.write_text(path.read_text().replace("null", "nul"))
        found = read(path)
        assert [row["event_type"] for row in found.events].count("run_failed") == 0
        assert len(found.events) == 5
        path.write_text(json.dumps(events).replace("null", "nul"))
        assert [row["event_type"] for row in read(path).events] == ["run_created", "run_started"]
        assert read(path).reasons == [("e.json", 3, "not JSON (line 1); nothing behind it was read")]

    def test_an_array_of_rubbish_ends(self, tmp_path: Path) -> None:
        path = tmp_path / "e.json"
        path.write_text("[\n" + json.dumps(log().events[0]) + ",\n" + "{oops},\n" * 1000 + "]")
        assert len(read(path).rejects) == 100

    def test_an_element_that_is_no_object_is_named(self, tmp_path: Path) -> None:
        paths = {}
        for number, element in enumerate(("3", "null", '"text"', "[1]")):
            first, second, *_ = map(json.dumps, log(run=run_id(number)).events)
            paths[element] = tmp_path / f"{number}.json"
            paths[element].write_text(f"[{first}, {element}, {second}]")
        for element, found in read_each(paths).items():
            assert found.reasons == [(paths[element].name, 2, "not a JSON object")]
            assert len(found.events) == 2, element

    def test_two_arrays_in_one_file_are_not_half_read_in_silence(self, tmp_path: Path) -> None:
        path = cli_array(log().events, tmp_path / "e.json")
        lines = path.read_text().count("\n")
        path.write_text(path.read_text() * 2)
        assert read(path).reasons == [("e.json", 7, f"the file goes on after the end of its array (line {lines})")]

    def test_an_element_that_is_not_utf8_is_named(self, tmp_path: Path) -> None:
        path = cli_array(log().events, tmp_path / "e.json")
        path.write_bytes(path.read_bytes().replace(b"declined", b"d\xffclined"))
        found = read(path, gaps=True)
        assert found.reasons == [("e.json", 3, "not UTF-8")]
        assert found.gaps == {RUN: "1 of its rows could not be read"}

    def test_a_document_that_is_no_log_is_a_problem(self, tmp_path: Path) -> None:
        problems = [
            ('{\n"runId": "r", "eventType": "t", "eventId": ', "is not JSON: Expecting value (line 2)"),
            ('{\n"data": [{"runId": "r"}', "is not JSON: Expecting ',' delimiter (line 2)"),
            ('[{"name": "x"}]', "is JSON, but no row of it has a runId and what an event or an entity has"),
            ('{"data": [{"name": "x"}], "hasMore": false}', "is JSON, but no row of it has a runId"),
            ("[" + "{}," * 200 + "{}]", "is JSON, but no row of it has a runId"),
            ('{\n"runId": "r",\n"eventData": ' + "[" * 200_000, "is JSON that is nested too deeply"),
            ('{\n"runId": "\xff"}', "is not UTF-8 (byte 13)"),
        ]
        paths = {}
        for number, (content, _) in enumerate(problems):
            paths[content] = tmp_path / f"{number}.json"
            paths[content].write_bytes(content.encode("latin-1"))
        found = read_each(paths)
        for content, problem in problems:
            assert (found[content].problems[0] or "").startswith(problem), content[:20]
            assert found[content].events == []


@pytest.mark.parametrize("name", ["4.8.9-local", "5.0.0-beta.55-local", "4.2.4-local"])
def test_a_real_run_has_the_same_events_as_in_the_world_itself(name: str, corpora: Path, tmp_path: Path) -> None:
    cli = read(corpora / name / "cli.tar.gz", gaps=True)
    runs = {row["run_id"] for row in cli.events}
    world = read(in_world(corpora / name, runs, tmp_path / "world.ndjson"))
    there = {(row["run_id"], row["event_id"]): plain(row) for row in world.content}
    assert [plain(row) for row in cli.content] == [there[row["run_id"], row["event_id"]] for row in cli.content]
    for run in runs:
        whole = sum(row["run_id"] == run for row in world.events)
        exported = sum(row["run_id"] == run for row in cli.events)
        if whole != exported:
            assert "cuts off without a word" in cli.gaps[run]


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """An event without its payload, which the CLI prints decoded, or not at all."""
    return {key: value for key, value in row.items() if not key.startswith("payload")}


def test_a_real_run_exported_whole_is_judged_as_in_the_world_itself(corpora: Path, tmp_path: Path) -> None:
    folder = corpora / "4.6.0-local-stress2p"
    with audit(folder / "cli.tar.gz") as cli:
        runs = {row["run_id"] for row in cli.runs if row["events"]}
    with audit(in_world(folder, runs, tmp_path / "world.ndjson")) as world:
        assert verdicts(cli, runs) == verdicts(world, runs)
        assert findings(cli, runs) == findings(world, runs)
    assert sorted(row["log_verdict"] for row in world.runs) == ["corrupt", "sound"]


@pytest.fixture
def corpora() -> Path:
    if not HOME.exists():
        pytest.skip("the corpora are not beside this checkout; point AUDITOR_CORPORA at them")
    return HOME


def in_world(folder: Path, runs: set[str], target: Path) -> Path:
    """The events of these runs as the world stored them."""
    with tarfile.open(folder / "data.tar.gz") as archive:
        files = [info for info in archive if info.name.rpartition("/")[2].split("-")[0] in runs]
        events = [json.load(archive.extractfile(info)) for info in files if "/events/" in info.name]
    return ndjson(events, target)


def verdicts(result: Any, runs: set[str]) -> dict[str, tuple[str, str]]:
    return {r["run_id"]: (r["log_verdict"], r["runtime_verdict"]) for r in result.runs if r["run_id"] in runs}


def findings(result: Any, runs: set[str]) -> list[tuple[str, str, str]]:
    rows = [f for f in result.findings if f["run_id"] in runs and f["severity"] != "info"]
    return sorted((f["run_id"], f["rule"], f["because"]) for f in rows)

"""Logs of other shapes: NDJSON, JSON, CSV and Parquet, with `--map` or with names that speak for themselves."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from ingest.reading import read
from ingest.shapes import compressed, foreign_csv, ndjson, parquet, renamed, tar_gz
from logs import RUN, Log, entity, manifest, time

from auditor import audit
from auditor.cli.commands import cli

NAMES = {
    "runId": "workflow",
    "eventId": "id",
    "eventType": "what",
    "correlationId": "thing",
    "createdAt": "moment",
    "specVersion": "spec",
    "eventData": "body",
}
FIELDS = {theirs: ours for ours, theirs in NAMES.items()}
WRITERS: dict[str, Callable[[list[dict[str, Any]], Path], Path]] = {
    "ndjson": lambda rows, folder: ndjson(rows, folder / "log.ndjson"),
    "json": lambda rows, folder: _json(rows, folder / "log.json"),
    "csv": lambda rows, folder: foreign_csv(rows, folder / "log.csv"),
    "parquet": lambda rows, folder: parquet(rows, folder / "log.parquet"),
}
FORMATS = list(WRITERS)


def _json(rows: list[dict[str, Any]], target: Path) -> Path:
    target.write_text(json.dumps(rows))
    return target


def log() -> Log:
    """A run whose step was started again after its outcome, with payloads and a token."""
    log = Log().add("step_created", entity("step", 0), data={"stepName": "charge", "input": {"card": 1}})
    log.life("step", 0, "started", "completed", "started", stepName="charge")
    log.add("wait_created", entity("wait", 1), data={"resumeAt": time(9)})
    return log.add("hook_created", entity("hook", 2), data={"token": "t"})


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The same log in the SDK's own shape."""
    return read(ndjson(log().events, tmp_path_factory.mktemp("sdk") / "log.ndjson")).content


class TestMapped:
    """Columns under any name, given with `--map`."""

    @pytest.mark.parametrize("format", FORMATS)
    def test_a_mapped_log_is_the_log(self, format: str, tmp_path: Path, content: list[dict[str, Any]]) -> None:
        found = read(WRITERS[format](renamed(log().events, NAMES), tmp_path), fields=FIELDS)
        assert found.content == content
        assert found.inputs[0]["format"] == format
        assert (found.problems, found.rejects) == ([None], [])

    def test_a_mapped_log_has_the_same_findings(self, tmp_path: Path) -> None:
        rules = ["step-restarted-after-outcome"]
        with audit(ndjson(log().events, tmp_path / "log.ndjson"), select=rules) as plain:
            expected = [f["fingerprint"] for f in plain.findings]
        with audit(WRITERS["csv"](renamed(log().events, NAMES), tmp_path), select=rules, fields=FIELDS) as mapped:
            assert [f["fingerprint"] for f in mapped.findings] == expected
            assert [w["line"] for w in mapped.findings[0]["witness"]] == [6, 7]
        assert len(expected) == 1

    @pytest.mark.parametrize("format", FORMATS)
    def test_names_that_speak_for_themselves_need_no_map(
        self, format: str, tmp_path: Path, content: list[dict[str, Any]]
    ) -> None:
        rows = renamed(log().events)
        options = {"input_format": format} if format in ("ndjson", "json") else {}
        found = read(WRITERS[format](rows, tmp_path), **_options(options, {"run_id": "runId"}))
        assert found.content == content

    @pytest.mark.parametrize("format", ["ndjson", "json", "parquet"])
    def test_a_column_may_lie_inside_another(
        self, format: str, tmp_path: Path, content: list[dict[str, Any]]
    ) -> None:
        rows = [{"meta": {"run": {"id": event["runId"]}}, **event} for event in log().events]
        for row in rows:
            del row["runId"]
        path = WRITERS[format](rows, tmp_path)
        if format == "parquet":
            names = dict.fromkeys(key for row in rows for key in row)
            whole = [{name: row.get(name) for name in names} for row in rows]
            data = [json.dumps(row.pop("eventData")) for row in whole]
            pq.write_table(pa.Table.from_pylist(whole).append_column("eventData", pa.array(data)), path)
        assert read(path, fields={"meta.run.id": "runId"}).content == content

    def test_payloads_may_have_columns_of_their_own(self, tmp_path: Path) -> None:
        events = Log().life("step", 0, "created", stepName="s").add("run_failed").events
        rows = [event | {"args": '{"card":1}', "out": "x", "err": "boom"} for event in events]
        found = read(
            foreign_csv([{k: row.get(k) for k in rows[2]} for row in rows], tmp_path / "log.csv"),
            fields={"args": "input", "out": "output", "err": "error"},
        )
        assert all(row["payload_bytes"] for row in found.events)
        assert found.events[2]["step_name"] == "s"

    def test_what_stopped_a_run_is_read_from_its_own_column(self, tmp_path: Path) -> None:
        failed = Log().add("run_failed").events
        message = f"Unconsumed event in event log: eventType=step_created, eventId={failed[0]['eventId']}"
        rows = [event | {"why": message} for event in failed]
        found = read(ndjson(rows, tmp_path / "log.ndjson"), fields={"why": "error"})
        assert [row["runtime_signature"] for row in found.events] == [None, None, "unconsumed_event"]

    def test_a_map_wins_over_a_name(self, tmp_path: Path) -> None:
        rows = [event | {"runId": "other", "real": RUN} for event in log().events]
        found = read(ndjson(rows, tmp_path / "log.ndjson"), fields={"real": "runId"})
        assert {row["run_id"] for row in found.events} == {RUN}

    def test_a_column_that_only_late_rows_have_is_found(self, tmp_path: Path) -> None:
        events = log().events
        for _ in range(150):
            events.append(events[1] | {"eventId": f"evnt_{len(events)}"})
        events.append(events[1] | {"eventId": "evnt_last", "entity": "step_1"})
        found = read(ndjson(events, tmp_path / "log.ndjson"), fields={"entity": "correlationId"})
        assert found.problems == [None]
        assert found.events[-1]["correlation_id"] == "step_1"

    def test_fences_of_a_foreign_log_are_known_by_their_column(self, tmp_path: Path) -> None:
        rows = [event | {"seen": None} for event in log().events]
        found = read(ndjson(rows, tmp_path / "log.ndjson"), fields={"seen": "lastKnownEventId"})
        assert "fences" in found.exports[0]["records"]

    @pytest.mark.parametrize("format", FORMATS)
    def test_a_packed_log_is_mapped_too(self, format: str, tmp_path: Path, content: list[dict[str, Any]]) -> None:
        path = WRITERS[format](renamed(log().events, NAMES), tmp_path)
        assert read(compressed(path, tmp_path / "x.zst"), fields=FIELDS).content == content


def _options(options: dict[str, str], fields: dict[str, str]) -> dict[str, Any]:
    """NDJSON and JSON under other names look like no log, so they are only read if a map or a format says so."""
    return {"fields": fields, "format": options["input_format"]} if options else {}


class TestMistakes:
    """What is wrong with the call, or with the columns, is said with what would be right."""

    @staticmethod
    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(
            cli, ["check", *arguments, "--select", "duplicate-event-id"], standalone_mode=False
        )
        text = done.output + (str(done.exception) if done.exception else "")
        return done.return_value or 0, text

    def test_an_unknown_field_is_misuse_and_names_near_ones(self, tmp_path: Path) -> None:
        _, text = self.run(str(ndjson(log().events, tmp_path / "log.ndjson")), "--map", "x=runID")
        assert "'x=runID' is not COLUMN=FIELD; is FIELD one of runId" in text

    @pytest.mark.parametrize("value", ["runId", "=runId", "x="])
    def test_a_map_that_is_none_is_misuse(self, value: str, tmp_path: Path) -> None:
        assert "is not COLUMN=FIELD" in self.run(str(tmp_path), "--map", value)[1]

    def test_an_unknown_format_is_misuse(self, tmp_path: Path) -> None:
        assert (
            "'ndjson', 'json', 'csv', 'parquet', 'sqlite'" in self.run(str(tmp_path), "--input-format", "xml")[1]
        )

    @pytest.mark.parametrize("format", FORMATS)
    @pytest.mark.parametrize("field", ["runId", "correlationId"])
    def test_a_column_that_is_not_there_is_named(self, format: str, field: str, tmp_path: Path) -> None:
        path = WRITERS[format](renamed(log().events), tmp_path)
        found = read(path, fields={"run_id": "runId", "nowhere": field})
        assert found.problems[0].startswith(
            "has no column 'nowhere', which --map names; its columns are correlation_"
        )
        assert (field == "runId") == (found.events == [])

    @pytest.mark.parametrize("format", FORMATS)
    def test_a_required_field_that_no_column_gives_is_named(self, format: str, tmp_path: Path) -> None:
        rows = [{"run": event["runId"], "event_id": event["eventId"]} for event in log().events]
        found = read(WRITERS[format](rows, tmp_path), fields={"run": "runId"})
        assert found.problems == [
            "no column gives eventType; its columns are event_id, run; use --map COLUMN=eventType"
        ]

    def test_columns_without_a_map_say_what_to_do(self, tmp_path: Path) -> None:
        path = parquet([{"run": "r", "n": 1}], tmp_path / "x.parquet")
        assert read(path).problems == [
            "no column gives runId, eventId, eventType; its columns are n, run; use --map COLUMN=runId"
        ]

    def test_the_exit_code_is_three(self, tmp_path: Path) -> None:
        code, text = self.run(
            str(foreign_csv(renamed(log().events), tmp_path / "x.csv")), "--map", "nowhere=runId"
        )
        assert code == 3
        assert "'nowhere'" in text

    def test_a_format_is_forced_on_what_is_something_else(self, tmp_path: Path) -> None:
        (tmp_path / "log.txt").write_text("oops\n" + "".join(json.dumps(e) + "\n" for e in renamed(log().events)))
        assert "is no event log" in read(tmp_path / "log.txt").problems[0]
        found = read(tmp_path / "log.txt", format="ndjson")
        assert found.reasons == [("log.txt", 1, "not JSON: Expecting value (column 1)")]
        assert len(found.events) == len(log().events)

    @pytest.mark.parametrize("format", ["csv", "parquet", "sqlite", "json"])
    def test_a_forced_format_that_it_is_not_is_a_problem(self, format: str, tmp_path: Path) -> None:
        (tmp_path / "log.txt").write_text("oops\n")
        found = read(tmp_path / "log.txt", format=format)
        assert found.problems[0]

    def test_objects_that_are_text_but_no_json_are_named(self, tmp_path: Path) -> None:
        rows = renamed(log().events)
        for number, text in ((1, "{oops"), (2, "[1]"), (3, '"text"'), (4, "7")):
            rows[number]["event_data"] = text
        found = read(foreign_csv(rows, tmp_path / "log.csv"))
        assert found.reasons == [
            ("log.csv", 3, "eventData is text that is not JSON"),
            ("log.csv", 4, "eventData is an array, not an object"),
            ("log.csv", 5, "eventData is a string, not an object"),
            ("log.csv", 6, "eventData is a number, not an object"),
        ]
        assert {row["run_id"] for row in found.rejects} == {RUN}

    def test_a_payload_beside_data_that_is_no_object_is_named(self, tmp_path: Path) -> None:
        rows = [row | {"event_data": "[1]", "input": "x"} for row in renamed(log().events)]
        found = read(foreign_csv(rows, tmp_path / "log.csv"))
        assert {reason for *_, reason in found.reasons} == {"eventData is not an object"}


class TestParquet:
    """Tables of auditor.log/v1, those of the SDK's Postgres world, and what is broken about a file."""

    def folder(self, folder: Path) -> Path:
        """A folder of auditor.log/v1 in Parquet."""
        folder.mkdir()
        events = [event | {"position": n, "hash": f"h{n}"} for n, event in enumerate(log().events, 1)]
        names = dict.fromkeys(key for event in events for key in event)
        fence = {"kind": "tail", "value": events[2]["eventId"], "resolved": None}
        rows = [{name: event.get(name) for name in names} | {"fence": fence} for event in events]
        for row in rows:
            row["eventData"] = json.dumps(row["eventData"]) if row["eventData"] else None
            row["createdAt"] = dt.datetime.fromisoformat(row["createdAt"])
        pq.write_table(pa.Table.from_pylist(rows), folder / "events.parquet")
        refusal = {"runId": RUN, "eventType": "wait_created", "code": "stale", "fence": fence, "at": time(3)}
        parquet([refusal | {"fence": json.dumps(fence)}], folder / "refusals.parquet")
        steps = {"kind": "step", "runId": RUN, "stepId": entity("step", 0), "status": "running"}
        parquet([steps], folder / "entities.parquet")
        parquet([{"runId": RUN, "events": len(events), "tail": events[-1]["eventId"]}], folder / "heads.parquet")
        fields = ("fence", "refusal", "entity", "hash")
        (folder / "manifest.json").write_text(json.dumps(manifest(*fields, exportedAt=time(99)), indent=2))
        return folder

    def test_a_folder_of_tables_is_one_log(self, tmp_path: Path, content: list[dict[str, Any]]) -> None:
        found = read(self.folder(tmp_path / "log"), gaps=True)
        assert [row["event_id"] for row in found.content] == [row["event_id"] for row in content]
        assert [row["position"] for row in found.events] == list(range(1, len(content) + 1))
        assert {row["fence_kind"] for row in found.events} == {"tail"}
        assert [(row["code"], row["fence_kind"]) for row in found.refusals] == [("stale", "tail")]
        assert [row["kind"] for row in found.entities] == ["step"]
        assert found.gaps == {RUN: None}
        assert found.rejects == []
        (export,) = found.exports
        assert {"fences", "refusals", "entities", "hashes", "digests"} <= set(export["records"])
        assert "exportedAt" in export["manifest"]

    def test_a_head_that_counts_more_is_a_gap(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path / "log")
        parquet([{"runId": RUN, "events": 99, "tail": "evnt_9"}], folder / "heads.parquet")
        assert read(folder, gaps=True).gaps == {RUN: "its head counts 99 events, 8 were exported"}

    def test_a_packed_folder_of_tables_is_the_same(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path / "log")
        assert read(tar_gz(folder, tmp_path / "log.tar.gz")).content == read(folder).content

    def test_tables_of_the_postgres_world_are_the_log(self, tmp_path: Path, content: list[dict[str, Any]]) -> None:
        rows = []
        for event in log().events:
            data = event.get("eventData")
            if data and "resumeAt" in data:
                data = data | {"resumeAt": dt.datetime.fromisoformat(data["resumeAt"])}
            rows.append(
                {
                    "id": event["eventId"],
                    "type": event["eventType"],
                    "correlation_id": event.get("correlationId"),
                    "created_at": dt.datetime.fromisoformat(event["createdAt"]).replace(tzinfo=None),
                    "run_id": event["runId"],
                    "payload": None,
                    "payload_cbor": cbor2.dumps(data) if data else None,
                    "spec_version": event["specVersion"],
                }
            )
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "workflow_events.parquet")
        found = read(tmp_path / "workflow_events.parquet")
        assert found.content == content
        assert found.inputs[0]["format"] == "postgres-world"
        assert [row["line"] for row in found.events] == list(range(1, len(rows) + 1))

    @pytest.mark.parametrize("place", ["magic", "footer", "page", "cut"])
    def test_a_damaged_file_is_named(self, place: str, tmp_path: Path) -> None:
        path = parquet(log().events, tmp_path / "log.parquet")
        data = bytearray(path.read_bytes())
        match place:
            case "magic":
                data[-4:] = b"oops"
            case "footer":
                data[-400:-300] = b"\xff" * 100
            case "page":
                data[4:60] = b"\xff" * 56
            case "cut":
                data = data[: len(data) // 2]
        path.write_bytes(data)
        for options in ({}, {"fields": {"runId": "runId"}}):
            found = read(path, **options)
            said = [*found.problems, *(reason for *_, reason in found.reasons)]
            assert any(text and text.startswith("is damaged Parquet") for text in said)

    def test_a_damaged_table_hides_no_other(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path / "log")
        (folder / "refusals.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
        found = read(folder, gaps=True)
        assert len(found.events) == len(log().events)
        assert found.problems[0].startswith("refusals.parquet: is damaged Parquet")
        assert found.gaps == {RUN: "its input broke off while it was read"}

    def test_a_file_with_more_rows_than_bytes_is_refused(self, tmp_path: Path) -> None:
        same = pa.array(["x"] * 1_000_000).dictionary_encode()
        table = pa.table({"runId": same, "eventId": same, "eventType": same})
        pq.write_table(table, tmp_path / "x.parquet")
        assert "is Parquet with 1000000 rows in" in read(tmp_path / "x.parquet").problems[0]

    def test_types_of_any_kind_are_read(self, tmp_path: Path) -> None:
        rows = [
            {k: event.get(k) for k in ("runId", "eventId", "eventType", "createdAt")} for event in log().events
        ]
        table = pa.Table.from_pylist(rows)
        moment = pa.array([dt.datetime(2026, 11, 22, 12)] * len(rows), pa.timestamp("ns"))
        encoded = table["eventType"].combine_chunks().dictionary_encode()
        table = table.set_column(3, "createdAt", moment).set_column(2, "eventType", encoded)
        data = pa.array([{"attempt": 2, "input": b"\0\1", "x": float("nan")}] * len(rows))
        table = table.append_column("eventData", data).append_column("runid", table["runId"])
        pq.write_table(table, tmp_path / "x.parquet")
        for options in ({}, {"fields": {"runId": "runId"}}):
            found = read(tmp_path / "x.parquet", **options)
            assert (found.problems, found.rejects) == ([None], [])
            assert {row["attempt"] for row in found.events} == {2}
            assert {str(row["created_at"]) for row in found.events} == {"2026-11-22 12:00:00"}

    @pytest.mark.parametrize("moment", [2**62, -(2**62)])
    def test_a_time_that_python_does_not_know_is_named(self, moment: int, tmp_path: Path) -> None:
        rows = [{k: event.get(k) for k in ("runId", "eventId", "eventType")} for event in log().events]
        times = pa.array([moment] * len(rows), pa.timestamp("us"))
        pq.write_table(pa.Table.from_pylist(rows).append_column("createdAt", times), tmp_path / "x.parquet")
        assert len(read(tmp_path / "x.parquet").events) == len(rows)
        found = read(tmp_path / "x.parquet", fields={"runId": "runId"})
        assert "date value out of range; nothing behind it was read" in found.reasons[0][2]

"""An export is the world: valid by contract, one moment of it, the same in both formats, and sound to an audit."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from acts import begun, step
from ingest.facts import facts, rejects, rows
from jsonschema import Draft202012Validator
from stores import Harness, Place, in_sqlite
from stories import PAYLOAD, TOKEN, Told, tell

from auditor import audit, schemas
from auditor.errors import NotFound, UsageError, WorldError
from auditor.model.events import EventType as T
from auditor.model.records import PLAIN_DATA
from auditor.world import NewEvent, Writer, unfenced
from auditor.world.base import BaseWorld
from auditor.world.export import FIELDS, PARQUET_FILES, export

SCHEMA = Draft202012Validator(json.loads(schemas.text("log")))
RECORDS = {
    "all_runs",
    "complete",
    "core_version",
    "digests",
    "entities",
    "fences",
    "hashes",
    "ordinals",
    "refusals",
}

Json = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """The world of the stories, and a folder to export it to."""

    harness: Harness
    told: Told
    folder: Path

    @property
    def world(self) -> Any:
        return self.harness.world

    async def file(self, name: str = "log.ndjson", **options: Any) -> Path:
        await export(self.world, self.folder / name, **options)
        return self.folder / name

    async def tables(self, name: str = "tables", **options: Any) -> Path:
        return await self.file(name, format="parquet", **options)


@pytest.fixture
async def scene(harness: Harness, tmp_path: Path) -> Scene:
    folder = tmp_path / "exports"
    folder.mkdir()
    return Scene(harness, await tell(harness), folder)


@pytest.fixture
async def file_scene(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Scene]:
    """The same, in a SQLite file that the test may edit."""
    async with in_sqlite(sqlite_template, tmp_path).opened() as harness:
        yield Scene(harness, await tell(harness), tmp_path)


def database(scene: Scene) -> Path:
    (path,) = scene.folder.glob("*.db")
    return path


def records(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


def judged(*paths: Path) -> tuple[str, list[str], dict[str, str]]:
    """Verdict, findings, and the outcome of every rule; everything that a world records was recorded."""
    with audit(*paths, require=sorted(RECORDS)) as result:
        assert result.exit_code == 0, result.report["exit_because"]
        assert result.report["rejects"] == []
        assert [row["problem"] for row in result.report["inputs"]] == [None] * len(paths)
        outcomes = {rule["id"]: rule["outcome"] for rule in result.report["rules"]}
        return result.verdict.value, [finding["because"] for finding in result.findings], outcomes


# The contract -------------------------------------------------------------------------------------------------


async def test_every_line_is_valid_and_the_head_of_a_run_is_its_last(scene: Scene) -> None:
    lines = records(await scene.file())
    assert [error.message for line in lines for error in SCHEMA.iter_errors(line)] == []
    assert [line["record"] for line in lines].count("manifest") == 1
    manifest, *rest = lines
    assert manifest["fields"] == list(FIELDS)
    assert manifest["allRuns"] is True
    assert manifest["producer"].startswith("auditor world ")
    last = {line["runId"]: line["record"] for line in rest}
    assert set(last.values()) == {"head"}
    assert set(last) == set(vars(scene.told).values())
    kinds = {line.get("kind", line["record"]) for line in rest}
    assert kinds == {"event", "refusal", "head", "run", "step", "wait", "hook"}


async def test_what_the_store_holds_is_what_is_exported(scene: Scene) -> None:
    lines = records(await scene.file())
    log = (await scene.world.events(scene.told.order)).events
    exported = [line for line in lines if line["record"] == "event" and line["runId"] == scene.told.order]
    assert len(exported) == len(log)
    for line, event in zip(exported, log, strict=True):
        assert line["eventId"] == event.event_id
        assert line["fence"] == json.loads(event.fence)
        assert line.get("eventData") == (None if event.data is None else json.loads(event.data))
        assert line.get("prevHash") == event.prev_hash
        assert line["hash"] == event.hash
        created = dt.datetime.fromisoformat(line["createdAt"]).timestamp()
        assert round(created * 1000) == event.created_at
    run = await scene.world.run(scene.told.order)
    head = next(line for line in lines if line["record"] == "head" and line["runId"] == run.run_id)
    assert (head["tail"], head["events"], head["hash"]) == (run.tail, run.version, run.hash)


async def test_both_formats_hold_the_same(scene: Scene) -> None:
    lines, tables = records(await scene.file()), await scene.tables()
    assert sorted(path.name for path in tables.iterdir()) == sorted(PARQUET_FILES)
    manifest = json.loads((tables / "manifest.json").read_text())
    assert manifest | {"exportedAt": None} == lines[0] | {"exportedAt": None}
    for name, record in (("events", "event"), ("refusals", "refusal"), ("entities", "entity"), ("heads", "head")):
        ours = [plain({"record": record, **row}) for row in pq.read_table(tables / f"{name}.parquet").to_pylist()]
        theirs = [plain(line) for line in lines[1:] if line["record"] == record]
        assert sorted(ours, key=str) == sorted(theirs, key=str), name
    assert rows(tables) == rows(scene.folder / "log.ndjson")


def plain(record: Json) -> Json:
    """A record in one spelling: no nulls, objects as such, times as text."""
    out = {}
    for key in sorted(record):
        value = record[key]
        if key in ("eventData", "fence", "executionContext") and isinstance(value, str):
            value = json.loads(value)
        if isinstance(value, dt.datetime):
            value = value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if value is not None:
            out[key] = value
    return out


async def test_one_run_is_exported_alone_and_says_so(scene: Scene) -> None:
    lines = records(await scene.file(run_id=scene.told.order))
    assert {line["runId"] for line in lines[1:]} == {scene.told.order}
    assert lines[0]["allRuns"] is False
    assert {line["record"] for line in lines} == {"manifest", "event", "refusal", "entity", "head"}
    with pytest.raises(NotFound, match="there is no run wrun_nobody"):
        await scene.file("nobody.ndjson", run_id="wrun_nobody")
    assert not (scene.folder / "nobody.ndjson").exists()


async def test_an_empty_world_can_be_exported(world: BaseWorld, tmp_path: Path) -> None:
    await export(world, tmp_path / "log.ndjson")
    await export(world, tmp_path / "tables", format="parquet")
    assert [line["record"] for line in records(tmp_path / "log.ndjson")] == ["manifest"]
    assert pq.read_metadata(tmp_path / "tables" / "events.parquet").num_rows == 0


async def test_it_streams_to_a_pipe_and_tells_how_far_it_is(scene: Scene) -> None:
    out, told = io.BytesIO(), []
    done = await export(scene.world, out, progress=lambda *so_far: told.append(so_far))
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["record"] for line in lines].count("event") == done.events == told[-1][0] == told[-1][1]
    assert (done.runs, done.refusals, done.entities) == (4, 5, 11)
    with pytest.raises(UsageError, match="name one to write it to"):
        await export(scene.world, io.BytesIO(), format="parquet")


# The audit ----------------------------------------------------------------------------------------------------


NOT_HERE = {"slot-hole", "replay-divergence", "terminal-not-reproducible"}
"""The rules that are not evaluated: our ids are ULIDs, and `auditor check` has no code to replay."""


async def test_an_audit_finds_the_export_sound_with_every_rule_evaluated(scene: Scene) -> None:
    verdict, findings, outcomes = judged(await scene.file())
    assert (verdict, findings) == ("sound", [])
    assert {rule for rule, outcome in outcomes.items() if outcome != "held"} == NOT_HERE


# What follows depends on the files alone, and those are the same from every store, as is shown above.


async def test_so_it_does_in_tables_without_payloads(file_scene: Scene) -> None:
    verdict, findings, outcomes = judged(await file_scene.tables(payloads=False))
    assert (verdict, findings) == ("sound", [])
    assert {rule for rule, outcome in outcomes.items() if outcome != "held"} == NOT_HERE


async def test_the_file_of_a_world_is_the_same_audit_as_its_export(file_scene: Scene) -> None:
    exported = await file_scene.file("log.ndjson")
    assert facts(database(file_scene)) == facts(exported)
    assert judged(database(file_scene))[:2] == ("sound", [])


async def test_exports_with_and_without_payloads_are_two_exports_of_one_log(file_scene: Scene) -> None:
    verdict, findings, _ = judged(await file_scene.file(), await file_scene.tables(payloads=False))
    assert (verdict, findings) == ("sound", [])


async def test_a_tail_that_is_cut_off_shows(file_scene: Scene) -> None:
    lines = (await file_scene.file()).read_text().splitlines(keepends=True)
    of_order = [n for n, line in enumerate(lines) if '"event"' in line and file_scene.told.order in line]
    cut = file_scene.folder / "cut.ndjson"
    cut.write_text("".join(line for n, line in enumerate(lines) if n not in of_order[-2:]))
    with audit(cut) as result:
        verdicts = {run["run_id"]: run["log_verdict"] for run in result.runs}
        assert {finding["rule"] for finding in result.findings} == {"incomplete-export"}
    assert verdicts.pop(file_scene.told.order) == "cannot_tell"
    assert set(verdicts.values()) == {"sound"}


async def test_an_event_that_is_edited_shows(file_scene: Scene) -> None:
    text = (await file_scene.file()).read_text()
    (file_scene.folder / "log.ndjson").write_text(
        text.replace('"eventType":"step_failed"', '"eventType":"step_completed"')
    )
    with audit(file_scene.folder / "log.ndjson") as result:
        assert "chain-broken" in {finding["rule"] for finding in result.findings}


# Secrets ------------------------------------------------------------------------------------------------------


async def test_without_payloads_neither_payload_nor_token_is_in_it(scene: Scene) -> None:
    whole = (await scene.file("whole.ndjson")).read_text()
    assert PAYLOAD in whole
    assert TOKEN in whole
    bare = await scene.file("bare.ndjson", payloads=False)
    tables = await scene.tables(payloads=False)
    for path in (bare, *tables.iterdir()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content = str(pq.read_table(path).to_pylist()).encode()
        assert PAYLOAD.encode() not in content
        assert TOKEN.encode() not in content
    events = [line for line in records(bare) if line["record"] == "event"]
    assert all("dataSha256" in line for line in events if "eventData" in line)
    keys = {key for line in events for key in line.get("eventData", {})}
    assert keys == {
        *("workflowName", "executionContext", "stepName", "attempt", "resumeAt", "retryAfter"),
        *("conflictingRunId", "tokenSha256"),
    }
    assert [error.message for line in records(bare) for error in SCHEMA.iter_errors(line)] == []


def test_what_stays_without_payloads_is_all_that_ingest_reads_in_the_clear() -> None:
    sql = resources.files("auditor.ingest").joinpath("stage.sql").read_text("utf-8")
    (struct,) = re.findall(r"'eventData': 'STRUCT\((.*?) JSON\)'", sql, re.DOTALL)
    struct = re.sub(r"STRUCT\([^)]*\)", "VARCHAR", struct)
    plain = set(re.findall(r"(\w+) VARCHAR", struct)) - {"token", "tokenSha256"}
    assert set(PLAIN_DATA) == plain


async def test_unknown_data_is_taken_for_a_payload(world: BaseWorld, tmp_path: Path) -> None:
    odd = {
        "step": {"x": PAYLOAD},
        "stepName": "s",
        "attempt": {"deep": PAYLOAD},
        "executionContext": {"t": PAYLOAD},
    }
    run = await begun(world)
    await run.append(step(T.STEP_CREATED, **odd))
    await export(world, tmp_path / "log.ndjson", payloads=False)
    assert PAYLOAD not in (tmp_path / "log.ndjson").read_text()


# The target ---------------------------------------------------------------------------------------------------


async def test_what_is_there_is_replaced_only_by_force_and_only_when_complete(scene: Scene) -> None:
    for path in (await scene.file(), await scene.tables()):
        options = {"format": "parquet"} if path.is_dir() else {}
        with pytest.raises(UsageError, match="exists already; --force replaces it"):
            await export(scene.world, path, **options)
        before = path.stat().st_ino
        with pytest.raises(RuntimeError):
            await export(Broken(scene.world), path, force=True, **options)
        assert path.stat().st_ino == before
        await export(scene.world, path, force=True, **options)
        assert path.stat().st_ino != before
    assert sorted(path.name for path in scene.folder.iterdir()) == ["log.ndjson", "tables"]


class Broken:
    """A world whose dump breaks off."""

    def __init__(self, world: Any) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    async def dump(self, tables: Any, run_id: str | None = None) -> AsyncIterator[Any]:
        async for batch in self._world.dump(tables, run_id):
            yield batch
            raise RuntimeError("it broke off")


async def test_no_folder_is_replaced_that_holds_anything_else(scene: Scene) -> None:
    (scene.folder / "precious").mkdir()
    (scene.folder / "precious" / "thesis.txt").write_text("five years")
    for options, said in (
        ({"format": "parquet"}, "holds 'thesis.txt', which is no part of an export"),
        ({}, "precious is a folder; name another target"),
    ):
        with pytest.raises(UsageError, match=said):
            await export(scene.world, scene.folder / "precious", force=True, **options)
    assert (scene.folder / "precious" / "thesis.txt").exists()
    with pytest.raises(UsageError, match="there is no such folder"):
        await export(scene.world, scene.folder / "nowhere" / "log.ndjson")


# One moment ---------------------------------------------------------------------------------------------------


async def test_what_is_appended_meanwhile_is_not_in_it(place: Place, tmp_path: Path) -> None:
    async with place.opened() as harness:
        told = await tell(harness)
        busy = Busy(harness.world, told.waiting)
        await export(busy, tmp_path / "log.ndjson")
        assert busy.appended > 1
        assert judged(tmp_path / "log.ndjson")[:2] == ("sound", [])


class Busy(Broken):
    """A world to whose log somebody appends whenever a batch of it was read."""

    def __init__(self, world: Any, run_id: str) -> None:
        super().__init__(world)
        self._run_id = run_id
        self.appended = 0

    async def dump(self, tables: Any, run_id: str | None = None) -> AsyncIterator[Any]:
        async for batch in self._world.dump(tables, run_id):
            yield batch
            event = NewEvent(T.ATTR_SET, data={"changes": {"n": self.appended}})
            await self._world.append(self._run_id, [event], unfenced("busy"), writer=Writer("busy"))
            self.appended += 1


# What no world writes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (
            """UPDATE event SET data = '{"a": 1}, "runId": "forged"' WHERE "position" = 1""",
            "eventData is a string",
        ),
        ("UPDATE event SET data = 'NaN' WHERE \"position\" = 1", "eventData is a string"),
        ("UPDATE event SET fence = '[]' WHERE \"position\" = 1", "fence is a string"),
        ("UPDATE event SET created_at = 'soon' WHERE \"position\" = 1", "createdAt is not a time"),
        ('UPDATE event SET created_at = 253402300800000 WHERE "position" = 1', "createdAt is not a time"),
    ],
)
async def test_what_does_not_belong_there_is_a_rejected_line(file_scene: Scene, edit: str, reason: str) -> None:
    with closing(sqlite3.connect(database(file_scene))) as con:
        con.execute(edit)
        con.commit()
    exported = await file_scene.file("log.ndjson")
    found = rejects(exported)
    assert len(found) == 4
    assert {row[3].startswith(reason) for row in found} == {True}, found
    if "created_at" in edit:
        with pytest.raises(WorldError, match="the column created_at of the table event"):
            await file_scene.tables()


async def test_lines_are_printable_and_say_what_was_stored(world: BaseWorld, tmp_path: Path) -> None:
    hostile = "\x1b[31m\x9b2J\x7f\u202e\u2028 \n\té😀"
    run = await begun(world)
    await run.append(step(T.STEP_CREATED, stepName=hostile, input=[hostile]))
    await export(world, tmp_path / "log.ndjson")
    text = (tmp_path / "log.ndjson").read_text("ascii")
    assert all(line.isprintable() for line in text.split("\n"))
    (created,) = [line for line in records(tmp_path / "log.ndjson") if line.get("eventType") == "step_created"]
    assert created["eventData"] == {"stepName": hostile, "input": [hostile]}

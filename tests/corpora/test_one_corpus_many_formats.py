"""A corpus re-written as JSON lines, in any order, gives the verdicts and findings of the export it came from."""

from __future__ import annotations

import io
import json
import random
import tarfile
from pathlib import Path

import pytest
from corpora.conftest import NAMES, corpus
from ingest import shapes

from auditor import audit
from auditor.ingest import sdk_json, sdk_tables, world_local

CHOSEN = [name for name in ("4.8.9-local-stress1p", "4.8.9-pg", "5.0.0-beta.5-local-fanout1p") if name in NAMES]


def events_of(archive: Path) -> list[dict]:
    """Every event of a corpus, in the SDK's own JSON shape."""
    events = []
    with tarfile.open(archive) as tar:
        for member in tar:
            stream = tar.extractfile(member)
            if stream is None:
                continue
            if world_local.record_of(member.name) == "event":
                events.append(json.load(stream))
            elif member.name.endswith("workflow_events.csv"):
                rows = sdk_tables.csv_rows(io.BytesIO(stream.read()))
                events += [json.loads(sdk_tables.as_json("event", row)) for _, row in rows]
    return events


@pytest.mark.parametrize("name", CHOSEN)
def test_json_lines_in_any_order_and_any_split_are_the_same_log(name: str, alone, tmp_path: Path) -> None:
    events = events_of(corpus(name).archive)
    random.Random(name).shuffle(events)
    for part in range(3):
        lines = "".join(json.dumps(event) + "\n" for event in events[part::3])
        (tmp_path / f"part-{part}.ndjson").write_text(lines, "utf-8")
    with audit(tmp_path) as result:
        report = result.report
    expected = alone(name).report
    assert verdicts(report) == verdicts(expected)
    assert fingerprints(report) == fingerprints(expected)


def as_world_in_a_zip(events: list[dict], folder: Path) -> Path:
    return shapes.zipped(shapes.world_local(events, folder / "world"), folder / "world.zip")


def as_cli_arrays(events: list[dict], folder: Path) -> Path:
    """One array a run, newest first; the page shape where an array of that length would look cut off."""
    arrays = folder / "cli"
    arrays.mkdir()
    for run_id in {event["runId"] for event in events}:
        rows = [event for event in events if event["runId"] == run_id]
        shape = shapes.cli_page if len(rows) in sdk_json.LIMITS else shapes.cli_array
        shape(rows, arrays / f"events-{run_id}.json")
    return arrays


SHAPES = {
    "NDJSON, zstd": lambda events, folder: shapes.compressed(
        shapes.ndjson(events, folder / "log.ndjson"), folder / "log.ndjson.zst"
    ),
    "world-local in a zip": as_world_in_a_zip,
    "CLI JSON": as_cli_arrays,
    "Postgres tables": lambda events, folder: shapes.postgres_csv(events, folder / "csv"),
    "Parquet": lambda events, folder: shapes.parquet(events, folder / "events.parquet"),
    "foreign CSV": lambda events, folder: shapes.foreign_csv(shapes.renamed(events), folder / "log.csv"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_format_of_one_corpus_gives_the_same_findings(shape: str, alone, tmp_path: Path) -> None:
    name = "4.8.9-local-stress1p"
    with audit(SHAPES[shape](events_of(corpus(name).archive), tmp_path)) as result:
        report = result.report
    expected = alone(name).report
    assert report["counts"]["rejects"] == 0
    assert verdicts(report) == verdicts(expected)
    assert fingerprints(report) == fingerprints(expected)


def verdicts(report: dict) -> dict[str, tuple[str, str]]:
    return {run["run_id"]: (run["log_verdict"], run["runtime_verdict"]) for run in report["runs"]}


def fingerprints(report: dict) -> list[tuple[str, str, str]]:
    return sorted((f["fingerprint"]["instance"], f["severity"], f["confidence"]) for f in report["findings"])

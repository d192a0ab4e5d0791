"""What is written of simulations: a log that the auditor accepts, and the truth about every run of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from auditor import audit, schemas
from auditor.simulate.dialects import DIALECTS
from auditor.simulate.faults import FAULTS
from auditor.simulate.faults.base import Fault
from auditor.simulate.logs import Log
from auditor.simulate.play import Played, play
from auditor.simulate.scenarios import SCENARIOS

SCHEMA = Draft202012Validator(json.loads(schemas.text("log")))
IN_DIALECT = {name: type("InDialect", (Fault,), {"dialect": name}) for name in DIALECTS}
BROKEN = FAULTS["fence-not-enforced"]


def log_of(fault: type[Fault], *simulations: Played) -> Log:
    log = Log(fault)
    for simulation in simulations:
        log.add(simulation)
    return log


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def truth(folder: Path) -> list[dict[str, Any]]:
    document = json.loads((folder / "truth.json").read_text("utf-8"))
    assert document["schema"] == "auditor.truth/v1"
    assert document["log"] == "auditor.log/v1"
    runs: list[dict[str, Any]] = document["runs"]
    return runs


def test_the_auditor_accepts_every_line_and_finds_nothing_where_there_is_nothing(tmp_path: Path) -> None:
    many = [play(SCENARIOS[name], seed) for seed, name in enumerate(("race", "fan-out", "cancelled"))]
    (path,) = log_of(Fault, *many).write(tmp_path)
    with audit(path) as result:
        assert result.report["rejects"] == []
        assert {run["run_id"] for run in result.report["runs"]} == {run for one in many for run in one.runs}
        assert [finding for finding in result.findings if finding["severity"] != "info"] == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_written_log_is_what_the_schema_says(tmp_path: Path, dialect: str) -> None:
    fault = IN_DIALECT[dialect]
    (path,) = log_of(fault, play(SCENARIOS["door"], 2, fault)).write(tmp_path)
    problems = [error.message for line in lines(path) for error in SCHEMA.iter_errors(line)]
    assert problems == []


def test_the_schema_would_tell() -> None:
    assert list(SCHEMA.iter_errors({"record": "event", "runId": 1}))


def test_a_log_says_what_it_records_how_its_decisions_were_fenced_and_when_it_was_made(tmp_path: Path) -> None:
    simulation = play(SCENARIOS["door"], 2)
    (path,) = log_of(Fault, simulation).write(tmp_path)
    manifest, *rest = lines(path)
    assert (manifest["record"], manifest["fencePolicy"]) == ("manifest", "full")
    assert set(manifest["fields"]) >= {"fence", "position", "hash"}
    assert manifest["exportedAt"] > max(line["createdAt"] for line in rest if line["record"] == "event")


def test_the_truth_says_of_each_run_what_the_shadow_saw(tmp_path: Path) -> None:
    many = [play(SCENARIOS["race"], seed, BROKEN) for seed in range(12)]
    log_of(BROKEN, *many).write(tmp_path)
    told = {run["runId"]: run for run in truth(tmp_path)}
    for simulation in many:
        (run_id,) = simulation.runs
        assert told[run_id] == {
            "runId": run_id,
            "scenario": "race",
            "seed": simulation.seed,
            "fault": "fence-not-enforced",
            "effective": bool(simulation.effects),
            "effects": [asdict(effect) for effect in simulation.effects],
        }
    assert {run["effective"] for run in told.values()} == {True, False}


def test_of_several_runs_in_one_world_each_has_its_own_truth(tmp_path: Path) -> None:
    fault = FAULTS["delivered-to-another-run"]
    many = [play(SCENARIOS["many-runs"], seed, fault) for seed in range(4)]
    log_of(fault, *many).write(tmp_path)
    told = truth(tmp_path)
    assert [run["runId"] for run in told] == [run_id for one in many for run_id in one.runs]
    assert all(effect["run_id"] == run["runId"] for run in told for effect in run["effects"])
    assert any(run["effective"] for run in told)


def test_a_control_is_under_no_fault(tmp_path: Path) -> None:
    log = Log(BROKEN)
    log.add(play(SCENARIOS["door"], 1), is_control=True)
    log.write(tmp_path)
    (run,) = truth(tmp_path)
    assert (run["fault"], run["effective"], run["effects"]) == (None, False, [])


def test_what_an_export_lost_is_in_the_truth(tmp_path: Path) -> None:
    fault = FAULTS["truncated-export"]
    log_of(fault, play(SCENARIOS["race"], 1, fault)).write(tmp_path)
    (run,) = truth(tmp_path)
    assert run["effective"]
    assert {effect["record"] for effect in run["effects"]} == {"event", "export"}


def test_an_earlier_export_is_a_log_of_its_own(tmp_path: Path) -> None:
    fault = FAULTS["late-insertion-between-exports"]
    paths = log_of(fault, *[play(SCENARIOS["race"], seed, fault) for seed in range(6)]).write(tmp_path)
    assert [path.name for path in paths] == ["log.ndjson", "earlier.ndjson"]
    last, before = (lines(path) for path in paths)
    assert before[0]["exportedAt"] < last[0]["exportedAt"]
    assert {line["eventId"] for line in before[1:] if line["record"] == "event"} < {
        line["eventId"] for line in last[1:] if line["record"] == "event"
    }


def test_the_same_seeds_write_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for name in ("first", "second", "third"):
        seeds = range(5, 8) if name == "third" else range(3)
        log_of(BROKEN, *[play(SCENARIOS["race"], seed, BROKEN) for seed in seeds]).write(tmp_path / name)
        written.append([path.read_bytes() for path in sorted((tmp_path / name).iterdir())])
    assert written[0] == written[1]
    assert written[0] != written[2]

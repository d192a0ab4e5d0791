"""The derived relations: what a run is, what its log can show, and why its history is incomplete."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from logs import RUN, Log, entity, event_id, manifest, write
from ulid import ULID

from auditor import Audit, audit, schemas
from auditor.model import ids
from auditor.replay import relations


@pytest.fixture(scope="module")
def macros() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("ATTACH ':memory:' AS audit; USE audit")
    con.execute("CREATE TABLE rule_param (rule VARCHAR, name VARCHAR, workflow VARCHAR, value DOUBLE)")
    con.execute("CREATE TABLE meta (key VARCHAR, value VARCHAR)")
    con.execute((Path(relations.__file__).parent / "10_macros.sql").read_text())
    return con


@settings(deadline=None)
@given(time=st.integers(min_value=0, max_value=(1 << 48) - 1))
def test_the_floor_of_a_millisecond_is_that_of_the_model(macros, time: int) -> None:
    assert macros.execute("SELECT ulid_floor(?)", [time]).fetchall() == [(ids.ulid_floor(time),)]


@settings(deadline=None)
@given(
    random=st.integers(min_value=0, max_value=(1 << 59) - 1), draws=st.integers(min_value=0, max_value=(1 << 20))
)
def test_ordinals_are_those_of_the_model(macros, random: int, draws: int) -> None:
    # Bodies of one sequence share all but their last eight digits; the few that straddle that are not judged.
    assume(random % (1 << 40) + draws < 1 << 40)
    first, later = (str(ULID(((5 << 80) | value).to_bytes(16, "big"))) for value in (random, random + draws))
    assert ids.ordinal(f"wait_{later}", f"step_{first}") == draws
    assert macros.execute("SELECT ulid_low(?) - ulid_low(?)", [later, first]).fetchall() == [(draws,)]


def test_a_parameter_of_the_workflow_wins(macros) -> None:
    macros.execute("DELETE FROM rule_param")
    macros.execute("INSERT INTO rule_param VALUES ('r', 'grace', NULL, 60), ('r', 'grace', 'slow', 900)")
    asked = "SELECT param('r', 'grace', 'slow'), param('r', 'grace', 'fast'), param('r', 'grace', NULL)"
    assert macros.execute(asked).fetchall() == [(900, 60, 60)]


def runs_of(result: Audit) -> dict[str, dict[str, Any]]:
    """The rows of the relation `run`, by run id."""
    cursor = result.con.execute("SELECT * FROM run")
    names = [column[0] for column in cursor.description or ()]
    return {row["run_id"]: row for row in (dict(zip(names, values, strict=True)) for values in cursor.fetchall())}


def run_id(number: int) -> str:
    """Many small logs are judged in one audit, each as a run of its own."""
    return f"wrun_{number:026d}"


def test_an_entity_has_its_ordinal_in_the_sequence_of_its_run(tmp_path: Path) -> None:
    log = Log()
    for kind, ordinal in (("hook", 0), ("wait", 2), ("step", 1), ("step", 33)):
        log.add(f"{kind}_created", entity(kind, ordinal))
    with audit(write(tmp_path / "log.ndjson", log.events)) as result:
        found = result.con.execute("SELECT kind, ordinal FROM entity ORDER BY ordinal").fetchall()
    assert found == [("hook", 0), ("step", 1), ("wait", 2), ("step", 33)]


def test_ids_of_another_scheme_have_no_ordinals(tmp_path: Path) -> None:
    schemes = [
        ["step_01KAP2D000AAAAAAAAAAAAAA00", "wait_01KAP2D001AAAAAAAAAAAAAA01"],  # another millisecond
        ["step_01KAP2D000AAAAAAAAAAAAAA00", "wait_01KAP2D000AAAAZZAAAAAAAA01"],  # another sequence
        ["step_00000000000000000000000001", "wait_00000000000000000000000002"],  # counters
        ["step_first", "wait_second"],
        # Two kinds on the very first draw: each kind draws from a sequence of its own.
        ["step_01KAP2D000AAAAAAAAAAAAAA00", "wait_01KAP2D000AAAAAAAAAAAAAA00"],
    ]
    logs = [Log(run_id(number)) for number in range(len(schemes))]
    for log, names in zip(logs, schemes, strict=True):
        for name in names:
            log.add(f"{name.split('_')[0]}_created", name)
    with audit(write(tmp_path / "log.ndjson", *(log.events for log in logs))) as result:
        with_ordinals = [run for run, row in runs_of(result).items() if "ordinals" in row["capabilities"]]
        rules = {rule["id"]: rule["outcome"] for rule in result.report["rules"]}
        assert len(result.runs) == len(schemes)
    assert with_ordinals == []
    assert rules["ordinal-collision"] == "not_evaluated", "of no run"


def test_the_first_wait_and_the_first_step_may_collide(tmp_path: Path) -> None:
    log = Log().life("hook", 0, "created", "received")
    log.add("wait_created", entity("wait", 1)).add("step_created", entity("step", 1))
    with audit(write(tmp_path / "log.ndjson", log.events)) as result:
        assert [f["rule"] for f in result.findings] == ["ordinal-collision"]


def positions(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event | {"position": number} for number, event in enumerate(events, start=1)]


Records = list[dict[str, Any]]


def head(log: Log, **more: Any) -> dict[str, Any]:
    return {"record": "head", "runId": log.run_id, **more}


GAPS: list[tuple[Callable[[Log], Records], str | None]] = [
    (lambda log: log.events, None),
    (lambda log: log.events[2:], "the export lacks its run_created and run_started"),
    (lambda log: log.events[1:], None),  # an old run may start with run_started
    (lambda log: positions(log.events), None),
    (lambda log: [e for e in positions(log.events) if e["position"] != 3], "positions 1 to 5 should be there"),
    (lambda log: [*log.events, head(log, events=5, tail=event_id(5))], None),
    (lambda log: [*log.events, head(log, events=6)], "its head counts 6 events, 5 were exported"),
    (lambda log: [*log.events, head(log, events=5, tail=event_id(6))], "its head names the tail"),
    (lambda log: [head(log, events=5)], "none of its events was exported"),
]


@pytest.fixture(scope="module")
def incomplete(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audit]:
    """Every log with or without a gap as an input of its own."""
    folder, paths = tmp_path_factory.mktemp("gaps"), []
    for number, (records, _) in enumerate(GAPS):
        log = Log(run_id(number)).life("wait", 0, "created", "completed").add("run_completed")
        paths.append(write(folder / f"{number}.ndjson", manifest(), records(log)))
    with audit(*paths) as result:
        yield result


@pytest.mark.parametrize("number", range(len(GAPS)), ids=lambda number: f"{number}-{GAPS[number][1]}")
def test_a_gap_in_the_history_is_named(number: int, incomplete: Audit) -> None:
    name, gap = run_id(number), GAPS[number][1]
    run = runs_of(incomplete)[name]
    assert (run["gap"] or "").startswith(gap or "")
    assert (run["gap"] is None) is (gap is None)
    assert ("complete" in run["capabilities"]) is (gap is None)
    (judged,) = [run for run in incomplete.runs if run["run_id"] == name]
    assert judged["log_verdict"] == ("sound" if gap is None else "cannot_tell")
    found = {f["rule"] for f in incomplete.findings if f["run_id"] == name} - {"run-created-misplaced"}
    assert found == (set() if gap is None else {"incomplete-export"})


def test_a_run_that_only_its_stored_row_knows_is_in_the_report(tmp_path: Path) -> None:
    row = {"record": "entity", "kind": "run", "runId": RUN, "status": "completed", "workflowName": "w"}
    with audit(write(tmp_path / "log.ndjson", manifest("entity"), row)) as result:
        (run,) = result.runs
    assert (run["log_verdict"], run["status"], run["workflow"]) == ("cannot_tell", "completed", "w")


def test_one_event_exported_twice_is_one_event(tmp_path: Path) -> None:
    events = Log().add("run_completed").events
    with audit(write(tmp_path / "log.ndjson", events, events[1:])) as result:
        assert result.report["counts"]["events"] == 3
        assert result.report["inputs"][0]["merged"] == 2
        assert result.verdict == "sound"


def test_other_content_under_one_id_is_kept(tmp_path: Path) -> None:
    events = Log().life("wait", 0, "created").events
    with audit(
        write(tmp_path / "log.ndjson", events, [events[-1] | {"createdAt": "2026-01-01T00:00:00Z"}])
    ) as result:
        assert result.report["counts"]["events"] == 4


def test_a_run_knows_what_its_core_tolerates(tmp_path: Path) -> None:
    cores: list[tuple[str | None, int, tuple[bool | None, bool, bool]]] = [
        ("4.2.4", 3, (False, False, True)),
        ("4.8.9", 3, (True, False, True)),
        ("5.0.0-beta.55", 7, (True, True, False)),
        (None, 3, (None, False, True)),
    ]
    logs = [Log(run_id(number), core=core, spec=spec) for number, (core, spec, _) in enumerate(cores)]
    with audit(write(tmp_path / "log.ndjson", *(log.events for log in logs))) as result:
        runs = runs_of(result)
    for log, (core, _, expected) in zip(logs, cores, strict=True):
        run = runs[log.run_id]
        known = (run["compares_resume_at"], run["tolerates_restart"], run["dies_of_late_creation"])
        assert known == expected, core


def test_the_derived_relations_are_those_of_the_contract(tmp_path: Path) -> None:
    contract = schemas.text("audit")
    listed = {
        name: [column.strip() for column in columns.replace("--", "").split(",")]
        for name, columns in re.findall(r"^-- (\w+)\(([^)]*?)\)$", contract, re.MULTILINE | re.DOTALL)
    }
    with audit(write(tmp_path / "log.ndjson", Log().events)) as result:
        actual = {name: [row[0] for row in result.con.execute(f"DESCRIBE {name}").fetchall()] for name in listed}
        made = {row[0] for row in result.con.execute("SHOW TABLES").fetchall()}
        macros = result.con.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE database_name = 'audit' AND NOT internal"
        ).fetchall()
    assert listed == actual
    tables = set(re.findall(r"^CREATE (?:TABLE|VIEW) (\w+)", contract, re.MULTILINE))
    assert made - tables - {"place"} == set(listed)
    assert {name for (name,) in macros} - {"crockford"} <= set(re.findall(r"(\w+)\(", contract))

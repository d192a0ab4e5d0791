"""The contracts: every schema is valid, describes itself, takes its golden example and refuses what is broken."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from jsonschema import Draft202012Validator

from auditor import schemas
from auditor.model import ids
from auditor.model.events import FenceKind
from auditor.model.judgement import (
    Capability,
    Confidence,
    Outcome,
    ReplayOutcome,
    RuntimeVerdict,
    Severity,
    Verdict,
)
from auditor.pipeline import run_audit

Json = dict[str, Any]

GOLDEN = Path(__file__).parent / "golden"
SCHEMAS: dict[str, Json] = {
    name: json.loads(schemas.text(name)) for name, file in schemas.NAMES.items() if file.endswith(".json")
}


def lines(name: str) -> list[Json]:
    return [json.loads(line) for line in (GOLDEN / name).read_text("utf-8").splitlines()]


def document(name: str) -> Json:
    return json.loads((GOLDEN / name).read_text("utf-8"))


LOG = lines("log.ndjson")
REPORT = document("report.json")
CONFIG = document("config.json")
BASELINE = lines("baseline.jsonl")

MANIFEST, EVENT = LOG[:2]
REFUSAL = next(line for line in LOG if line.get("record") == "refusal")
STEP_ROW = next(line for line in LOG if line.get("kind") == "step")
HEAD = LOG[-1]
RULE, RUN, CAUSE, FINDING, REJECT = (REPORT[key][0] for key in ("rules", "runs", "causes", "findings", "rejects"))
HEADER, KNOWN_BUG = BASELINE[:2]
KNOWN_OCCURRENCE = {
    "rule": "dropped-fence",
    "instance": "08ebb229f23ec09b461fcbc17009b834",
    "workflow": None,
    "message": "1 of 1 run_failed carries no fence.",
}


def but(json_object: Json, **changes: Any) -> Json:
    return {**json_object, **changes}


def without(json_object: Json, *keys: str) -> Json:
    return {key: value for key, value in json_object.items() if key not in keys}


def fenced(**fence: Any) -> Json:
    return but(EVENT, fence=fence)


def suppressing(**suppression: Any) -> Json:
    return {"suppressions": [suppression]}


def problems(schema: str, value: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMAS[schema]).iter_errors(value)]


# The schemas themselves ---------------------------------------------------------------------------------------


def parts(schema: Any, at: str = "#") -> Iterator[tuple[str, Json]]:
    """Every subschema that describes a value, with its place; conditions (if, then, else, anyOf) do not."""
    yield at, schema
    for key in ("properties", "$defs"):
        for name, part in schema.get(key, {}).items():
            yield from parts(part, f"{at}/{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from parts(schema[key], f"{at}/{key}")


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_valid_and_names_itself(name: str) -> None:
    schema = SCHEMAS[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert schema["$id"] == f"https://schemas.workflow-auditor.dev/{name}/v1"
    assert schema["title"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_part_of_a_schema_is_described(name: str) -> None:
    schema = SCHEMAS[name]

    def described(part: Json) -> bool:
        name_of_def = part.get("$ref", "").removeprefix("#/$defs/")
        return bool(part.get("description") or schema["$defs"].get(name_of_def, {}).get("description"))

    assert [at for at, part in parts(schema) if not described(part)] == []


@pytest.mark.parametrize("name", ["report", "replay", "config", "baseline"])
def test_no_other_key_is_allowed_than_those_described(name: str) -> None:
    objects = [(at, part) for at, part in parts(SCHEMAS[name]) if "properties" in part]
    assert [at for at, part in objects if part.get("additionalProperties") is not False] == []


@pytest.mark.parametrize("name", ["report", "replay"])
def test_every_key_of_a_report_is_always_present(name: str) -> None:
    objects = [(at, part) for at, part in parts(SCHEMAS[name]) if "properties" in part]
    assert [at for at, part in objects if set(part["required"]) != set(part["properties"])] == []


@pytest.mark.parametrize(
    ("schema", "name", "words"),
    [
        ("log", "fenceKind", FenceKind),
        ("report", "severity", Severity),
        ("report", "confidence", Confidence),
        ("report", "outcome", Outcome),
        ("report", "verdict", Verdict),
        ("report", "runtimeVerdict", RuntimeVerdict),
        ("report", "capability", Capability),
        ("replay", "outcome", ReplayOutcome),
        ("config", "severity", Severity),
        ("config", "capability", Capability),
    ],
)
def test_the_words_of_a_schema_are_those_of_the_model(schema: str, name: str, words: Any) -> None:
    assert SCHEMAS[schema]["$defs"][name]["enum"] == [word.value for word in words]


def test_the_counts_of_a_report_are_kept_by_the_words_of_the_model() -> None:
    counts = SCHEMAS["report"]["properties"]["counts"]["properties"]
    assert set(counts["verdicts"]["properties"]) == set(Verdict)
    assert set(counts["findings"]["properties"]) == set(Severity)


def test_the_event_ids_that_the_log_schema_shows_are_ids_to_the_model() -> None:
    shown = SCHEMAS["log"]["$defs"]["eventId"]["examples"]
    assert {ids.scheme(event_id) for event_id in shown} == {ids.IdScheme.ULID, ids.IdScheme.SLOT}


# Golden examples ----------------------------------------------------------------------------------------------

ACCEPTED = {
    **{f"log.ndjson line {number}": ("log", line) for number, line in enumerate(LOG, start=1)},
    **{f"baseline.jsonl line {number}": ("baseline", line) for number, line in enumerate(BASELINE, start=1)},
    "report.json": ("report", REPORT),
    "config.json": ("config", CONFIG),
    "an empty config": ("config", {}),
    "a baseline by instance": ("baseline", {"schema": "auditor.baseline/v1", "by": "instance"}),
    "an entry of a baseline by instance": ("baseline", KNOWN_OCCURRENCE),
    "a bare event": ("log", {"runId": "wrun_1", "eventId": "evnt_1", "eventType": "run_created"}),
    "an event type that nobody knows yet": ("log", but(EVENT, eventType="run_paused")),
    "a field that the SDK adds tomorrow": ("log", but(EVENT, computeInstanceId="i-1")),
    "ids of another world": ("log", but(EVENT, runId="7", eventId="42", correlationId="charge-card")),
    "a write that sent no fence": ("log", but(EVENT, fence=None)),
    "an event of a log without fences": ("log", without(EVENT, "fence")),
    "a fence by its name in a request": ("log", but(EVENT, fence=None, asOfTimestamp=1795077000000)),
    "what a writer waits for": ("log", but(EVENT, eventCount=4, awaitingCorrelationIds=["step_1"])),
    "a count in band": ("log", but(EVENT, inBand=True, expectedSeqInBand=4)),
}


@pytest.mark.parametrize(("schema", "value"), ACCEPTED.values(), ids=ACCEPTED)
def test_a_good_example_is_accepted(schema: str, value: Json) -> None:
    assert problems(schema, value) == []


def test_the_golden_log_shows_every_record_and_every_fence() -> None:
    assert {line.get("record") for line in LOG} == {"manifest", "event", "refusal", "entity", "head", None}
    assert {line["kind"] for line in LOG if line.get("record") == "entity"} == {"run", "step", "wait", "hook"}
    fences = [line["fence"] for line in LOG if "fence" in line]
    assert {fence and fence["kind"] for fence in fences} == {*FenceKind, None}
    assert {ids.scheme(line["eventId"]) for line in LOG if "eventId" in line} == {
        ids.IdScheme.ULID,
        ids.IdScheme.SLOT,
    }


def test_the_golden_log_is_read_without_a_reject(tmp_path: Path) -> None:
    audit = tmp_path / "audit.duckdb"
    run_audit([str(GOLDEN / "log.ndjson")], audit)
    with duckdb.connect(str(audit), read_only=True) as con:
        rejects = con.execute("SELECT line, reason FROM reject").fetchall()
        read = {
            record: len(con.execute(f"FROM {table}").fetchall())
            for record, table in {
                "event": "event",
                "refusal": "refusal",
                "entity": "entity_row",
                "head": "head",
            }.items()
        }
    assert rejects == []
    assert read == without(Counter(line.get("record", "event") for line in LOG), "manifest")


# Broken ones --------------------------------------------------------------------------------------------------

BROKEN = {
    # log
    "log: not an object": ("log", "run_created"),
    "log: an empty object": ("log", {}),
    "log: an unknown record": ("log", but(EVENT, record="snapshot")),
    "log: a manifest of another version": ("log", but(MANIFEST, schema="auditor.log/v2")),
    "log: a manifest that does not say what it records": ("log", without(MANIFEST, "fields")),
    "log: a manifest without the time of export": ("log", but(MANIFEST, exportedAt=None)),
    "log: an unknown fence policy": ("log", but(MANIFEST, fencePolicy="sometimes")),
    "log: an event without runId": ("log", without(EVENT, "runId")),
    "log: an event without eventId": ("log", without(EVENT, "eventId")),
    "log: an event without eventType": ("log", without(EVENT, "eventType")),
    "log: an empty runId": ("log", but(EVENT, runId="")),
    "log: an event at position 0": ("log", but(EVENT, position=0)),
    "log: a time without a zone": ("log", but(EVENT, createdAt="2026-11-19T08:30:00")),
    "log: a time that is a number": ("log", but(EVENT, createdAt=1795077000000)),
    "log: event data that is no object": ("log", but(EVENT, eventData="approved")),
    "log: a hash that is no digest": ("log", but(EVENT, hash="abc")),
    "log: an unknown fence kind": ("log", fenced(kind="etag", value="7")),
    "log: a fence without a kind": ("log", fenced(value="evnt_1")),
    "log: a fence without a value": ("log", fenced(kind="tail")),
    "log: a fence whose value is a number": ("log", fenced(kind="count", value=4)),
    "log: a fence that is text": ("log", but(EVENT, fence="none")),
    "log: unfenced without a reason": ("log", fenced(kind="unfenced", value=None)),
    "log: what a writer waits for as text": ("log", but(EVENT, awaitingCorrelationIds="step_1")),
    "log: in band as a number": ("log", but(EVENT, inBand=1)),
    "log: a refusal without a code": ("log", without(REFUSAL, "code")),
    "log: a refusal without eventType": ("log", without(REFUSAL, "eventType")),
    "log: a refusal with a fence of unknown kind": ("log", but(REFUSAL, fence={"kind": "etag", "value": "7"})),
    "log: an entity of unknown kind": ("log", but(STEP_ROW, kind="timer")),
    "log: a row of a step that does not name it": ("log", without(STEP_ROW, "correlationId")),
    "log: a head without its tail": ("log", without(HEAD, "tail")),
    "log: a head that counts below zero": ("log", but(HEAD, events=-1)),
    # report
    "report: another version": ("report", but(REPORT, schema="auditor.report/v2")),
    "report: an extra key": ("report", but(REPORT, generated_by="me")),
    "report: an extra key in a finding": ("report", but(REPORT, findings=[but(FINDING, line=7)])),
    "report: a cause without its sentence": ("report", but(REPORT, causes=[but(CAUSE, diagnosis="")])),
    "report: a cause without an example": ("report", but(REPORT, causes=[without(CAUSE, "example")])),
    "report: a key is missing": ("report", without(REPORT, "fence_coverage")),
    "report: a witness without its source": (
        "report",
        but(REPORT, findings=[but(FINDING, witness=[without(FINDING["witness"][0], "source")])]),
    ),
    "report: a witness that is a line of code": (
        "report",
        but(REPORT, findings=[but(FINDING, witness=[but(FINDING["witness"][0], record="code")])]),
    ),
    "report: an unknown severity": ("report", but(REPORT, findings=[but(FINDING, severity="fatal")])),
    "report: an unknown confidence": ("report", but(REPORT, findings=[but(FINDING, confidence="certain")])),
    "report: a fingerprint that is a sentence": (
        "report",
        but(REPORT, findings=[but(FINDING, fingerprint={"instance": "this one", "pattern": None})]),
    ),
    "report: an unknown verdict": ("report", but(REPORT, verdict="fine")),
    "report: the runtime's word as a log verdict": (
        "report",
        but(REPORT, runs=[but(RUN, log_verdict="corrupted")]),
    ),
    "report: an exit code that does not exist": ("report", but(REPORT, exit_code=4)),
    "report: an unknown capability": (
        "report",
        but(REPORT, capabilities=[{"name": "telepathy", "runs": 0, "all_runs": 1}]),
    ),
    "report: an unknown outcome": ("report", but(REPORT, rules=[but(RULE, outcome="passed")])),
    "report: a rule not evaluated for no reason": (
        "report",
        but(REPORT, rules=[but(RULE, outcome="not_evaluated", reason=None)]),
    ),
    "report: a count below zero": ("report", but(REPORT, counts=but(REPORT["counts"], runs=-1))),
    "report: a time with a blank in it": (
        "report",
        but(REPORT, audit=but(REPORT["audit"], now="2026-11-19 09:30:00")),
    ),
    "report: a reject without a reason": ("report", but(REPORT, rejects=[without(REJECT, "reason")])),
    # config
    "config: an unknown key": ("config", {"fail-on": "error"}),
    "config: an unknown severity to fail on": ("config", {"fail_on": "medium"}),
    "config: rejects below zero": ("config", {"max_rejects": -1}),
    "config: an unknown capability": ("config", {"require": ["telepathy"]}),
    "config: a rule id in capitals": ("config", {"select": ["DROPPED_FENCE"]}),
    "config: a severity for a rule id in capitals": ("config", {"severity": {"DROPPED_FENCE": "info"}}),
    "config: a rule switched off by its severity": ("config", {"severity": {"dropped-fence": "off"}}),
    "config: a parameter that is text": (
        "config",
        {"params": {"orphaned-wait": {"grace_seconds": "5 min"}}},
    ),
    "config: a workflow with a key of its own": ("config", {"workflow": {"load-*": {"ignore": []}}}),
    "config: a time without a zone": ("config", {"now": "2026-11-19T09:30:00"}),
    "config: a suppression without a reason": (
        "config",
        suppressing(rule="dropped-fence", workflow="load-*"),
    ),
    "config: a suppression with a blank reason": (
        "config",
        suppressing(rule="dropped-fence", workflow="load-*", reason=" "),
    ),
    "config: a suppression of a whole rule": ("config", suppressing(rule="dropped-fence", reason="noise")),
    "config: a suppression by line": (
        "config",
        suppressing(rule="dropped-fence", reason="noise", run="wrun_1", line=4),
    ),
    "config: a suppression that expires some day": (
        "config",
        suppressing(rule="dropped-fence", reason="noise", run="wrun_1", expires="next spring"),
    ),
    # baseline
    "baseline: another version": ("baseline", but(HEADER, schema="auditor.baseline/v2")),
    "baseline: a header by line": ("baseline", but(HEADER, by="line")),
    "baseline: no fingerprint": ("baseline", without(KNOWN_BUG, "pattern")),
    "baseline: both fingerprints": ("baseline", but(KNOWN_BUG, instance=KNOWN_BUG["pattern"])),
    "baseline: a pattern without a ceiling": ("baseline", without(KNOWN_BUG, "count")),
    "baseline: a ceiling of none": ("baseline", but(KNOWN_BUG, count=0)),
    "baseline: a count of one occurrence": ("baseline", but(KNOWN_OCCURRENCE, count=1)),
    "baseline: a line number": ("baseline", but(KNOWN_BUG, line=4)),
    "baseline: no message": ("baseline", without(KNOWN_BUG, "message")),
}


@pytest.mark.parametrize(("schema", "value"), BROKEN.values(), ids=BROKEN)
def test_a_broken_variant_is_refused(schema: str, value: Any) -> None:
    assert problems(schema, value)


# The audit file -----------------------------------------------------------------------------------------------


def test_the_ddl_makes_every_table_that_it_names() -> None:
    ddl = schemas.text("audit")
    named = re.findall(r"^CREATE TABLE (\w+)", ddl, re.MULTILINE)
    with duckdb.connect() as con:
        con.execute(ddl)
        made = [name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
    assert named
    assert sorted(made) == sorted(named)

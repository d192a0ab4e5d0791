"""A log may hold secrets. What is dropped at ingest is nowhere in the audit file and in no report.

A marker stands in every payload, token, reason and message, in every format. With `--keep-payloads` it is in the
column `event.payload`, where it was asked for, and nowhere else; tokens and reasons are not kept even then.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest
from ingest import shapes
from ingest.reading import read
from logs import Log, entity, manifest, time, write

from auditor import Audit, audit
from auditor.report.formats import FORMATS, renderer

MARKER = "XyZZy-s3cr3t"
TOKEN = "T0k3n-of-nobody"  # noqa: S105 - the marker of what is never kept
PROSE = "R34son-in-prose"
"""What a person wrote: why a write is unfenced, why one was refused."""


def secretive() -> Log:
    log = Log()
    log.events[0]["eventData"] |= {"input": {"card": MARKER}}
    log.add("hook_created", entity("hook", 0), data={"token": TOKEN, "metadata": {"m": MARKER}})
    log.add("hook_received", entity("hook", 0), data={"token": TOKEN, "payload": [MARKER]})
    log.add("step_created", entity("step", 1), data={"stepName": "s", "input": MARKER})
    log.add("step_failed", entity("step", 1), data={"stepName": "s", "error": MARKER, "stack": MARKER})
    log.add("step_started", entity("step", 1), data={"stepName": "s"})
    log.add("step_completed", entity("step", 1), data={"stepName": "s", "result": MARKER})
    log.add("attr_set", data={"changes": {"a": MARKER}})
    error = {"message": f"Unconsumed event in event log: {MARKER}", "stack": MARKER}
    log.add("run_failed", data={"errorCode": "RUNTIME_ERROR", "error": error})
    log.add("run_completed", data={"output": MARKER})
    return log.add("run_cancelled", data={"cancelReason": MARKER})


def run_row() -> dict[str, Any]:
    row = {"runId": secretive().run_id, "status": "failed", "workflowName": "w", "createdAt": time(0)}
    error = {"message": MARKER, "stack": MARKER, "code": "RUNTIME_ERROR"}
    return row | {"output": MARKER, "input": MARKER, "error": error}


def entity_rows() -> list[dict[str, Any]]:
    run = {"runId": secretive().run_id, "createdAt": time(0)}
    return [
        run | {"hookId": entity("hook", 0), "token": TOKEN, "metadata": MARKER},
        run | {"stepId": entity("step", 1), "stepName": "s", "status": "failed", "input": MARKER, "error": MARKER},
        run_row(),
    ]


def as_ndjson(folder: Path) -> Path:
    log = secretive()
    log.add("run_started", fence={"kind": "unfenced", "value": "x", "reason": PROSE}, reason=PROSE)
    refusal = {"record": "refusal", "runId": log.run_id, "eventType": "wait_created", "reason": PROSE}
    rows = [{"record": "entity", "kind": "run", **run_row()}]
    return write(folder / "log.ndjson", manifest("fence", "refusal"), log.events, refusal, rows)


def as_broken_ndjson(folder: Path) -> Path:
    path = as_ndjson(folder)
    event = secretive().events[0]
    broken = [
        f'{{"runId": "r", "input": "{MARKER}',
        f"[{MARKER}",
        MARKER,
        json.dumps(event | {"eventData": f"{MARKER}{TOKEN}"}),
        json.dumps(event | {"fence": [PROSE]}),
        json.dumps(event | {"createdAt": TOKEN}),
        json.dumps(event | {"eventId": None, "reason": PROSE}),
        json.dumps(event | {"eventData": {"executionContext": MARKER}}),
        json.dumps(event | {"eventData": {"token": TOKEN, "x": "\ud800"}}),
    ]
    path.write_text(path.read_text() + "".join(line + "\n" for line in broken))
    return path


def as_world_local(folder: Path) -> Path:
    path = shapes.world_local(secretive().events, folder / "world", [run_row()])
    for name, row in zip(("hooks", "steps"), entity_rows(), strict=False):
        (path / name).mkdir(exist_ok=True)
        (path / name / "x.json").write_text(json.dumps(row))
    (path / "hooks" / "tokens" / "abc.json").write_text(json.dumps({"token": TOKEN}))
    (path / "events" / "wrun_X-evnt_9.json").write_text('{"runId": "' + MARKER)
    return path


def as_cli(folder: Path) -> Path:
    (folder / "cli").mkdir()
    events = shapes.cli_array(secretive().events, folder / "cli" / "events.json")
    events.write_text(events.read_text()[:-2] + f',\n  {{"runId": "r", "eventData": "{MARKER}"}},\n  {MARKER}')
    shapes.cli_page(entity_rows(), folder / "cli" / "rows.json")
    (folder / "cli" / "bad.json").write_text(f'{{\n"runId": "{MARKER}", {TOKEN}')
    return folder / "cli"


def as_table(folder: Path) -> Path:
    path = shapes.postgres_csv(secretive().events, folder / "csv")
    table = path / "workflow_events.csv"
    rows = table.read_text()
    table.write_text(f"{rows}e1,t,,{TOKEN},r,,\\x{MARKER},3\ne2,t,,,r,{{{MARKER},,3\ne3,{MARKER}\n")
    columns = "run_id,hook_id,token,metadata,created_at,status,is_webhook"
    (path / "hooks.csv").write_text(f"{columns}\n{secretive().run_id},hook_1,{TOKEN},{MARKER},,,\n")
    error = "\\x" + cbor2.dumps({"message": MARKER}).hex()
    (path / "runs.csv").write_text(
        "id,status,name,deployment_id,execution_context_cbor,error_cbor,input,output_cbor\n"
        f"{secretive().run_id},failed,w,d,,{error},{MARKER},{error}\n"
    )
    return path


def as_foreign(folder: Path) -> Path:
    rows = shapes.renamed(secretive().events)
    extra = [row | {"secret": TOKEN, "why": PROSE, "payload": MARKER, "error": MARKER} for row in rows]
    extra.append(extra[0] | {"event_data": f"{{{MARKER}"})
    return shapes.foreign_csv(extra, folder / "log.csv")


def as_parquet(folder: Path) -> Path:
    return shapes.parquet([row | {"token": TOKEN} for row in secretive().events], folder / "log.parquet")


def as_archive(folder: Path) -> Path:
    return shapes.zipped(as_world_local(folder), folder / "world.zip")


def as_tar(folder: Path) -> Path:
    return shapes.tar_gz(as_cli(folder), folder / "cli.tar.gz")


FORMS: list[Callable[[Path], Path]] = [
    as_ndjson,
    as_broken_ndjson,
    as_world_local,
    as_cli,
    as_table,
    as_foreign,
    as_parquet,
    as_archive,
    as_tar,
]
SECRETS = (MARKER, TOKEN, PROSE)
OPTIONS = {as_foreign: {"fields": {"secret": "token"}}}
RULES = ["step", "run", "hook", "payload", "log", "entity"]
"""The groups that have something to say of these logs."""


def said(result: Audit) -> dict[str, str]:
    """Every report, and every table but the events, as text."""
    tables = [row[0] for row in result.con.execute("SHOW TABLES").fetchall()]
    rows = {name: str(result.con.execute(f"FROM {name}").fetchall()) for name in tables}
    return rows | {name: renderer(name)(result) for name in FORMATS}


@pytest.mark.parametrize("make", FORMS)
def test_a_marker_in_every_payload_token_reason_and_message_is_nowhere(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    saved = tmp_path / "audit.duckdb"
    options = OPTIONS.get(make, {})
    with audit(make(tmp_path), save=saved, select=RULES, **options) as result:
        assert result.findings
        for place, text in said(result).items():
            assert not [secret for secret in SECRETS if secret in text], place
    content = saved.read_bytes()
    for secret in SECRETS:
        assert secret.encode() not in content
        assert base64.b64encode(secret.encode()) not in content
        assert secret.encode().hex().encode() not in content


@pytest.mark.parametrize("make", FORMS)
def test_kept_payloads_stand_in_their_column_and_nowhere_else(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    saved = tmp_path / "audit.duckdb"
    options = OPTIONS.get(make, {})
    with audit(make(tmp_path), save=saved, select=RULES, keep_payloads=True, **options) as result:
        kept = result.con.execute("SELECT count(*) FROM event WHERE contains(payload, ?)", [MARKER]).fetchall()
        assert kept[0][0] >= 8
        columns = [row[0] for row in result.con.execute("DESCRIBE event").fetchall()]
        for column in columns:
            if column != "payload":
                values = result.con.execute(f'SELECT list("{column}") FROM event').fetchall()
                assert not [secret for secret in SECRETS if secret in str(values)], column
        for place, text in said(result).items():
            if not place.startswith("event"):
                assert not [secret for secret in SECRETS if secret in text], place
    content = saved.read_bytes()
    assert TOKEN.encode() not in content
    assert PROSE.encode() not in content


def test_a_token_that_was_hashed_before_is_the_same_token_and_nothing_else_passes_for_a_hash(
    tmp_path: Path,
) -> None:
    hashed = hashlib.sha256(TOKEN.encode()).hexdigest()

    none = [TOKEN, TOKEN * 4, hashed[:16], hashed.upper(), hashed + "0"]
    log = Log()
    for number, data in enumerate(
        [
            {"token": TOKEN},
            {"tokenSha256": hashed},
            {"token": TOKEN, "tokenSha256": "0" * 64},
            *({"tokenSha256": no_hash} for no_hash in none),
        ]
    ):
        log.add("hook_created", entity("hook", number), data=data)
    found = read(write(tmp_path / "log.ndjson", log.events)).events[2:]
    assert [event["token_hash"] for event in found] == [*[hashed[:16]] * 3, *[None] * len(none)]


@pytest.mark.parametrize("magic", [b"encr", b"encp"])
@pytest.mark.parametrize("form", ["ndjson", "table", "parquet", "kept"])
def test_an_encrypted_payload_is_known_as_one(magic: bytes, form: str, tmp_path: Path) -> None:
    def packed(content: bytes) -> dict[str, str]:
        return {"__type": "Uint8Array", "data": base64.b64encode(content).decode()}

    log = Log()
    log.add("step_created", entity("step", 0), data={"stepName": "s", "input": packed(magic + bytes(20))})
    log.add("step_completed", entity("step", 0), data={"stepName": "s", "result": packed(b"devl[1]")})
    log.add("step_created", entity("step", 1), data={"stepName": "s", "input": f"{magic.decode()} in plain text"})
    path = {
        "ndjson": lambda: shapes.ndjson(log.events, tmp_path / "log.ndjson"),
        "kept": lambda: shapes.ndjson(log.events, tmp_path / "log.ndjson"),
        "table": lambda: shapes.postgres_csv(log.events, tmp_path / "csv"),
        "parquet": lambda: shapes.parquet(shapes.renamed(log.events), tmp_path / "log.parquet"),
    }[form]()
    found = read(path, keep_payloads=form == "kept")
    assert [row["payload_encrypted"] for row in found.events] == [False, False, True, False, False]


def test_a_name_is_no_secret(tmp_path: Path) -> None:
    path = tmp_path / f"{MARKER}.ndjson"
    path.write_text("oops\n")
    with audit(path, select=["incomplete-export"]) as result:
        assert result.report["inputs"][0]["path"].endswith(f"{MARKER}.ndjson")

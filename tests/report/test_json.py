from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from logs import Log, entity, manifest, time, write

from auditor import audit, schemas
from auditor.report import json_report

SCHEMA = json.loads(schemas.text("report"))


def corrupt(path: Path) -> Path:
    log = Log().life("step", 0, "created", "started", "completed", "started", stepName="s")
    return write(path, manifest("fence"), log.events)


def broken(path: Path) -> Path:
    path.write_text('{"runId": "wrun_1"}\n{oops\n')
    return path


def empty(path: Path) -> Path:
    path.write_text("")
    return path


def refused(path: Path) -> Path:
    log = Log().add("wait_created", entity("wait", 0), data={"resumeAt": time(3)}, fence=None)
    refusal = {"record": "refusal", "runId": log.run_id, "eventType": "wait_completed", "code": "FENCE_CONFLICT"}
    return write(path, manifest("fence", "refusal"), log.events, refusal)


@pytest.mark.parametrize("make", [corrupt, broken, empty, refused])
def test_every_report_is_of_its_schema(make, tmp_path: Path) -> None:
    with audit(make(tmp_path / "log.ndjson")) as result:
        report = json.loads(json_report.render(result))
    jsonschema.validate(report, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_a_finding_names_its_root_by_fingerprint(tmp_path: Path) -> None:
    log = Log(core="4.8.9").life("step", 0, "created", "started", "completed", "started", stepName="s")
    log.add("run_failed", data={"errorCode": "CORRUPTED_EVENT_LOG", "error": {"message": "secret"}})
    with audit(write(tmp_path / "log.ndjson", log.events)) as result:
        findings = {finding["rule"]: finding for finding in result.findings}
    root = findings["step-restarted-after-outcome"]
    assert root["folded_under"] is None
    assert findings["runtime-corruption-verdict"]["folded_under"] == root["fingerprint"]["instance"]
    assert result.report["counts"]["states"]["folded"] == 1

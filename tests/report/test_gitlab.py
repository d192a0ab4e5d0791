from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from audited import (
    RESTARTED,
    check_golden,
    decided,
    is_inert,
    nasty_texts,
    of_sample,
    of_state,
    poisoned,
)
from hypothesis import given, settings
from logs import Log, write

from auditor import Audit, audit
from auditor.report import gitlab

# https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "minLength": 1, "not": {"pattern": "^(/|\\./)"}},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}


def entries_of(rendered: str) -> list[dict[str, Any]]:
    entries = json.loads(rendered)
    jsonschema.validate(entries, SCHEMA)
    return list(entries)


def findings_of(rendered: str) -> set[str]:
    return {row["fingerprint"] for row in entries_of(rendered) if row["check_name"] != gitlab.NOT_JUDGED}


def test_the_gitlab_report_of_a_sample_log() -> None:
    check_golden("stale-snapshot-write.gitlab.json", of_sample("stale-snapshot-write", gitlab.render))


def test_known_findings_are_in_it_and_suppressed_ones_are_not(tmp_path: Path) -> None:
    with decided(tmp_path) as result:
        assert findings_of(gitlab.render(result)) == of_state(result.report, "new", "known")


def test_a_finding_is_at_its_last_event(in_doubt: Audit) -> None:
    (row,) = [row for row in entries_of(gitlab.render(in_doubt)) if row["check_name"] == RESTARTED]
    assert row["location"] == {"path": "log.ndjson", "lines": {"begin": 6}}
    assert row["severity"] == "blocker"


def test_what_could_not_be_judged_is_an_entry(in_doubt: Audit) -> None:
    rows = [row for row in entries_of(gitlab.render(in_doubt)) if row["check_name"] == gitlab.NOT_JUDGED]
    assert "empty.ndjson: is empty" in [row["description"] for row in rows]
    assert {row["severity"] for row in rows} == {"critical"}


def test_findings_that_are_only_counted_are_an_entry(tmp_path: Path) -> None:
    runs = [Log(f"wrun_{run:026d}").life("step", 0, "created", "completed", "started") for run in range(1001)]
    path = write(tmp_path / "log.ndjson", *(run.events for run in runs))
    with audit(path, select=[RESTARTED]) as result:
        rows = entries_of(gitlab.render(result))
    assert len([row for row in rows if row["check_name"] == RESTARTED]) == 1000
    (told,) = [row for row in rows if row["check_name"] == "findings-left-out"]
    assert told["description"] == "1 finding more only counted: of a rule at most 1,000 are listed"
    assert told["severity"] == "info"


def test_a_sound_log_is_an_empty_report(tmp_path: Path) -> None:
    with audit(write(tmp_path / "log.ndjson", Log().add("run_completed").events)) as result:
        assert gitlab.render(result) == "[]\n"


@settings(max_examples=25, deadline=None)
@given(texts=nasty_texts)
def test_whatever_a_log_says_it_stays_a_gitlab_report(in_doubt: Audit, texts: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_doubt, "report", poisoned(in_doubt.report, texts))
        rendered = gitlab.render(in_doubt)
    assert is_inert(rendered)
    assert findings_of(rendered) == of_state(in_doubt.report, "new", "known")

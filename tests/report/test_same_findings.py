"""Every format tells of the same findings."""

from __future__ import annotations

import html
import json
import re
from contextlib import chdir
from pathlib import Path

import pytest
from audited import decided, instances, of_state, restarted
from logs import write

from auditor import audit
from auditor.report import github, gitlab, json_report, jsonl, sarif
from auditor.report.formats import FORMATS, renderer


def test_every_format_has_the_same_findings(tmp_path: Path) -> None:
    with decided(tmp_path) as result:
        report = result.report
        of_json = instances(json.loads(json_report.render(result)))
        lines = [json.loads(line) for line in jsonl.render(result).splitlines()]
        results = json.loads(sarif.render(result))["runs"][0]["results"]
        entries = json.loads(gitlab.render(result))
    of_jsonl = {row["fingerprint"]["instance"] for row in lines if row.get("record") == "finding"}
    of_sarif = {row["partialFingerprints"]["auditorInstance/v1"] for row in results}
    followed = {name for row in results for name in row["properties"]["folded"]}
    assert len(of_json) == len(report["findings"]) == 6
    assert of_json == of_jsonl == of_sarif | followed
    assert {row["fingerprint"] for row in entries} == of_sarif - of_state(report, "suppressed")


def test_the_reports_for_people_name_the_same_findings(tmp_path: Path) -> None:
    with decided(tmp_path) as result:
        report = result.report
        shown = {
            name: renderer(name)(result) for name in ("text", "concise", "html", "markdown", "junit", "github")
        }
    new, standing = of_state(report, "new"), of_state(report, "new", "known", "suppressed")
    everything = instances(report)
    named = {name: {instance for instance in everything if instance in shown[name]} for name in shown}
    assert named["text"] == new
    assert named["concise"] == standing
    assert named["html"] >= standing
    because = {f["because"] for f in report["findings"] if f["state"] == "new"}
    assert all(sentence in shown["github"] for sentence in because)
    assert shown["github"].count("::error ") == len(new)
    assert all(sentence in shown["junit"] for sentence in because)
    assert all(f"{number} {state}" in shown["github"] for state, number in report["counts"]["states"].items())


SWITCHED_OFF = """
ignore = ["runtime-verdict-unexplained", "runtime-corruption-verdict"]
[severity]
step-restarted-after-outcome = "info"
[params.orphaned-wait]
grace_seconds = 7
[workflow."ordr*".severity]
orphaned-wait = "warning"
"""


@pytest.mark.parametrize("name", [*FORMATS, "summary"])
def test_every_format_says_what_a_configuration_switches_off_and_lowers(tmp_path: Path, name: str) -> None:
    with chdir(tmp_path):
        path = write(Path("log.ndjson"), restarted("s").events)
        Path("ours.toml").write_text(SWITCHED_OFF)
        with audit(path, config="ours.toml") as result:
            assert result.exit_code == 0, "which nothing but the configuration explains"
            rendered = github.summary(result) if name == "summary" else renderer(name)(result)
    said = " ".join(re.sub(r"<[^>]*>|[\\\u200b]", "", html.unescape(rendered)).split())
    assert "ours.toml" in said
    assert "runtime-verdict-unexplained" in said
    assert "runtime-corruption-verdict" in said
    assert "step-restarted-after-outcome: severity info" in said
    assert "orphaned-wait: grace_seconds 7" in said
    assert "ordr*" in said

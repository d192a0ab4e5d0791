"""What a log says is text in every report: no markup, no command to a terminal, a runner or a spreadsheet."""

from __future__ import annotations

import json
from contextlib import chdir
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from audited import is_inert
from logs import Log, entity, manifest, time, write
from lxml import etree
from own_rules import finds, rule_file

from auditor import Audit, audit
from auditor.report import text
from auditor.report.formats import FORMATS, renderer

HOSTILE = {
    "a command to a runner": "\n::error file=a::owned",
    "a command at the start": "::set-output name=owned::1",
    "an old command": "##[error]owned ##vso[task.complete]",
    "an escape sequence": "\x1b[2J\x1b]0;owned\x07",
    "an escape sequence of another kind": "\x9b2J\x9d0;owned\x9c\x7f",
    "an end of line of another kind": "\x85::error::owned\u2028::error::owned",
    "markup": "<script>owned()</script><img src=//owned>",
    "an end of markup": "</td></svg>]]>--><h1>owned",
    "a link": "[x](javascript:owned) ![x](//owned) @owned",
    "a formula": '=HYPERLINK("//owned")',
    "another formula": "@SUM(1)\t+cmd|' /C calc'!A0",
    "letters that turn round": "\u202edenwo\u2066",
    "a line of a code block": "\n```\n# owned\n",
    "a template": "{{ owned }} {% raw %} %0A",
}


@pytest.fixture(params=HOSTILE.values(), ids=HOSTILE, scope="module")
def hostile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The audit of a log in which every name is this text, and of a file that is named so and holds no log.

    Two rules of the user's own make it the role of a witness.
    """
    bad = request.param
    log = Log(f"wrun_{bad}", workflow=bad).life("step", 0, "created", "started", "completed", stepName=bad)
    log.add("step_started", entity("step", 0), data={"stepName": bad})
    log.add("wait_created", f"wait_{bad}", data={"resumeAt": time(30)}, fence=None, site=bad, writerId=bad)
    log.add(bad, f"hook_{bad}", at=900)
    log.add("run_failed", data={"errorCode": bad, "error": {"message": bad}}, at=901)
    refused = {"record": "refusal", "runId": log.run_id, "eventType": bad, "code": "FENCE_CONFLICT", "at": time(9)}
    with chdir(tmp_path_factory.mktemp("hostile")):
        role = "'" + bad.replace("'", "''") + "'"
        rule_file(Path("rules"), "role-of-an-event", finds(witness=f"[witness({role}, event_no)]", because=role))
        of_refusal = (
            f"SELECT run_id, [refusal_witness({role}, refusal_no)] AS witness, {role} AS because FROM refusal"
        )
        rule_file(Path("rules"), "role-of-a-refusal", of_refusal)
        name = bad.replace("/", "_").replace("\0", "")
        Path(name).write_text(bad, "utf-8")
        path = write(Path("log.ndjson"), manifest("fence", "site", "writerId", "refusals"), log.events, refused)
        with audit(path, f"./{name}", rules=["rules"], fail_on="info") as result:
            found = {finding["rule"] for finding in result.findings}
            assert found >= {"step-restarted-after-outcome", "role-of-an-event", "role-of-a-refusal"}
            yield result


def lines_of(name: str, result: Audit) -> list[str]:
    return renderer(name)(result).splitlines()


@pytest.mark.parametrize("name", FORMATS)
def test_no_report_holds_control_characters(hostile: Audit, name: str) -> None:
    assert is_inert(renderer(name)(hostile))


def test_colour_is_the_only_escape_sequence(hostile: Audit) -> None:
    coloured = text.render(hostile, colour=True)
    sequences = {part.split("m")[0] for part in coloured.split("\x1b[")[1:]}
    assert sequences <= {"31", "32", "33", "34", "35", "1", "0"}
    assert is_inert(coloured.replace("\x1b", ""))


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "github"])
def test_no_line_is_a_command_to_a_runner(hostile: Audit, name: str) -> None:
    assert not [line for line in lines_of(name, hostile) if line.lstrip().startswith("::")]


@pytest.mark.parametrize("name", FORMATS)
def test_no_line_holds_a_command_of_the_old_form(hostile: Audit, name: str) -> None:
    assert not [line for line in lines_of(name, hostile) if "##[" in line or "##vso[" in line]


def test_every_annotation_is_one_of_ours(hostile: Audit) -> None:
    commands = [line for line in lines_of("github", hostile) if line.startswith("::")]
    assert commands
    assert {line.split(" ")[0] for line in commands} <= {"::error", "::warning", "::notice"}
    for line in commands:
        assert line.removeprefix("::").count("::") >= 1
        properties = line.removeprefix("::").split("::")[0]
        assert "owned" not in properties or "title=" in properties


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += attrs


def test_the_page_has_no_element_that_we_did_not_make(hostile: Audit) -> None:
    page = Elements()
    page.feed(renderer("html")(hostile))
    assert page.names.isdisjoint({"script", "img", "iframe", "object", "form", "base"})
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "src"]
    assert not [
        value for name, value in page.attributes if name == "href" and not str(value).startswith(("#", "data:,"))
    ]


def test_xml_and_json_are_still_what_they_are(hostile: Audit) -> None:
    assert etree.fromstring(renderer("junit")(hostile).encode()).tag == "testsuites"
    for name in ("sarif", "gitlab"):
        json.loads(renderer(name)(hostile))


def test_json_says_what_the_log_says_all_the_same(hostile: Audit) -> None:
    assert json.loads(renderer("json")(hostile)) == hostile.report
    lines = [json.loads(line) for line in renderer("jsonl")(hostile).splitlines()]
    found = [
        {key: value for key, value in line.items() if key != "record"}
        for line in lines
        if line["record"] == "finding"
    ]
    assert found == hostile.report["findings"]

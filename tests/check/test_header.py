"""A malformed rule file is an error that names the file, the line and what is wrong."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from auditor.check.header import HEADINGS, parse
from auditor.errors import RuleFileError
from auditor.model.judgement import Severity

DOCUMENT = "\n".join(f"## {heading}\ntext\n" for heading in HEADINGS)
HEADER = "title: A title\nseverity: error\nconfidence: proof\nsince: 0.1.0"


def rule_file(folder: Path, header: str = HEADER, document: str = DOCUMENT, name: str = "a-rule.sql") -> Path:
    path = folder / name
    path.write_text(f"/*\n{header}\n---\n{document}*/\nSELECT 1;\n")
    return path


def test_a_rule_is_its_file(tmp_path: Path) -> None:
    group = tmp_path / "step"
    group.mkdir()
    rule = parse(rule_file(group))
    assert (rule.id, rule.group, rule.title, rule.select) == ("a-rule", "step", "A title", "SELECT 1")


def test_severity_may_depend_on_the_run(tmp_path: Path) -> None:
    header = HEADER.replace("error", "\n  - {when: run.spec_version >= 7, is: info}\n  - {is: error}", 1)
    rule = parse(rule_file(tmp_path, header))
    assert [(case.when, case.severity) for case in rule.severity] == [
        ("run.spec_version >= 7", Severity.INFO),
        (None, Severity.ERROR),
    ]
    assert (rule.worst, rule.mildest) == (Severity.ERROR, Severity.INFO)


def test_only_with_names_types_of_events_and_relations(tmp_path: Path) -> None:
    header = f"{HEADER}\nonly_with: [accusation, refusal, wait_created]"
    assert parse(rule_file(tmp_path, header)).only_with == ("accusation", "refusal", "wait_created")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("title: A title", ""), "no title"),
        (("severity: error", "severity: fatal"), "severity is 'fatal', not one of error, warning, info"),
        (("severity: error", "severity: []"), "neither a word nor a list"),
        (("severity: error", "severity: [{when: x, is: info}]"), "only the last has none"),
        (("severity: error", "severity: [{is: info}, {is: error}]"), "only the last has none"),
        (("confidence: proof", "confidence: sure"), "confidence is 'sure'"),
        (("since: 0.1.0", "since: 0.1.0\nneeds: [magic]"), "needs is 'magic', not one of complete"),
        (("since: 0.1.0", "since: 0.1.0\nparams: {grace: {}}"), "param 'grace' needs a numeric `default`"),
        (
            ("since: 0.1.0", "since: 0.1.0\nonly_with: [wait_done]"),
            "only_with is 'wait_done', not one of run_created",
        ),
        (("since: 0.1.0", "since: 0.1.0\nabout: everything"), "not log or runtime"),
        (("since: 0.1.0", "since: 0.1.0\ncolour: red"), "unknown header key 'colour'"),
        (("since: 0.1.0", "since: 0.1.0\ndiagnosis: Of {colours}."), "asks for 'colours', which is none of class"),
        (
            ("since: 0.1.0", "since: 0.1.0\ndiagnosis: Of {steps of nobody}."),
            "the role 'nobody', which",
        ),
        (("since: 0.1.0", "since: 0.1.0\ndiagnosis: Of {steps."), "has a '{' without its other half"),
        (("since: 0.1.0", "since: 0.1.0\ndiagnosis: Of [steps."), "has a '[' without its other half"),
        (("since: 0.1.0", "since: 0.1.0\ndiagnosis: Of ] steps."), "has a ']' without its other half"),
        (("since: 0.1.0", "since: 0.1.0\ndiagnosis: Of [a [b] c]."), "or inside another"),
        (("since: 0.1.0", "since: ["), "the header is not YAML"),
        (("A title", "A \x01 title"), "the header is not YAML: it has the character 0x01"),
        (("since: 0.1.0", "since: [0.1.0]"), "no since"),
        (("since: 0.1.0", "since: 0.1.0\nimplies: [[a]]"), "implies holds ['a'], which is no id of a rule"),
        (("since: 0.1.0", "since: 0.1.0\nparams: {grace: {default: true}}"), "numeric `default`"),
        (("since: 0.1.0", f"since: 0.1.0\nparams: {{grace: {{default: {'9' * 400}}}}}"), "numeric `default`"),
        (("since: 0.1.0", f"since: 0.1.0\nparams: {{grace: {{default: {'9' * 5_000}}}}}"), "numeric `default`"),
        (("since: 0.1.0", "since: 0.1.0\nimplies: [&a [x], *a]"), "a header has no anchors and aliases"),
        (("since: 0.1.0", "since: 0.1.0\nimplies: *a"), "a header has no anchors and aliases"),
        (("since: 0.1.0", "since: 0.1.0\nimplies: " + "[" * 9_000), "the header is nested more than 10 deep"),
        (("A title", "A title" * 3_000), "the header is longer than 20,000 characters"),
    ],
    ids=lambda value: str(value)[-30:],
)
def test_a_wrong_header_is_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = rule_file(tmp_path, HEADER.replace(*change))
    with pytest.raises(RuleFileError, match=r"a-rule\.sql:\d+: ") as raised:
        parse(path)
    assert message in str(raised.value)


def test_an_error_repeats_only_the_beginning_of_what_is_wrong(tmp_path: Path) -> None:
    path = rule_file(tmp_path, HEADER.replace("severity: error", "severity: " + "x" * 19_000))
    with pytest.raises(RuleFileError) as raised:
        parse(path)
    assert len(str(raised.value)) < 500


def test_a_bomb_of_aliases_never_goes_off(tmp_path: Path) -> None:
    """Ten times ten, nine times over: as text it would be a gigabyte."""
    bomb = ["&a0 [x, x, x, x, x, x, x, x, x, x]"]
    bomb += [f"&a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    path = rule_file(tmp_path, f"{HEADER}\nimplies: [{', '.join(bomb)}]")
    with pytest.raises(RuleFileError, match=r"a-rule\.sql:6: a header has no anchors and aliases"):
        parse(path)


def test_a_value_is_the_text_that_was_written(tmp_path: Path) -> None:
    """What YAML would make a date, and Python could not."""
    rule = parse(rule_file(tmp_path, HEADER.replace("0.1.0", "2024-13-45").replace("A title", "Yes")))
    assert (rule.title, rule.since) == ("Yes", "2024-13-45")


def test_a_file_of_nothing_but_rulers_is_read_in_no_time(tmp_path: Path) -> None:
    path = tmp_path / "a-rule.sql"
    path.write_text("/*\n" + "---\n" * 250_000)
    started = time.perf_counter()
    with pytest.raises(RuleFileError, match="header --- Markdown"):
        parse(path)
    assert time.perf_counter() - started < 5


def test_every_heading_must_be_there_in_its_order(tmp_path: Path) -> None:
    with pytest.raises(RuleFileError, match=r":7: the headings must be: What it means / "):
        parse(rule_file(tmp_path, document=DOCUMENT.replace("## When it is wrong\n", "")))


def test_a_file_without_a_header_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a-rule.sql"
    path.write_text("SELECT 1")
    with pytest.raises(RuleFileError, match=r":1: must be a /\* header"):
        parse(path)


def test_a_rule_id_is_kebab_case(tmp_path: Path) -> None:
    with pytest.raises(RuleFileError, match="kebab-case"):
        parse(rule_file(tmp_path, name="A_Rule.sql"))


def test_the_version_changes_with_what_is_found_and_not_with_the_words(tmp_path: Path) -> None:
    rule = parse(rule_file(tmp_path))
    assert parse(rule_file(tmp_path, document=DOCUMENT.replace("text", "words"))).version == rule.version
    assert parse(rule_file(tmp_path, HEADER + "\ndiagnosis: It is {steps}.")).version == rule.version
    assert parse(rule_file(tmp_path, HEADER.replace("proof", "strong"))).version != rule.version

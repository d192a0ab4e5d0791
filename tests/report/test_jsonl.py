from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from audited import check_golden, decided, doubtful, nasty_texts, of_sample, poisoned
from hypothesis import given, settings
from logs import Log, write

from auditor import Audit, audit, schemas
from auditor.report import jsonl

CHURN = {"audit", "capabilities"}


def rebuilt(rendered: str) -> dict[str, Any]:
    """The report that the lines are of."""
    header, *rows = [json.loads(line) for line in rendered.splitlines()]
    assert header.pop("record") == "report"
    lists: dict[str, list[Any]] = {name: [] for name in jsonl.RECORDS}
    names = {record: name for name, record in jsonl.RECORDS.items()}
    for row in rows:
        lists[names[row.pop("record")]].append(row)
    return header | lists


@pytest.mark.parametrize("name", ["stale-snapshot-write", "dropped-fence"])
def test_the_jsonl_report_of_a_sample_log(name: str) -> None:
    """Without what changes with every rule."""
    header, *rows = [json.loads(line) for line in of_sample(name, jsonl.render).splitlines()]
    kept = [{key: value for key, value in header.items() if key not in CHURN}]
    kept += [row for row in rows if row["record"] != "rule"]
    check_golden(f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in kept))


@pytest.mark.parametrize("made", [decided, doubtful])
def test_the_lines_are_the_json_report_and_nothing_else(made: Any, tmp_path: Path) -> None:
    context: AbstractContextManager[Any] = made(tmp_path)
    with context as result:
        report = rebuilt(jsonl.render(result))
        assert report == result.report
    jsonschema.validate(report, json.loads(schemas.text("report")), cls=jsonschema.Draft202012Validator)


def test_the_first_line_alone_tells_how_it_ended(tmp_path: Path) -> None:
    with audit(write(tmp_path / "log.ndjson", Log().events)) as result:
        header = json.loads(jsonl.render(result).splitlines()[0])
    assert (header["schema"], header["verdict"], header["exit_code"]) == ("auditor.report/v1", "sound", 0)
    assert header["counts"]["runs"] == 1


@settings(max_examples=25, deadline=None)
@given(texts=nasty_texts)
def test_whatever_a_log_says_a_record_is_one_line(in_doubt: Audit, texts: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_doubt, "report", poisoned(in_doubt.report, texts))
        rendered = jsonl.render(in_doubt)
        assert rebuilt(rendered) == in_doubt.report
    assert rendered.isascii()
    assert all(character.isprintable() or character == "\n" for character in rendered)

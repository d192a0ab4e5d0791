from __future__ import annotations

from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from audited import (
    RESTARTED,
    check_golden,
    is_inert,
    nasty_texts,
    of_sample,
    poisoned,
    restarted,
)
from hypothesis import given, settings
from logs import Log, entity, time, write

from auditor import Audit, audit
from auditor.report import concise
from auditor.report.standing import place


@pytest.mark.parametrize("name", ["stale-snapshot-write", "dropped-fence"])
def test_the_concise_report_of_a_sample_log(name: str) -> None:
    check_golden(f"{name}.concise.txt", of_sample(name, concise.render))


def test_a_line_says_where_how_bad_what_which_run_why_and_names_the_finding(tmp_path: Path) -> None:
    with chdir(tmp_path), audit(write(Path("log.ndjson"), restarted("s").events)) as result:
        first = concise.render(result).splitlines()[0]
        (finding,) = (row for row in result.findings if row["rule"] == RESTARTED)
    assert first.startswith(f"log.ndjson:6: error {RESTARTED} [new] wrun_s step_started of ")
    assert first.endswith(f" ({finding['fingerprint']['instance']})")


def test_the_state_of_a_finding_is_on_its_line_and_new_ones_come_first(of_every_state: Audit) -> None:
    lines = [line for line in concise.render(of_every_state).splitlines() if RESTARTED in line]
    assert [line.split("[")[1].split("]")[0] for line in lines] == ["new", "known", "suppressed"]


def test_the_worst_comes_first(tmp_path: Path) -> None:
    log = Log().life("step", 0, "created", "started", "completed", "started", stepName="s")
    log.add("wait_created", entity("wait", 1), data={"resumeAt": time(9)}).add("run_completed")
    with audit(write(tmp_path / "log.ndjson", log.events)) as result:
        severities = [
            line.split(": ")[1].split()[0] for line in concise.render(result).splitlines() if " [" in line
        ]
    assert severities[0] == "error"
    assert severities[-1] == "info"
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


def test_folded_findings_are_left_out_and_counted(of_every_state: Audit) -> None:
    shown = concise.render(of_every_state)
    assert "runtime-corruption-verdict" not in shown
    assert f"not listed: {of_every_state.report['counts']['states']['folded']} consequences of these\n" in shown


def test_the_last_line_is_verdict_and_exit_code(of_every_state: Audit, in_doubt: Audit) -> None:
    for result in (of_every_state, in_doubt):
        because = result.report["exit_because"]
        assert concise.render(result).splitlines()[-1] == f"corrupt, exit code 1: {because}"


def test_what_could_not_be_read_has_a_line(in_doubt: Audit) -> None:
    lines = concise.render(in_doubt).splitlines()
    assert "log.ndjson: unreadable 1 unreadable row" in lines
    assert any(line.startswith("empty.ndjson: unreadable ") for line in lines)


@settings(max_examples=25, deadline=None)
@given(texts=nasty_texts)
def test_whatever_a_log_says_a_finding_is_one_line_and_no_command(in_doubt: Audit, texts: list[str]) -> None:
    expected = len(concise.render(in_doubt).splitlines())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_doubt, "report", poisoned(in_doubt.report, texts))
        shown = concise.render(in_doubt)
    assert is_inert(shown)
    assert "##[" not in shown
    assert "##vso[" not in shown
    lines = shown.split("\n")[:-1]
    assert not [line for line in lines if line.lstrip().startswith("::")]
    assert expected - 1 <= len(lines) <= expected + 1, "an empty text is no problem of an input"


@pytest.mark.parametrize(
    ("source", "root", "line", "shown"),
    [
        ("log.ndjson", "out/log.ndjson", 7, "out/log.ndjson:7"),
        ("events/a.json", "data", None, "data/events/a.json"),
        ("events/a.json", "data/", None, "data/events/a.json"),
        ("events/a.json", "x/data.tar.gz", None, "x/data.tar.gz/events/a.json"),
        ("<stdin>", "<stdin>", 3, "<stdin>:3"),
    ],
)
def test_a_place_is_the_path_from_the_input_as_it_was_named(source: str, root: str, line: int, shown: str) -> None:
    witness: dict[str, Any] = {"source": source, "input": root, "line": line}
    assert place(witness) == shown

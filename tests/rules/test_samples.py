"""Every rule on its own samples: each keeps what its name promises (`auditor/check/samples.py`).

A sample is one log of the shape `auditor.log/v1`.

The rules on cold replay look at code as well as at a log. Their samples are runs of our runtime, and
`rules/replay/sample_workflows.py` is the code that is replayed on them in every audit here.
"""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from auditor.check.catalogue import load
from auditor.check.header import CONTENTS
from auditor.check.samples import kind_of, kinds_of, promise_of, samples_of
from auditor.cold import evidence
from auditor.pipeline import Options, run_audit
from auditor.resources import rules_folder
from auditor.result import Audit

RULES = load()
SAMPLES = sorted(rules_folder().glob("*/*.samples/*"))
CODE = runpy.run_path(str(rules_folder() / "replay" / "sample_workflows.py"))["WORKFLOWS"]


def audited(paths: list[str], target: Path) -> None:
    """Audit logs, and replay the code of the samples on those of its runs that are in them."""
    run_audit(paths, target, options=Options(keep_payloads=True), evidence=evidence(CODE))


def sample_id(path: Path) -> str:
    return f"{path.parent.name.removesuffix('.samples')}/{path.stem}"


@dataclass(frozen=True)
class Outcome:
    """What one rule said of one sample."""

    name: str
    why: str | None
    severities: frozenset[str]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Outcome]:
    """What each rule said of its samples, which are audited together: each is an export with runs of its own."""
    folder = tmp_path_factory.mktemp("samples")
    for number, sample in enumerate(SAMPLES):
        target = folder / sample.parent.name / sample.name
        target.parent.mkdir(exist_ok=True)
        target.write_text(of_its_own(sample.read_text("utf-8"), number), "utf-8")
    target = tmp_path_factory.mktemp("audit") / "audit.duckdb"
    audited([str(folder)], target)
    with duckdb.connect(str(target), read_only=True) as con:
        assert con.execute("FROM reject").fetchall() == []
        assert con.execute("SELECT rule, reason FROM rule WHERE outcome = 'failed'").fetchall() == []
        found = con.execute(
            "SELECT DISTINCT source, rule, severity FROM finding JOIN witness_detail USING (finding_no)"
        ).fetchall()
        able = con.execute(
            """
            SELECT source.name, capabilities
            FROM (SELECT run_id, source_id FROM event UNION SELECT run_id, source_id FROM entity_row)
            JOIN source USING (source_id) JOIN run USING (run_id)
            """
        ).fetchall()

    def outcome(sample: Path) -> Outcome:
        rule = RULES[sample.parent.name.removesuffix(".samples")]
        source = f"{sample.parent.name}/{sample.name}"
        severities = frozenset(severity for name, id, severity in found if (name, id) == (source, rule.id))
        needs = {need.value for need in rule.needs}
        lacking = [needs - set(names) for name, names in able if name == source]
        if lacking and all(lacking):
            assert not severities
            return Outcome("not_evaluated", ", ".join(sorted(set().union(*lacking))), severities)
        return Outcome("found" if severities else "held", None, severities)

    return outcome


def of_its_own(sample: str, number: int) -> str:
    """A sample with run ids that no other sample has, in the same order and of the same times.

    A run of our runtime keeps its id, which is one of a kind: the ids of its steps follow from it.
    """
    if '"producer":"auditor world ' in sample:
        return sample
    ids = set(re.findall(r"wrun_[0-9A-Z]{26}", sample))
    renamed = {id: f"{id[:15]}{number:04d}{id[19:]}" for id in ids}
    assert len(set(renamed.values())) == len(ids)
    assert ids >= set(re.findall(r'"runId": ?"([^"]*)"', sample))
    return re.sub(r"wrun_[0-9A-Z]{26}", lambda found: renamed[found[0]], sample)


@pytest.mark.parametrize("sample", SAMPLES, ids=sample_id)
def test_a_sample_gives_the_outcome_that_its_name_promises(sample: Path, outcomes) -> None:
    outcome = outcomes(sample)
    promise = promise_of(sample)
    assert promise is not None
    assert outcome.name == promise.outcome, outcome.why
    if promise.severity is not None:
        assert outcome.severities == {promise.severity}


@pytest.fixture(scope="module")
def fired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The saved audit of all samples in which a rule finds something: every rule is evaluated in it."""
    target = tmp_path_factory.mktemp("fired") / "audit.duckdb"
    audited([str(path) for path in SAMPLES if path.name.startswith("fires-")], target)
    return target


def test_a_rule_finds_nothing_where_its_header_says_so(fired: Path) -> None:
    """A finding must be where `only_with` lets it be."""
    with duckdb.connect(str(fired), read_only=True) as con:
        found = con.execute("SELECT DISTINCT rule, run_id FROM finding WHERE run_id IS NOT NULL").fetchall()
        held = con.execute("SELECT DISTINCT run_id, event_type FROM log").fetchall()
        for name, rows in CONTENTS.items():
            held += con.execute(f"SELECT DISTINCT run_id, '{name}' FROM {rows}").fetchall()
    contents: dict[str, set[str]] = {}
    for run_id, name in held:
        contents.setdefault(run_id, set()).add(name)
    limited = [(rule, run_id) for rule, run_id in found if RULES[rule].only_with]
    assert {rule for rule, _ in limited} == {rule.id for rule in RULES.values() if rule.only_with}
    assert [(rule, run_id) for rule, run_id in limited if contents[run_id].isdisjoint(RULES[rule].only_with)] == []


def test_what_is_found_does_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    forward, backward = tmp_path / "forward", tmp_path / "backward"
    forward.mkdir()
    backward.mkdir()
    firsts = {
        path.parent.name.removesuffix(".samples"): path for path in reversed(SAMPLES) if path.name[:5] == "fires"
    }
    for rule, sample in firsts.items():
        first, *others = sample.read_text("utf-8").splitlines()
        (forward / f"{rule}.ndjson").write_text("\n".join([first, *others]) + "\n", "utf-8")
        (backward / f"{rule}.ndjson").write_text("\n".join([first, *reversed(others)]) + "\n", "utf-8")
    saved = [tmp_path / "forward.duckdb", tmp_path / "backward.duckdb"]
    for logs, target in zip((forward, backward), saved, strict=True):
        audited([str(logs)], target)
    with Audit(saved[0]) as one, Audit(saved[1]) as two:
        for report in (one.report, two.report):
            for finding in report["findings"]:
                finding["witness"] = [witness | {"line": None, "input": None} for witness in finding["witness"]]
        assert {finding["rule"] for finding in one.report["findings"]} == set(RULES)
        assert one.report["findings"] == two.report["findings"]
        assert one.report["causes"] == two.report["causes"]
        assert one.report["runs"] == two.report["runs"]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_has_samples_of_every_kind_it_can_have(rule) -> None:
    assert {kind_of(sample) for sample in samples_of(rule)} == set(kinds_of(rule))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_that_can_give_several_severities_shows_each_in_a_sample(rule) -> None:
    promises = [promise_of(sample) for sample in samples_of(rule)]
    shown = {promise.severity for promise in promises if promise is not None}
    possible = {case.severity.value for case in rule.severity}
    assert len(possible) == 1 or possible <= shown


def test_a_rule_file_runs_by_hand_on_a_saved_audit(fired: Path) -> None:
    """As `duckdb audit.duckdb < rules/<group>/<rule>.sql` does, with the parameters of that audit."""
    with duckdb.connect(str(fired), read_only=True) as con:
        (tags,) = con.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'audit'").fetchall()[0]
        assert tags["storage_version"].startswith("v1.2.0")
        assert con.execute("SELECT rule, reason FROM rule WHERE outcome = 'failed'").fetchall() == []
        for rule in RULES.values():
            found = con.execute(rule.path.read_text("utf-8")).fetchall()
            kept = con.execute("SELECT count(*) FROM finding WHERE rule = ?", [rule.id]).fetchall()
            assert len(found) >= kept[0][0] > 0, rule.id


def test_implications_name_rules_and_have_no_cycle() -> None:
    """Else two findings could each be the root of the other. A rule may imply itself: its first finding stands."""
    for rule in RULES.values():
        assert set(rule.implies) <= set(RULES), rule.id
        waiting, reached = sorted({*rule.implies} - {rule.id}), set()
        while waiting:
            name = waiting.pop()
            assert name != rule.id
            if name not in reached:
                reached.add(name)
                waiting.extend(RULES[name].implies)

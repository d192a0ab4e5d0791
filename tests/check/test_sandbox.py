"""Custom rules are SQL of somebody else: what they may not do is stopped and reported, and the others go on."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from logs import Log, write
from own_rules import finds, rule_file

from auditor import audit
from auditor.check.catalogue import load, of_folder
from auditor.check.custom import ask
from auditor.check.engine import run_rules
from auditor.check.sandbox import Limits
from auditor.database import new_audit
from auditor.errors import RuleFileError, UsageError
from auditor.ingest import Options, Reader
from auditor.replay import derive
from auditor.resources import rules_folder
from auditor.result import Audit

SECONDS = 2.0
OUTSIDE = "{outside}"

REACHES_OUT = {
    "reads-a-csv": f"SELECT * FROM read_csv('{OUTSIDE}/secret.csv')",
    "reads-a-text": f"SELECT *, content AS because FROM read_text('{OUTSIDE}/*')",
    "reads-a-blob": f"SELECT * FROM read_blob('{OUTSIDE}/secret.csv')",
    "reads-json": f"SELECT * FROM read_json('{OUTSIDE}/secret.csv')",
    "reads-a-database": f"SELECT * FROM read_duckdb('{OUTSIDE}/other.duckdb')",
    "lists-files": f"SELECT * FROM glob('{OUTSIDE}/*')",
    "sniffs-a-file": finds(because=f"(SELECT Columns::VARCHAR FROM sniff_csv('{OUTSIDE}/secret.csv'))"),
    "lists-secrets": finds(because="(SELECT count(*)::VARCHAR FROM duckdb_secrets())"),
    "hides-it-in-a-query": f"SELECT * FROM query('SELECT * FROM read_text(''{OUTSIDE}/secret.csv'')')",
    "hides-it-in-a-subquery": finds(because=f"(SELECT content FROM read_text('{OUTSIDE}/secret.csv'))"),
}
IS_NO_SELECT = {
    "copies-out": f"COPY (SELECT 1) TO '{OUTSIDE}/written.csv'",
    "copies-in": f"COPY meta FROM '{OUTSIDE}/secret.csv'",
    "attaches-a-file": f"ATTACH '{OUTSIDE}/written.duckdb' AS other",
    "attaches-memory": "ATTACH ':memory:' AS other",
    "exports": f"EXPORT DATABASE '{OUTSIDE}/written'",
    "installs": "INSTALL httpfs",
    "loads": "LOAD httpfs",
    "sets": "SET memory_limit = '100GB'",
    "resets": "RESET memory_limit",
    "sets-a-variable": "SET VARIABLE x = 1",
    "pragmas": "PRAGMA enable_profiling",
    "calls": "CALL enable_logging('QueryLog')",
    "creates-a-temp-table": "CREATE TEMP TABLE x AS SELECT 1",
    "deletes": "DELETE FROM run",
    "drops": "DROP TABLE finding",
    "begins": "BEGIN",
    "says-two-things": "SELECT 1; DROP TABLE finding",
    "says-nothing": "-- nothing",
}
PLAYS_TRICKS = {
    "closes-the-bracket": finds() + ") AS x UNION ALL SELECT * FROM (" + finds(),
    "opens-a-comment": finds() + " /*",
    "inserts-in-a-with": "WITH x AS (INSERT INTO meta VALUES ('a', 'b') RETURNING *) SELECT * FROM x",
    "logs": "SELECT * FROM enable_logging('QueryLog')",
    "asks-the-environment": finds(because="getenv('PATH')"),
    "takes-what-python-has": "SELECT * FROM limits",
    "shouts": finds(because="error(repeat('x' || chr(27) || chr(10) || '::error::', 1000000))"),
    "nests": "SELECT " + "(" * 5_000 + "1" + ")" * 5_000,
}
IS_A_BOMB = {
    "recurses": "WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x) "
    "SELECT NULL AS run_id, [witness('x', max(i))] AS witness, '' AS because FROM x",
    "joins": "SELECT NULL AS run_id, [witness('x', count(*))] AS witness, '' AS because "
    "FROM range(1000000) a, range(1000000) b WHERE hash(a.range) > hash(b.range)",
    "repeats": finds(because="CAST(length(repeat('x', 2000000000)) AS VARCHAR)"),
    "ranges": finds(witness="[witness('x', i) FOR i IN range(1000000000)]"),
    "sorts": "SELECT DISTINCT NULL AS run_id, [witness('x', i)] AS witness, md5(CAST(i AS VARCHAR)) AS because "
    "FROM range(100000000) AS t(i)",
    "floods": "SELECT NULL AS run_id, [witness('x', 1)] AS witness, CAST(i AS VARCHAR) AS because "
    "FROM range(10000000000) AS t(i)",
    "floods-wide": "SELECT NULL AS run_id, [witness('x', 1)] AS witness, repeat('x', 100000) AS because "
    "FROM range(1000)",
}
LIES = {
    "a-long-because": finds(because="repeat('x', 2001)"),
    "no-because": finds(because="NULL"),
    "a-number-for-because": finds(because="1"),
    "no-witness": finds(witness="[]"),
    "null-for-witness": finds(witness="NULL"),
    "text-for-witness": finds(witness="'evnt_1'"),
    "numbers-for-witness": finds(witness="[event_no]"),
    "a-witness-without-number": finds(witness="[witness('x', NULL)]"),
    "a-witness-that-is-not-there": finds(witness="[witness('x', 999999)]"),
    "a-refusal-that-is-not-there": finds(witness="[refusal_witness('x', 1)]"),
    "a-record-of-no-kind": finds(witness="[{'role': 'x', 'record': 'rumour', 'no': 1::BIGINT}]"),
    "a-long-role": finds(witness="[witness(repeat('x', 201), event_no)]"),
    "a-run-that-is-not-there": finds(run_id="'wrun_nobody'"),
    "a-number-for-run": finds(run_id="1"),
    "no-columns": "SELECT 1 AS one",
}
REASONS = {
    "reads-a-text": "it tried to leave the sandbox: Permission Error: Cannot access file",
    "copies-out": "it must be one SELECT, and this is COPY",
    "says-two-things": "it must be one SELECT, and there are 2 statements",
    "says-nothing": "it must be one SELECT, and there are 0 statements",
    "closes-the-bracket": 'own/closes-the-bracket.sql:22: Parser Error: syntax error at or near ")"',
    "inserts-in-a-with": "data-modifying statement",
    "asks-the-environment": "getenv does not exist",
    "takes-what-python-has": "Table with name limits does not exist",
    "shouts": "Invalid Input Error: x",
    "nests": "Max expression depth",
    "recurses": "it took longer than 2 s and was stopped",
    "joins": "it took longer than 2 s and was stopped",
    "repeats": "it used more than 1024 MiB of memory",
    "ranges": "it used more than 1024 MiB of memory",
    "floods": "it gave more than 100,000 findings",
    "floods-wide": "it gave more than 64 MiB of findings",
    "a-long-because": "it gave a because of more than 2,000 characters",
    "no-because": "it gave a finding without a because",
    "a-number-for-because": "its because is int32, not VARCHAR",
    "no-witness": "it gave a finding without a witness",
    "null-for-witness": "not a list of witness(role, event_no)",
    "text-for-witness": "its witness is string, not a list of witness(role, event_no)",
    "a-witness-without-number": "it gave a witness that names no record",
    "a-witness-that-is-not-there": "a witness of it is event number 999999, which the log does not have",
    "a-refusal-that-is-not-there": "a witness of it is refusal number 1, which",
    "a-record-of-no-kind": "it gave a record that is none of event, refusal, entity, export",
    "a-long-role": "it gave a role of more than 200 characters",
    "a-run-that-is-not-there": "it names the run 'wrun_nobody', which the log does not have",
    "a-number-for-run": "its run_id is int32, not VARCHAR",
    "no-columns": "its SELECT has no column run_id, witness, because; it has one",
    "two-conditions": "in a `when` of its severity: it must be one SELECT, and there are 2 statements",
    "a-condition-that-ends-early": "in a `when` of its severity: Parser Error",
    "a-condition-that-reads": "in a `when` of its severity: it tried to leave the sandbox",
    "a-condition-with-a-typo": "in a `when` of its severity: Binder Error",
}
CONDITIONS = {
    "two-conditions": "TRUE; DROP TABLE run",
    "a-condition-that-ends-early": "TRUE) THEN 'error' END, (SELECT 1",
    "a-condition-that-reads": f"(SELECT count(*) FROM read_text('{OUTSIDE}/secret.csv')) > 0",
    "a-condition-with-a-typo": "run.spec_verzion > 3",
}
HOSTILE = REACHES_OUT | IS_NO_SELECT | PLAYS_TRICKS | IS_A_BOMB | LIES | dict.fromkeys(CONDITIONS, finds())
HONEST = {
    "an-honest-rule": finds() + " WHERE event_type = 'run_started' -- the run began",
    "one-more-honest-rule": "SELECT NULL AS run_id, [witness('first', min(event_no))] AS witness, "
    "'It has ' || count(*) || ' events.' AS because FROM log;",
}


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret.csv").write_text("a,b\nhidden,treasure\n")
    with duckdb.connect(str(folder / "other.duckdb")) as con:
        con.execute("CREATE TABLE hidden AS SELECT 'treasure' AS text")
    return folder


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory, outside: Path) -> Iterator[Audit]:
    """One audit with every hostile rule in it, and two honest ones."""
    tmp = tmp_path_factory.mktemp("audited")
    for id, select in (HOSTILE | HONEST).items():
        severity = "info"
        if id in CONDITIONS:
            when = CONDITIONS[id].replace(OUTSIDE, str(outside)).replace("'", "''")
            severity = f"[{{when: '{when}', is: error}}, {{is: info}}]"
        rule_file(tmp / "rules", id, select.replace(OUTSIDE, str(outside)), severity=severity)
    log = write(tmp / "log.ndjson", Log().add("run_completed").events)
    with audit(log, rules=[tmp / "rules"], rule_seconds=SECONDS, select=["own"]) as result:
        yield result


def outcome(audited: Audit, id: str) -> dict[str, Any]:
    return next(rule for rule in audited.report["rules"] if rule["id"] == id)


@pytest.mark.parametrize("id", HOSTILE)
def test_a_hostile_rule_fails_with_a_sentence_and_finds_nothing(audited: Audit, id: str) -> None:
    rule = outcome(audited, id)
    assert rule["outcome"] == "failed"
    assert not [finding for finding in audited.findings if finding["rule"] == id]
    assert "\n" not in rule["reason"]
    assert len(rule["reason"]) < 1_000
    assert "treasure" not in rule["reason"]
    if id in REACHES_OUT:
        assert "it tried to leave the sandbox" in rule["reason"]
    if id in IS_NO_SELECT:
        assert "it must be one SELECT" in rule["reason"]
    assert REASONS.get(id, "") in rule["reason"]


def test_an_honest_rule_among_them_still_finds_what_it_should(audited: Audit) -> None:
    found = {finding["rule"]: finding for finding in audited.findings}
    assert set(found) == set(HONEST)
    assert [witness["event_type"] for witness in found["an-honest-rule"]["witness"]] == ["run_started"]
    assert found["one-more-honest-rule"]["run_id"] is None
    assert found["one-more-honest-rule"]["because"] == "It has 3 events."


def test_a_rule_that_failed_is_never_green(audited: Audit) -> None:
    assert audited.exit_code == 3
    assert audited.report["verdict"] == "cannot_tell"


def test_nothing_was_written_outside(audited: Audit, outside: Path) -> None:
    assert {path.name for path in outside.iterdir()} == {"secret.csv", "other.duckdb"}


def test_a_rule_that_is_stopped_takes_no_longer_than_it_may(audited: Audit) -> None:
    with duckdb.connect(str(audited.path), read_only=True) as con:
        slowest = con.execute("SELECT max(seconds) FROM rule").fetchall()[0][0]
    assert slowest < SECONDS + 3


def test_the_sandbox_has_no_environment(audited: Audit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tasks = Path("/proc/self/task")
    if not tasks.exists():
        pytest.skip("no /proc that lists children")
    monkeypatch.setenv("AUDITOR_SECRET", "treasure")
    rule_file(tmp_path, "waits", IS_A_BOMB["joins"])
    (rule,) = [rule for rule in load([tmp_path]).values() if rule.origin]
    answers = ask(audited.path, [(rule, True)], Limits(seconds=0.5))
    environments = []
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(list, answers)
        while not asked.done():
            for task in tasks.glob("*/children"):
                with contextlib.suppress(OSError):  # the task or its child has ended meanwhile
                    children = [Path(f"/proc/{child}") for child in task.read_text().split()]
                    cells = [child for child in children if b"cell.py" in (child / "cmdline").read_bytes()]
                    environments.extend([(child / "environ").read_bytes() for child in cells])
    assert environments
    assert not [environment for environment in environments if b"treasure" in environment]


def test_a_sandbox_that_cannot_start_says_why(tmp_path: Path) -> None:
    rule_file(tmp_path, "a-rule", finds())
    (rule,) = [rule for rule in load([tmp_path]).values() if rule.origin]
    ((_, answer),) = ask(tmp_path / "missing.duckdb", [(rule, True)], Limits())
    assert answer.reason is not None
    assert answer.reason.startswith("the sandbox could not be started: IO Error")


def test_every_rule_of_ours_finds_the_same_in_the_sandbox(tmp_path: Path) -> None:
    samples = sorted(rules_folder().glob("*/*.samples/fires-*"))
    ours = list(load().values())
    theirs = [rule if rule.reads_findings else replace(rule, origin="own") for rule in ours]
    found = []
    for number, rules in enumerate((ours, theirs)):
        with new_audit(tmp_path / f"{number}.duckdb", tmp_path) as con:
            reader = Reader(con, tmp_path, Options(keep_payloads=True))
            for sample in samples:
                reader.read(str(sample))
            reader.finish()
            derive(con)
            run_rules(con, rules, everything=True)
            found.append(
                [
                    con.execute(f"SELECT {columns} ORDER BY ALL").fetchall()
                    for columns in (
                        "* FROM finding",
                        "* FROM witness",
                        "rule, outcome, reason, evaluated_runs, skipped_runs, findings FROM rule",
                    )
                ]
            )
    assert found[0] == found[1]
    assert len(found[0][0]) > len(ours)


def test_a_rule_that_needs_more_than_the_log_has_is_not_evaluated(tmp_path: Path) -> None:
    rule_file(tmp_path, "needs-fences", finds(), "needs: [fences]")
    log = write(tmp_path / "log.ndjson", Log().events)
    with audit(log, rules=[tmp_path], select=["own"]) as result:
        rule = outcome(result, "needs-fences")
    assert (rule["outcome"], rule["reason"]) == ("not_evaluated", "the log does not record fences")
    assert rule["origin"] == str(tmp_path)


def test_severity_follows_the_condition_of_a_custom_rule(tmp_path: Path) -> None:
    severity = "[{when: finding.event_type = 'run_started' -- not the first, is: info}, {is: warning}]"
    severity = severity.replace("when: ", 'when: "').replace(" -- not the first", ' -- not the first"')
    select = finds().replace("FROM log", ", event_type FROM log")
    rule_file(tmp_path, "two-severities", select, severity=severity)
    log = write(tmp_path / "log.ndjson", Log().events)
    with audit(log, rules=[tmp_path], select=["own"]) as result:
        found = {finding["witness"][0]["event_type"]: finding["severity"] for finding in result.findings}
    assert found == {"run_created": "warning", "run_started": "info"}


def test_the_parameters_of_a_custom_rule_reach_the_sandbox(tmp_path: Path) -> None:
    select = finds(because="'' || param('with-a-param', 'most', NULL)") + " LIMIT 1"
    rule_file(tmp_path, "with-a-param", select, "params: {most: {default: 7, meaning: how many}}")
    log = write(tmp_path / "log.ndjson", Log().events)
    with audit(log, rules=[tmp_path], select=["own"]) as result:
        assert [finding["because"] for finding in result.findings] == ["7.0"]


def test_a_custom_rule_may_not_take_the_name_of_another(tmp_path: Path) -> None:
    mine = rule_file(tmp_path / "one", "hung-step", finds())
    with pytest.raises(RuleFileError, match="another rule of this name") as raised:
        load([tmp_path / "one"])
    assert str(mine) in str(raised.value)
    assert str(rules_folder() / "step" / "hung-step.sql") in str(raised.value)
    mine.rename(mine.with_name("my-own.sql"))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    with pytest.raises(RuleFileError, match="another rule of this name"):
        load([tmp_path / "one", tmp_path / "two"])


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("reads: [finding]", "cannot read what other rules find"),
        ("implies: [b-rul]", "did you mean b-rule"),
        (
            "implies: [hung-step]",
            "hung-step, one of our rules; a rule of your own can imply only rules of your own",
        ),
        ("implies: [b-rule]", "it implies rules that imply it"),
        ("needs: complete", "needs is 'complete', not a list"),
        ("params: [1]", "not a mapping"),
        ("only_with: [[]]", "only_with is []"),
        ("diagnosis: [" + "[" * 200_000, "the header is longer than"),
    ],
    ids=lambda value: value[:20],
)
def test_a_wrong_custom_rule_is_refused_before_anything_is_read(tmp_path: Path, header: str, message: str) -> None:
    rule_file(tmp_path, "a-rule", finds(), header)
    rule_file(tmp_path, "b-rule", finds(), "implies: [a-rule]")
    with pytest.raises(RuleFileError) as raised:
        load([tmp_path])
    assert message in str(raised.value)
    assert "own/a-rule.sql" in str(raised.value) or header == "implies: [b-rule]"


def test_a_custom_rule_may_imply_itself_and_other_custom_rules(tmp_path: Path) -> None:
    rule_file(tmp_path / "one", "a-rule", finds(), "implies: [b-rule, a-rule]")
    rule_file(tmp_path / "two", "b-rule", finds())
    assert load([tmp_path / "one", tmp_path / "two"])["a-rule"].implies == ("b-rule", "a-rule")


@pytest.mark.parametrize(
    "name", ["a-rule.sql", "own/deep/a-rule.sql", "own/a-rule.SQL", "a-rule.samples/own/a-rule.sql"]
)
def test_a_rule_at_a_wrong_place_is_an_error(tmp_path: Path, name: str) -> None:
    """Who put it there believes that it is evaluated."""
    misplaced = tmp_path / name
    misplaced.parent.mkdir(parents=True, exist_ok=True)
    rule_file(tmp_path, "a-rule", finds()).rename(misplaced)
    rule_file(tmp_path, "another-rule", finds())
    with pytest.raises(RuleFileError) as raised:
        load([tmp_path])
    assert f"{misplaced}: a rule stands at {tmp_path}/<group>/<rule-id>.sql" in str(raised.value)


def test_what_lies_among_samples_is_no_rule(tmp_path: Path) -> None:
    sample = rule_file(tmp_path, "a-rule", finds()).with_suffix(".samples") / "fires-dump" / "events.sql"
    sample.parent.mkdir(parents=True)
    sample.write_text("COPY events FROM stdin;")
    assert [rule.id for rule in of_folder(tmp_path)] == ["a-rule"]


def test_groups_may_be_links_even_in_a_circle(tmp_path: Path) -> None:
    rule_file(tmp_path / "shared", "a-rule", finds())
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "team").symlink_to(tmp_path / "shared" / "own")
    (tmp_path / "shared" / "own" / "all").symlink_to(rules)
    assert [(rule.group, rule.id) for rule in of_folder(rules)] == [("team", "a-rule")]


def test_a_folder_that_is_no_folder_of_rules_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule_file(tmp_path, "a-rule", finds())
    rule_file(tmp_path, "b-rule", finds())
    monkeypatch.setattr("auditor.check.catalogue.MOST_FILES", 2)
    with pytest.raises(UsageError, match="more than 2 files are in there"):
        of_folder(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    rule_file(tmp_path, "a-rule", finds()).write_bytes(b"/*\n\xff\xfe")
    with pytest.raises(RuleFileError, match="is not UTF-8"):
        load([tmp_path])


@pytest.mark.parametrize(
    "name", ["own/a-rule\n.sql", "own/A.sql", "Own/a-rule.sql", "own\x1b[31m/a-rule.sql"], ids=ascii
)
def test_names_of_rules_and_groups_are_kebab_case(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    rule_file(tmp_path, "a-rule", finds()).rename(path)
    with pytest.raises(RuleFileError, match="kebab-case"):
        of_folder(tmp_path)


def test_a_folder_without_rules_is_misuse(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no rule is in there"):
        load([tmp_path])
    with pytest.raises(UsageError, match="no such folder"):
        load([tmp_path / "missing"])

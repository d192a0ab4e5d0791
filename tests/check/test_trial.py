"""A rule is tried, and SQL is asked, on an audit that stays as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from auditor import Audit, QueryFailed, RuleFileError, audit, query, read_rule, rule_template, rules, try_rule
from auditor.cli.rules_new import sample_log


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audit]:
    folder = tmp_path_factory.mktemp("trial")
    log = folder / "log.ndjson"
    log.write_text(sample_log(retries=3), "utf-8")
    with audit(log, save=folder / "audit.duckdb") as result:
        yield result


def test_a_rule_that_is_tried_says_what_it_would_find_with_its_own_parameters(audited: Audit) -> None:
    trial = try_rule(audited.path, rule_template("too-many-retries"), "custom", "too-many-retries")
    assert trial.reason is None
    assert trial.found == 1
    (finding,) = trial.findings
    assert finding["because"] == "step_…000001 was retried 3 times."
    assert finding["severity"] == "warning"
    assert finding["witness"] == [
        "retried: #5 step_retrying",
        "retried: #7 step_retrying",
        "retried: #9 step_retrying",
    ]
    assert not [found for found in audited.findings if found["rule"] == "too-many-retries"]


def test_a_rule_whose_sql_is_wrong_names_the_line_of_its_text(audited: Audit) -> None:
    text = rule_template("a-rule").replace("FROM retried\n", "FROM retryed\n")
    trial = try_rule(audited.path, text, "custom", "a-rule")
    assert trial.reason is not None
    assert trial.reason.startswith("Catalog Error: Table with name retryed does not exist")
    assert trial.line is not None
    assert text.splitlines()[trial.line - 1] == "FROM retryed"


def test_a_rule_that_names_what_the_log_does_not_have_finds_nothing(audited: Audit) -> None:
    text = rule_template("a-rule").replace(
        "    run_id,\n    witness,", "    'wrun_nobody' AS run_id,\n    witness,"
    )
    trial = try_rule(audited.path, text, "custom", "a-rule")
    assert trial.reason == "it names the run 'wrun_nobody', which the log does not have"
    assert not trial.findings


@pytest.mark.parametrize(
    ("group", "rule_id", "message"),
    [
        ("custom", "stale-decision-write", "there is another rule of this name"),
        ("custom", "../escape", "is not kebab-case"),
        ("..", "a-rule", "is not kebab-case"),
        ("Custom", "a-rule", "is kebab-case; 'Custom' is not"),
        ("custom", "A", "is kebab-case, 'A' is not"),
    ],
)
def test_a_rule_may_not_take_a_name_that_is_taken_or_is_no_name(group: str, rule_id: str, message: str) -> None:
    taken = next(rule.id for rule in rules())
    with pytest.raises(RuleFileError, match=message) as raised:
        read_rule(rule_template("a-rule"), group, taken if rule_id.startswith("stale") else rule_id)
    assert "auditor-" not in str(raised.value)


def test_a_select_gives_rows_and_says_if_there_are_more(audited: Audit) -> None:
    sql = "SELECT event_type FROM log ORDER BY position DESC; -- the last ones"
    rows = query(audited.path, sql.split(";", maxsplit=1)[0] + ";", most=2)
    assert rows.table.to_pydict() == {"event_type": ["run_completed", "step_completed"]}
    assert rows.more
    assert not query(audited.path, "SELECT 1 AS a, 2 AS a", most=1).more


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1\nFROM nothing", "line 2: Catalog Error: Table with name nothing does not exist"),
        ("DROP TABLE run", "it must be one SELECT, and this is DROP"),
        ("SELECT * FROM read_text('/etc/passwd')", "it tried to leave the sandbox"),
        ("SELECT repeat('x', 1000000) FROM range(64)", "it gave more than 32 MiB of rows"),
    ],
)
def test_what_is_no_select_or_leaves_the_sandbox_is_refused(audited: Audit, sql: str, message: str) -> None:
    with pytest.raises(QueryFailed, match=message):
        query(audited.path, sql)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("INTERVAL '1 month -2 days'", "1 month -2 days"),
        ("[INTERVAL 1 DAY]", "[1 day]"),
        ("TIME '24:00:00'", "24:00:00"),
        ("'10:00:00+02'::TIMETZ", "10:00:00+02"),
        ("'101'::BIT", "101"),
        ("union_value(a := 1)", "1"),
        ("340282366920938463463374607431768211455::UHUGEINT", "340282366920938463463374607431768211455"),
    ],
)
def test_a_value_that_arrow_does_not_hold_comes_as_text(audited: Audit, value: str, text: str) -> None:
    assert query(audited.path, f'SELECT {value} AS "it ""is", 1 AS one').table.to_pylist() == [
        {'it "is': text, "one": 1}
    ]


def test_a_sum_is_a_number_unless_it_has_more_digits_than_arrow(audited: Audit) -> None:
    assert query(audited.path, "SELECT sum(i) AS s FROM range(5) AS _(i)").table.to_pydict() == {"s": [10]}
    with pytest.raises(QueryFailed, match=r"^Conversion Error: Could not cast value 1\d{38} to DECIMAL\(38,0\)"):
        query(audited.path, f"SELECT 1{'0' * 38}::HUGEINT AS big")


def test_a_select_that_does_not_end_is_stopped(audited: Audit) -> None:
    with pytest.raises(QueryFailed, match=r"it took longer than 0\.5 s and was stopped"):
        query(audited.path, "SELECT count(*) FROM range(1000000) a, range(1000000) b", seconds=0.5)

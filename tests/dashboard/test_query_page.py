"""Anybody may ask an audit in SQL; nothing runs by itself, and nothing gets out of the sandbox."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from pages import put, visit
from streamlit.testing.v1 import AppTest

from auditor import Audit, Rows
from auditor import query as ask
from dashboard import service
from dashboard.queries.schema import EXAMPLES
from dashboard.service import Service
from dashboard.settings import Limits, Role
from dashboard.views import query

EXOTIC = """\
SELECT [1, 2] AS l, {'a': 1} AS s, 1::HUGEINT AS h, 'a'::BLOB AS b, uuid() AS u, INTERVAL 1 DAY AS i, NULL AS n,
    now() AS t, '{"a": 1}'::JSON AS j, MAP {'a': 1} AS m, 1.5::DECIMAL(9, 2) AS d,
    TIME '10:00:00' AS c, 1 AS a, 2 AS a
"""


def run(app: AppTest, sql: str) -> AppTest:
    app.text_area(key="query_text").set_value(sql)
    return next(button for button in app.button if button.label == "Run").click().run()


def said(app: AppTest) -> str:
    return "\n".join(text.value for text in [*app.text, *app.code, *app.error, *app.info])


def test_without_an_audit_it_says_where_to_go(empty: Service) -> None:
    assert "Upload event logs" in said(visit("query"))


def test_rows_come_as_a_table_and_the_sql_stands_in_the_address(full: Service) -> None:
    app = run(visit("query"), "SELECT 1 AS one, '=1+1' AS two")
    assert not app.exception
    assert app.dataframe[0].value.to_dict("list") == {"one": [1], "two": ["=1+1"]}
    assert app.query_params["sql"] == "SELECT 1 AS one, '=1+1' AS two"


def test_a_link_shows_its_sql_and_does_not_run_it(full: Service) -> None:
    app = visit("query", sql="SELECT 42 AS answer")
    assert app.text_area(key="query_text").value == "SELECT 42 AS answer"
    assert not app.dataframe


def test_every_kind_of_value_can_be_shown(full: Service) -> None:
    app = run(visit("query"), EXOTIC)
    assert not app.exception
    assert len(app.dataframe[0].value.columns) == 14


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("SELECT 1\nFROM nothing", "line 2: Catalog Error"),
        ("DROP TABLE run", "it must be one SELECT"),
        ("SELECT * FROM read_text('/etc/passwd')", "it tried to leave the sandbox"),
        (" ", "there is no SELECT"),
    ],
)
def test_what_is_refused_is_said_in_a_sentence(full: Service, sql: str, sentence: str) -> None:
    app = run(visit("query"), sql)
    assert not app.exception
    assert sentence in said(app)
    assert not app.dataframe


def test_the_answer_is_cut_at_the_limit_and_says_so(full: Service) -> None:
    service.install(replace(full, settings=replace(full.settings, limits=Limits(query_rows=3))))
    app = run(visit("query"), "FROM range(10)")
    assert len(app.dataframe[0].value) == 3
    assert "The first 3 rows; there are more" in said(app)


def test_a_query_that_takes_too_long_is_stopped(full: Service) -> None:
    service.install(replace(full, settings=replace(full.settings, limits=Limits(query_seconds=0.5))))
    app = run(visit("query"), "SELECT count(*) FROM range(1000000) a, range(1000000) b")
    assert "it took longer than 0.5 s and was stopped" in said(app)


def as_role(full: Service, role: Role) -> None:
    service.install(replace(full, settings=replace(full.settings, roles={"*": role})))


def test_viewers_may_not_ask_an_audit_that_keeps_payloads(empty: Service, samples_audit: Path) -> None:
    put(empty.library, samples_audit, "with payloads", keep_payloads=True)
    as_role(empty, Role.VIEWER)
    app = visit("query")
    assert "only triagers" in said(app)
    assert not app.text_area


def test_asking_an_audit_that_keeps_payloads_is_noted(empty: Service, samples_audit: Path) -> None:
    put(empty.library, samples_audit, "with payloads", keep_payloads=True)
    as_role(empty, Role.TRIAGER)
    run(visit("query"), "SELECT payload FROM event")
    (note,) = empty.library.state.rows("SELECT * FROM trail WHERE action = 'query'")
    assert json.loads(note["detail"]) == {"sql": "SELECT payload FROM event"}


KINDS = {
    "TINYINT": ("-1::TINYINT", "-1", -1),
    "UBIGINT": ("18446744073709551615::UBIGINT", "18446744073709551615", 18446744073709551615),
    "HUGEINT": ("99999999999999999999::HUGEINT", "99999999999999999999", 99999999999999999999),
    "UHUGEINT": ("1::UHUGEINT", "1", "1"),
    "DECIMAL": ("-1.50::DECIMAL(9, 2)", "-1.50", -1.5),
    "DOUBLE": ("1e300", "1e+300", 1e300),
    "NaN": ("'nan'::DOUBLE", "nan", None),
    "Infinity": ("'-inf'::FLOAT", "-inf", None),
    "a list of NaN": ("['nan'::DOUBLE, 1]", "[nan, 1.0]", [None, 1.0]),
    "BOOLEAN": ("true", "True", True),
    "VARCHAR": ("'=1+1'", "'=1+1", "=1+1"),
    "UUID": ("'00000000-0000-0000-0000-00000000000a'::UUID", *2 * ("00000000-0000-0000-0000-00000000000a",)),
    "BLOB": (r"'\xFF\x00a'::BLOB", *2 * (r"\xFF\x00a",)),
    "BIT": ("'101'::BIT", "101", "101"),
    "ENUM": ("'a'::ENUM('a', 'b')", "a", "a"),
    "JSON": ("""'{"a":[1]}'::JSON""", *2 * ('{"a":[1]}',)),
    "DATE": ("DATE '2026-11-22'", "2026-11-22", "2026-11-22"),
    "a late DATE": ("DATE '20000-01-01'", "20000-01-01", "20000-01-01"),
    "an endless DATE": ("DATE 'infinity'", "infinity", "infinity"),
    "TIME": ("TIME '10:00:00'", "10:00:00", "10:00:00"),
    "the end of a day": ("TIME '24:00:00'", "24:00:00", "24:00:00"),
    "TIMETZ": ("'10:00:00+02'::TIMETZ", "10:00:00+02", "10:00:00+02"),
    "TIMESTAMP": ("TIMESTAMP '2026-11-22 12:00:03'", *2 * ("2026-11-22 12:00:03",)),
    "a late TIMESTAMP": ("TIMESTAMP '290000-01-01'", *2 * ("290000-01-01 00:00:00",)),
    "an early TIMESTAMP": ("TIMESTAMP '0044-03-15 (BC) 00:00:00'", *2 * ("0044-03-15 (BC) 00:00:00",)),
    "an endless TIMESTAMP": ("TIMESTAMP 'infinity'", "infinity", "infinity"),
    "TIMESTAMP_S": ("'2026-11-22'::TIMESTAMP_S", *2 * ("2026-11-22 00:00:00",)),
    "TIMESTAMP_MS": ("'290000-01-01'::TIMESTAMP_MS", *2 * ("290000-01-01 00:00:00",)),
    "TIMESTAMP_NS": ("'2026-11-22'::TIMESTAMP_NS", *2 * ("2026-11-22 00:00:00",)),
    "TIMESTAMPTZ": ("TIMESTAMPTZ '290000-01-01 00:00:00+00'", *2 * ("290000-01-01 00:00:00+00",)),
    "INTERVAL": ("INTERVAL 1 MONTH", "1 month", "1 month"),
    "LIST": ("[1, NULL]", "[1, NULL]", [1, None]),
    "an empty LIST": ("[]", "[]", []),
    "ARRAY": ("[1, 2]::INTEGER[2]", "[1, 2]", [1, 2]),
    "STRUCT": ("{'a': 1, 'b': DATE '20000-01-01'}", "{'a': 1, 'b': 20000-01-01}", {"a": 1, "b": "20000-01-01"}),
    "a STRUCT of INTERVAL": ("{'a': INTERVAL 1 DAY}", *2 * ("{'a': 1 day}",)),
    "MAP": ("MAP {'k': 1}", "{k=1}", {"k": 1}),
    "UNION": ("union_value(a := 1)", "1", "1"),
    "NULL": ("NULL", "", None),
}
"""Every type of DuckDB: a value of it, and what CSV and JSON make of that."""


@pytest.fixture(scope="module")
def of_every_kind(samples_audit: Path) -> Rows:
    """One row that holds all of these."""
    columns = ", ".join(f'{value} AS "{kind}"' for kind, (value, _, _) in KINDS.items())
    return ask(samples_audit, f"SELECT {columns}")


def test_every_kind_of_value_can_be_taken_away_as_csv(of_every_kind: Rows) -> None:
    (row,) = csv.DictReader(io.StringIO(query._csv(of_every_kind).decode()))
    assert row == {kind: text for kind, (_, text, _) in KINDS.items()}


def test_every_kind_of_value_can_be_taken_away_as_json(of_every_kind: Rows) -> None:
    def invalid(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    (row,) = json.loads(query._json(of_every_kind), parse_constant=invalid)
    assert row == {kind: value for kind, (_, _, value) in KINDS.items()}


def test_every_kind_of_value_can_be_taken_away_as_parquet(of_every_kind: Rows, tmp_path: Path) -> None:
    (tmp_path / "query.parquet").write_bytes(query._parquet(of_every_kind))
    # By DuckDB: Python has no date for some of them.
    back = duckdb.read_parquet(str(tmp_path / "query.parquet"))
    assert back.columns == list(KINDS)
    late = back.select('CAST("a late TIMESTAMP" AS VARCHAR), CAST("TIMESTAMP_MS" AS VARCHAR), "INTERVAL"')
    assert late.fetchall() == [("290000-01-01 00:00:00", "290000-01-01 00:00:00", "1 month")]


def test_no_page_needs_a_date_that_browsers_do_not_have(full: Service) -> None:
    app = run(visit("query"), "SELECT TIMESTAMP '290000-01-01' AS t, [DATE '300000-01-01'] AS l, 1 AS one")
    assert app.dataframe[0].value.to_dict("records") == [
        {"t": "290000-01-01 00:00:00", "l": "[300000-01-01]", "one": 1}
    ]


def test_what_no_row_holds_can_be_taken_away(samples_audit: Path) -> None:
    nothing = ask(samples_audit, "SELECT 1 AS one, DATE '2026-11-22' AS day WHERE false")
    assert query._csv(nothing) == b"one,day\r\n"
    assert json.loads(query._json(nothing)) == []
    assert query._parquet(nothing)


def test_columns_of_one_name_are_all_taken_away(samples_audit: Path) -> None:
    twice = ask(samples_audit, "SELECT 1 AS a, 2 AS a, 3 AS A")
    assert query._csv(twice) == b"a,a_1,A_2\r\n1,2,3\r\n"
    assert json.loads(query._json(twice)) == [{"a": 1, "a_1": 2, "A_2": 3}]


def test_viewers_may_ask_an_audit_without_payloads(full: Service) -> None:
    as_role(full, Role.VIEWER)
    assert run(visit("query"), "SELECT 1 AS one").dataframe


def test_the_tables_stand_beside_it(full: Service) -> None:
    labels = [expander.label for expander in visit("query").expander]
    assert {"finding", "run", "log", "event"} <= set(labels)


def test_every_example_answers(samples_audit: Path, tmp_path: Path) -> None:
    with Audit.open(shutil.copy(samples_audit, tmp_path / "audit.duckdb")) as audit:
        for sql in EXAMPLES.values():
            audit.con.execute(sql).fetchall()

"""Anybody may ask an audit in SQL; nothing runs by itself, and nothing gets out of the sandbox."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from pages import put, visit
from streamlit.testing.v1 import AppTest

from auditor import Audit
from dashboard import service
from dashboard.queries.schema import EXAMPLES
from dashboard.service import Service
from dashboard.settings import Limits, Role

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

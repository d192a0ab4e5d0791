"""The overview says whether the logs can be trusted, what to fix first, and what nobody could check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from logs import Log, write
from pages import put, visit
from streamlit.testing.v1 import AppTest

from auditor import Audit, audit
from dashboard.charts import overview as charts
from dashboard.queries import overview as queries
from dashboard.queries.overview import Decided
from dashboard.service import Service
from dashboard.triage import Choice, Chosen, Pattern

NOTHING = Decided((), ())


@pytest.fixture(scope="session")
def samples(samples_audit: Path) -> Any:
    with Audit.open(samples_audit) as opened:
        yield opened


def said(app: AppTest) -> str:
    boxes = [*app.text, *app.error, *app.warning, *app.success, *app.info, *app.caption]
    return "\n".join(str(box.value) for box in boxes)


def test_without_an_audit_it_says_what_to_do(empty: Service) -> None:
    app = visit("overview")
    assert not app.exception
    assert "Upload event logs" in said(app)


def test_the_verdict_stands_in_words_beside_what_was_not_checked(full: Service, samples: Audit) -> None:
    app = visit("overview")
    assert not app.exception
    assert "**Corrupt.** 5 of 12 runs cannot be trusted. 6 things could not be checked, see below." in said(app)
    assert f"exit code 1: {samples.report['exit_because']}" in said(app)
    cards = {metric.label: metric.value for metric in app.metric}
    assert cards["Corrupt runs"] == "5"
    assert cards["Sound runs"] == "7"
    assert cards["New findings"] == "–"
    assert cards["Fence coverage"] == "89.7%"
    assert cards["Open findings"] == str(sum(samples.report["counts"]["new"].values()))
    assert "There is no audit before this one." in said(app)
    tables = [list(table.value.columns) for table in app.dataframe]
    assert ["what", "how many", "why", "which"] in tables


def test_what_changed_is_said_against_the_audit_before_or_a_chosen_one(full: Service, tmp_path: Path) -> None:
    (first,) = full.library.entries()
    hostile = write(tmp_path / "log.ndjson", Log().add("run_completed").events)
    audit(hostile, save=tmp_path / "one.duckdb").close()
    put(full.library, tmp_path / "one.duckdb", "![x](http://example.com/x.png)")
    app = visit("overview", against=first.audit_id)
    assert not app.exception
    assert "**Sound.** Nothing was found against" in said(app)
    changed = next(table.value for table in app.dataframe if "change" in table.value.columns)
    assert set(changed["change"]) <= {"gone", "not checked any more"}
    assert not [box for box in [*app.markdown, *app.caption, *app.success] if "example.com" in str(box.value)]


def test_a_pattern_that_is_dealt_with_is_open_no_more(full: Service, samples: Audit) -> None:
    (entry,) = full.library.entries()
    worst = queries.causes(samples.con.cursor(), NOTHING, 1)[0]
    decided = [Pattern(pattern, worst["rule"], None, "text", 1) for pattern in worst["patterns"]]
    full.triage.decide(decided, Choice(Chosen.IGNORED, ceiling=1_000), "somebody", entry.audit_id)
    app = visit("overview")
    fixes = next(table.value for table in app.dataframe if "what is wrong" in table.value.columns)
    assert worst["diagnosis"] not in set(fixes["what is wrong"])


def test_findings_by_rule_are_those_of_the_report(samples: Audit) -> None:
    rows = queries.by_rule(samples.con.cursor(), NOTHING, 100)
    counted = {(row["rule"], row["severity"]): row["findings"] for row in rows}
    expected: dict[tuple[str, str], int] = {}
    for finding in samples.findings:
        if finding["state"] == "new":
            key = finding["rule"], finding["severity"]
            expected[key] = expected.get(key, 0) + 1
    assert counted == expected
    figure = charts.by_rule(rows)
    assert sum(sum(bar.x) for bar in figure.data) == sum(expected.values())
    assert [list(one) for bar in figure.data for one in bar.customdata] == [
        [row["rule"], row["severity"]]
        for severity in charts.SEVERITIES
        for row in rows
        if row["severity"] == severity
    ]


def test_stretches_of_time_are_few_and_hold_every_finding_with_a_time(samples: Audit) -> None:
    rows = queries.over_time(samples.con.cursor(), NOTHING)
    assert len({row["start"] for row in rows}) <= 50
    assert 0 < sum(row["findings"] for row in rows) <= sum(samples.report["counts"]["new"].values())
    assert "a bar is" in charts.over_time(rows, 300).layout.xaxis.title.text


def test_an_audit_without_findings_has_no_times(tmp_path: Path) -> None:
    with audit(write(tmp_path / "log.ndjson", Log().add("run_completed").events)) as sound:
        assert queries.over_time(sound.con.cursor(), Decided.of({})) == []


def test_rows_that_could_not_be_read_are_listed_with_their_place(tmp_path: Path) -> None:
    log = write(tmp_path / "log.ndjson", Log().add("run_completed").events)
    log.write_text(log.read_text("utf-8") + "no json\n", "utf-8")
    with audit(log) as made:
        gaps = {row["what"]: row for row in queries.unchecked(made.con.cursor())}
    assert gaps["Rows could not be read"]["things"].startswith("first in ")
    assert "Rules were not evaluated" in gaps

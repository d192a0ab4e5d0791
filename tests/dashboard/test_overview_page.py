"""The overview says whether the logs can be trusted, what to fix first, and what nobody could check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from logs import Log, write
from pages import SAMPLES, put, visit
from streamlit.testing.v1 import AppTest

from auditor import Audit, audit
from dashboard.charts import overview as charts
from dashboard.queries import overview as queries
from dashboard.queries.overview import Decided, OverTime
from dashboard.service import Service
from dashboard.triage import Choice, Chosen, Pattern
from dashboard.views import overview

NOTHING = Decided((), ())


@pytest.fixture(scope="session")
def samples(samples_audit: Path) -> Any:
    with Audit.open(samples_audit) as opened:
        yield opened


def made(here: Service, folder: Path, log: Path) -> str:
    """An audit of this log in the dashboard; its id."""
    audit(log, save=folder / "made.duckdb").close()
    return put(here.library, folder / "made.duckdb", "made")


def said(app: AppTest) -> str:
    assert not app.exception, app.exception
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
    assert "There is no audit of this name before this one." in said(app)
    tables = [list(table.value.columns) for table in app.dataframe]
    assert ["what", "how many", "why", "which"] in tables


def test_it_is_green_where_nothing_was_found_and_everything_was_read(empty: Service, tmp_path: Path) -> None:
    made(empty, tmp_path, write(tmp_path / "log.ndjson", Log().add("run_completed").events))
    app = visit("overview")
    assert [box.value.split(". ")[0] for box in app.success] == ["**Sound.** Nothing was found against 1 run"]


def test_it_is_not_green_while_a_finding_is_open(empty: Service, tmp_path: Path) -> None:
    audit_id = made(empty, tmp_path, SAMPLES / "dropped-fence.ndjson")
    app = visit("overview")
    assert not app.success
    assert "**No run is corrupt or suspect**; 3 findings are open. 5 things could not be checked" in said(app)
    with empty.library.reading(audit_id) as con:
        found = con.execute("SELECT DISTINCT pattern, rule FROM finding").fetchall()
    decided = [Pattern(pattern, rule, None, "text", 9) for pattern, rule in found]
    empty.triage.decide(decided, Choice(Chosen.IGNORED, ceiling=9), "somebody", audit_id)
    assert "No run is corrupt or suspect, and no finding is open." in visit("overview").success[0].value


@pytest.mark.parametrize(
    ("name", "content", "because"),
    [
        ("torn.parquet", b"PAR1" + bytes(64), "1 input could not be read"),
        ("torn.ndjson", b"no json\n", "1 row could not be read"),
    ],
    ids=["an input", "a row"],
)
def test_it_is_not_green_where_something_could_not_be_read(
    name: str, content: bytes, because: str, empty: Service, tmp_path: Path
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    write(folder / "log.ndjson", Log().add("run_completed").events)
    (folder / name).write_bytes(content)
    audit_id = made(empty, tmp_path, folder)
    app = visit("overview")
    assert app.warning
    assert not app.success
    assert because in said(app)
    assert not visit("findings").success
    badges = visit("data", tab="imports", view=audit_id).markdown
    assert not [badge.value for badge in badges if "green" in badge.value]


def test_it_is_not_green_where_there_was_nothing_to_judge(empty: Service, tmp_path: Path) -> None:
    (tmp_path / "holiday.txt").write_text("no log at all\n", "utf-8")
    made(empty, tmp_path, tmp_path / "holiday.txt")
    for page in ("overview", "findings"):
        app = visit(page)
        assert not app.success
        assert app.warning


def test_what_a_finding_about_the_log_as_a_whole_says_of_it_is_said(empty: Service, tmp_path: Path) -> None:
    audit_id = made(empty, tmp_path, write(tmp_path / "log.ndjson", Log().add("run_completed").events))
    with duckdb.connect(str(empty.library.file(audit_id))) as con:
        con.execute("UPDATE meta SET value = 'corrupt' WHERE key = 'verdict'")
    assert "The log as a whole, though no single run, cannot be trusted." in said(visit("overview"))


def test_lists_that_are_cut_say_so(full: Service, samples: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = len({row["rule"] for row in queries.by_rule(samples.con.cursor(), NOTHING)})
    bugs, _ = queries.causes(samples.con.cursor(), NOTHING, 1)
    runs, _ = queries.worst_runs(samples.con.cursor(), NOTHING, 1)
    assert "gravest" not in said(visit("overview"))
    for name in ("_RULES", "_CAUSES", "_RUNS"):
        monkeypatch.setattr(overview, name, 2)
    overview._read.clear()
    text = said(visit("overview"))
    assert f"The 2 gravest of {rules} rules; the table has all." in text
    assert f"The 2 gravest of {bugs} bugs." in text
    assert f"The 2 worst of {runs} runs with open findings." in text
    overview._read.clear()


def test_findings_without_a_time_that_was_kept_are_counted(full: Service, samples: Audit) -> None:
    (entry,) = full.library.entries()
    with duckdb.connect(str(full.library.file(entry.audit_id))) as con:
        kept = con.execute("DELETE FROM witness WHERE finding_no % 2 = 0 RETURNING finding_no").fetchall()
        assert kept
    with full.library.reading(entry.audit_id) as con:
        times = queries.over_time(con, NOTHING)
    assert times.timed < times.findings
    said_of_it = f"{times.timed} of {times.findings} open findings have a witness with a time that was kept."
    assert said_of_it in said(visit("overview"))


@pytest.mark.parametrize("odd", ["9999-12-31 23:59:59.999", "290000-01-01", "0001-01-01", "infinity"])
def test_a_time_beyond_the_axis_is_left_out_and_said(odd: str, full: Service) -> None:
    (entry,) = full.library.entries()
    with duckdb.connect(str(full.library.file(entry.audit_id))) as con:
        con.execute(
            """
            UPDATE event_core SET created_at = CAST(? AS TIMESTAMP) FROM witness JOIN finding USING (finding_no)
            WHERE record = 'event' AND no = event_core.event_no AND rule = 'stale-snapshot-write'
            """,
            [odd],
        )
    with full.library.reading(entry.audit_id) as con:
        times = queries.over_time(con, NOTHING)
    assert times.drawn < times.timed
    app = visit("overview")
    assert f"Not drawn: {times.timed - times.drawn} finding" in said(app)


def test_the_axis_of_time_may_be_as_long_as_it_can_be(full: Service) -> None:
    (entry,) = full.library.entries()
    with duckdb.connect(str(full.library.file(entry.audit_id))) as con:
        con.execute("UPDATE event_core SET created_at = '9998-12-31' WHERE event_no % 2 = 0")
        con.execute("UPDATE event_core SET created_at = '1970-01-01' WHERE event_no % 2 = 1")
    with full.library.reading(entry.audit_id) as con:
        times = queries.over_time(con, NOTHING)
    assert {bucket["middle"][:4] for bucket in times.buckets} <= {str(year) for year in range(1400, 10_000)}
    assert not visit("overview").exception


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
    worst = queries.causes(samples.con.cursor(), NOTHING, 1)[1][0]
    decided = [Pattern(pattern, worst["rule"], None, "text", 1) for pattern in worst["patterns"]]
    full.triage.decide(decided, Choice(Chosen.IGNORED, ceiling=1_000), "somebody", entry.audit_id)
    app = visit("overview")
    fixes = next(table.value for table in app.dataframe if "what is wrong" in table.value.columns)
    assert worst["diagnosis"] not in set(fixes["what is wrong"])


def test_findings_by_rule_are_those_of_the_report(samples: Audit) -> None:
    rows = queries.by_rule(samples.con.cursor(), NOTHING)
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
    times = queries.over_time(samples.con.cursor(), NOTHING)
    assert len({bucket["start"] for bucket in times.buckets}) <= 50
    assert 0 < sum(bucket["findings"] for bucket in times.buckets) == times.drawn == times.timed
    assert times.timed <= times.findings == sum(samples.report["counts"]["new"].values())
    assert "a bar is" in charts.over_time(times.buckets, 300).layout.xaxis.title.text


def test_an_audit_without_findings_has_no_times(tmp_path: Path) -> None:
    with audit(write(tmp_path / "log.ndjson", Log().add("run_completed").events)) as sound:
        assert queries.over_time(sound.con.cursor(), Decided.of({})) == OverTime((), 0, 0, 0)


def test_rows_that_could_not_be_read_are_listed_with_their_place(tmp_path: Path) -> None:
    log = write(tmp_path / "log.ndjson", Log().add("run_completed").events)
    log.write_text(log.read_text("utf-8") + "no json\n", "utf-8")
    with audit(log) as made:
        gaps = {row["what"]: row for row in queries.unchecked(made.con.cursor())}
    assert gaps["Rows could not be read"]["things"].startswith("first in ")
    assert "Rules were not evaluated" in gaps

"""The timeline of a run: what is laid out, and what is drawn of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from logs import Log, entity, event_id, manifest, time, write

from auditor import audit
from dashboard.charts.states import diagram
from dashboard.charts.timeline import figure, summary
from dashboard.queries.run import transitions
from dashboard.queries.timeline import AROUND, View, window


@pytest.fixture
def samples(samples_audit: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(samples_audit), read_only=True) as con:
        yield con


def found(con: duckdb.DuckDBPyConnection, rule: str) -> dict[str, Any]:
    cursor = con.execute("SELECT * FROM finding WHERE rule = ? AND run_id IS NOT NULL ORDER BY finding_no", [rule])
    names = [column[0] for column in cursor.description]
    return dict(zip(names, cursor.fetchone(), strict=True))


@pytest.fixture(scope="module")
def drawn_logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """One audit of all logs that are drawn up here; each is the run that `run` names."""
    folder = tmp_path_factory.mktemp("timeline")
    logs = [
        idle(),
        forty_steps(),
        hostile(),
        twice_created(),
        fenced_on_nothing(),
        too_early(),
        long(1000),
        long(12_000),
    ]
    records = [manifest("fence"), *(log.events for log in logs)]
    audit(write(folder / "log.ndjson", *records), save=folder / "audit.duckdb").close()
    with duckdb.connect(str(folder / "audit.duckdb"), read_only=True) as con:
        yield con


def run(name: str) -> str:
    return f"wrun_01KAP2D0000000000000{name.upper():>06}".replace(" ", "0")


def idle() -> Log:
    log = Log(run("gap"))
    for ordinal, at in enumerate((3, 4, 5, 6, 5000)):
        log.add("step_created", entity("step", ordinal + 1), at=at)
    return log


def forty_steps() -> Log:
    log = Log(run("many"))
    for ordinal in range(40):
        log.add("step_created", entity("step", ordinal))
    return log


def hostile() -> Log:
    step = "<a href='http://x.example'>y</a><b>"
    return Log(run("evl")).add("step_created", entity("step", 1), data={"stepName": step})


def twice_created() -> Log:
    log = Log(run("twce")).life("wait", 1, "created").life("wait", 1, "created", "completed")
    return log.life("wait", 2, "created")


def fenced_on_nothing() -> Log:
    fence = {"kind": "tail", "value": event_id(900)}
    return Log(run("n0ne")).add("step_created", entity("step", 1), fence=fence)


def too_early() -> Log:
    """200 waits, each completed long before it should be."""
    log = Log(run("ear1y"))
    for ordinal in range(200):
        log.add("wait_created", entity("wait", ordinal), data={"resumeAt": time(900_000)})
        log.add("wait_completed", entity("wait", ordinal))
    return log


def long(events: int) -> Log:
    """Steps, one after another."""
    log = Log(run(str(events)))
    for ordinal in range(events // 3):
        step = f"step_01KAP2D000AAAAAAAAAAA{ordinal:05d}"
        for verb in ("created", "started", "completed"):
            log.add(f"step_{verb}", step)
    return log


def traces(drawn: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in drawn.data}


def test_a_stale_write_points_to_the_event_that_its_fence_names(samples: duckdb.DuckDBPyConnection) -> None:
    finding = found(samples, "stale-snapshot-write")
    drawn = window(samples, finding["run_id"], finding_no=finding["finding_no"])
    stale = drawn.stale[0]
    assert (stale.position, stale.known, stale.unseen) == (10, 7, 2)

    layout = figure(drawn).layout
    arrow = next(a for a in layout.annotations if a.showarrow)
    assert (arrow.ax, arrow.x) == (10, 7)
    assert [(band.x0, band.x1) for band in layout.shapes] == [(7, 10)]
    assert any("<b>2 events</b> unseen by this write" in a.text for a in layout.annotations)


def test_writes_of_one_batch_do_not_count_as_unseen_by_each_other(samples: duckdb.DuckDBPyConnection) -> None:
    finding = found(samples, "stale-snapshot-write")
    drawn = window(samples, finding["run_id"], finding_no=finding["finding_no"])
    assert {fence.position: fence.unseen for fence in drawn.fences if fence.known == 7} == {10: 2, 11: 2, 12: 2}


def test_a_dropped_fence_stands_in_the_strip_as_a_triangle_at_zero(samples: duckdb.DuckDBPyConnection) -> None:
    finding = found(samples, "dropped-fence")
    drawn = traces(figure(window(samples, finding["run_id"], finding_no=finding["finding_no"])))
    assert list(drawn["no fence sent"].y) == [0, 0]
    assert list(drawn["no fence sent"].x) == [7, 12]


def test_a_log_without_fences_has_no_strip_and_says_why(samples: duckdb.DuckDBPyConnection) -> None:
    drawn = window(samples, found(samples, "duplicate-wait-created")["run_id"])
    assert not drawn.records_fences
    assert "yaxis2" not in figure(drawn).layout.to_plotly_json()
    assert "records no fences" in summary(drawn)


def test_a_window_reaches_14_events_beyond_the_proof(samples: duckdb.DuckDBPyConnection) -> None:
    finding = found(samples, "duplicate-wait-created")
    drawn = window(samples, finding["run_id"], finding_no=finding["finding_no"])
    assert (drawn.first, drawn.last) == (21 - AROUND, 33)
    assert [position for position, _ in drawn.witnesses] == [21, 22, 27]


def test_an_entity_that_nothing_closed_is_drawn_to_the_end(samples: duckdb.DuckDBPyConnection) -> None:
    finding = found(samples, "orphaned-wait")
    drawn = window(samples, finding["run_id"])
    wait = next(bar for bar in drawn.bars if bar.kind == "wait" and bar.start == 7)
    assert wait.end == drawn.last == 8


def test_every_event_of_a_short_run_is_a_mark_whose_symbol_is_its_verb(samples: duckdb.DuckDBPyConnection) -> None:
    drawn = window(samples, found(samples, "stale-snapshot-write")["run_id"])
    assert [dot.position for dot in drawn.dots] == list(range(1, 16))
    marks = traces(figure(drawn))["step"]
    assert list(marks.marker.symbol)[:3] == ["circle-open", "circle", "square"]
    assert [data[0] for data in marks.customdata][:3] == [3, 4, 5]


def test_by_the_clock_events_stand_where_they_were_stored_and_idle_gaps_can_be_shortened(
    drawn_logs: duckdb.DuckDBPyConnection,
) -> None:
    wall = [dot.x for dot in window(drawn_logs, run("gap"), view=View.WALL).dots]
    active = [dot.x for dot in window(drawn_logs, run("gap"), view=View.ACTIVE).dots]
    assert wall == [0, 1, 2, 3, 4, 5, 4999]
    assert active == [0, 1, 2, 3, 4, 5, 15]


def test_lanes_are_capped_and_the_rest_shares_one_that_says_so(drawn_logs: duckdb.DuckDBPyConnection) -> None:
    lanes = window(drawn_logs, run("many")).lanes
    assert lanes == ("run", *(f"step {number}" for number in range(1, 13)), "step 13–40")


@pytest.mark.parametrize("events", [1000, 12_000])
def test_a_long_run_reaches_the_browser_as_at_most_2000_marks(
    drawn_logs: duckdb.DuckDBPyConnection, events: int
) -> None:
    drawn = window(drawn_logs, run(str(events)))
    assert drawn.last >= events - 3
    assert not drawn.dots
    assert drawn.marks <= 2000
    assert sum(bar.entities for bar in drawn.bars) == events // 3
    assert sum(len(trace.x) for trace in figure(drawn).data) <= 3 * 2000


def test_many_findings_of_a_long_run_are_thinned_out_evenly(drawn_logs: duckdb.DuckDBPyConnection) -> None:
    drawn = window(drawn_logs, run("ear1y"))
    warnings = [star.position for star in drawn.stars if star.severity == "warning"]
    assert 30 < len(warnings) <= 61
    assert min(warnings) < 10
    assert max(warnings) > drawn.last - 10
    assert len(drawn.stars) + drawn.more_stars >= 200


def test_nothing_of_a_log_becomes_markup_of_the_figure(drawn_logs: duckdb.DuckDBPyConnection) -> None:
    steps = traces(figure(window(drawn_logs, run("evl"))))["step"]
    assert "&lt;a href=&#x27;http://x.example&#x27;&gt;y&lt;/a&gt;" in steps.hovertext[0]
    assert "<a" not in steps.hovertext[0]


def test_the_text_under_the_figure_says_what_the_figure_shows(samples: duckdb.DuckDBPyConnection) -> None:
    told = summary(window(samples, found(samples, "stale-snapshot-write")["run_id"]))
    assert told.startswith("Events 1 to 15 of 15, in log order. Open in it: 2 steps, 1 hook, 3 waits.")
    assert "The write at #10 knew the log up to #7: 2 events unseen." in told
    assert "error stale-snapshot-write at #12" in told


def test_a_diagram_counts_transitions_and_crosses_those_that_are_not_allowed(
    drawn_logs: duckdb.DuckDBPyConnection,
) -> None:
    assert diagram(transitions(drawn_logs, run("twce"))).splitlines() == [
        "stateDiagram-v2",
        "direction LR",
        "[*] --> created : created × 2",
        "created --> created : ✗ created × 1",
        "created --> closed : completed × 1",
    ]


def test_a_fence_that_names_no_event_of_the_log_is_not_drawn(drawn_logs: duckdb.DuckDBPyConnection) -> None:
    assert window(drawn_logs, run("n0ne")).fences == ()


def test_a_position_has_a_window_of_its_own(drawn_logs: duckdb.DuckDBPyConnection) -> None:
    drawn = window(drawn_logs, run("1000"), at=500)
    assert (drawn.first, drawn.last) == (500 - AROUND, 500 + AROUND)
    assert [dot.position for dot in drawn.dots] == list(range(500 - AROUND, 501 + AROUND))

"""The timeline of a run: what is laid out, and what is drawn of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from logs import Log, entity, event_id, manifest, time, write

from auditor import audit
from dashboard.charts.shapes import shapes
from dashboard.charts.states import diagram
from dashboard.charts.timeline import figure
from dashboard.charts.timeline_summary import summary
from dashboard.queries.run import transitions
from dashboard.queries.timeline import AROUND, Snapshot, View, window

STALE_SAMPLES = sorted((Path(__file__).parents[2] / "rules/fence/stale-snapshot-write.samples").iterdir())
NEVER = ["9999-12-31T23:59:59.999Z", "290000-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000Z"]
"""Times that no clock shows; Python has no datetime for the second one."""


@pytest.fixture
def samples(samples_audit: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(samples_audit), read_only=True) as con:
        yield con


def found(con: duckdb.DuckDBPyConnection, rule: str, about: str = "%") -> dict[str, Any]:
    cursor = con.execute(
        "SELECT * FROM finding WHERE rule = ? AND run_id IS NOT NULL AND concat(run_id, because) LIKE ? "
        "ORDER BY finding_no",
        [rule, f"%{about}%"],
    )
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
        knowing_all(),
        Log(run("bare")),
        without_beginning(),
        unfenced(),
        two_stale_writes(),
        stale_by_turns(3000),
        far_apart(),
        *(at_odd_times(number, time) for number, time in enumerate(NEVER)),
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


def on(position: int) -> dict[str, str]:
    return {"kind": "tail", "value": event_id(position)}


def fenced_on_nothing() -> Log:
    """An event that is not there, one that stands behind the write, and the write itself."""
    log = Log(run("n0ne"))
    for ordinal, named in enumerate((900, 6, 5)):
        log.add("step_created", entity("step", ordinal), fence=on(named))
    return log.add("step_created", entity("step", 3), fence=on(5))


def knowing_all() -> Log:
    return Log(run("knew")).add("step_created", entity("step", 1), fence=on(2))


def without_beginning() -> Log:
    log = Log(run("part"))
    log.life("step", 1, "started", "completed").add("step_created", entity("step", 2), fence=on(4))
    del log.events[:2]
    return log


def unfenced() -> Log:
    fence = {"kind": "unfenced", "reason": "the store has no fences yet"}
    log = Log(run("free")).add("step_created", entity("step", 1), fence=fence)
    return log.add("step_created", entity("step", 2), fence=fence)


def two_stale_writes() -> Log:
    """Both knew the log up to #4. The snapshot of the second one is a stale write as well."""
    log = Log(run("tw0")).life("hook", 1, "created", token="t")
    log.events[-1]["fence"] = on(2)
    log.add("wait_created", entity("wait", 2), fence=on(3))
    log.add("hook_received", entity("hook", 1))
    log.add("step_created", entity("step", 3), fence=on(4), requestId="one")
    return log.add("wait_completed", entity("wait", 2), fence=on(4), requestId="other")


def stale_by_turns(events: int) -> Log:
    """Every third event is a decision: by turns stale, without a fence, and as it should be."""
    log = Log(run("trns"))
    for ordinal in range(events // 3):
        step, position = f"step_01KAP2D000AAAAAAAAAAA{ordinal:05d}", len(log.events) + 1
        fence = [on(position - 2), None, on(position - 1)][ordinal % 3]
        log.add("step_created", step, fence=fence).add("step_started", step).add("step_completed", step)
    return log


def far_apart() -> Log:
    """Steps without a fence at #3, #61 and #601; all other decisions knew all."""
    log = Log(run("far"))
    for ordinal in range(300):
        step, position = f"step_01KAP2D000AAAAAAAAAAA{ordinal:05d}", len(log.events) + 1
        log.add("step_created", step, fence=None if ordinal in (0, 29, 299) else on(position - 1))
        log.add("step_started", step)
    return log


def at_odd_times(number: int, odd: str) -> Log:
    log = Log(run(f"0dd{number}"))
    return log.add("step_created", entity("step", 1), createdAt=odd).add("step_started", entity("step", 1), at=5)


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
    stale = drawn.accused
    assert stale is not None
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


def test_the_arrow_starts_at_the_write_that_the_sentence_accuses(drawn_logs: duckdb.DuckDBPyConnection) -> None:
    finding = found(drawn_logs, "stale-snapshot-write", "wait_completed at #7 ")
    drawn = window(drawn_logs, run("tw0"), finding_no=finding["finding_no"])
    assert "knowing the log up to #4, but hook_received at #5 and 1 more stood there" in finding["because"]
    assert [position for position, role in drawn.witnesses if role == "missed"] == [5, 6]
    layout = figure(drawn).layout
    assert [(arrow.ax, arrow.x) for arrow in layout.annotations if arrow.showarrow] == [(7, 4)]
    assert [note.text for note in layout.annotations if note.text] == ["<b>2 events</b> unseen by this write"]
    assert "up to #4: 2 events unseen. The write at #6 knew the log up to #4: 1 event" in summary(drawn)


def test_a_finding_that_accuses_no_stale_write_has_no_arrow(samples: duckdb.DuckDBPyConnection) -> None:
    finding = found(samples, "ordinal-collision", "AVMAT6")
    drawn = window(samples, finding["run_id"], finding_no=finding["finding_no"])
    stale = {fence.position for fence in drawn.fences if fence.snapshot is Snapshot.STALE}
    assert stale & {position for position, _ in drawn.witnesses}
    assert not figure(drawn).layout.annotations


@pytest.mark.parametrize("log", STALE_SAMPLES, ids=lambda log: log.stem)
def test_the_strip_shows_the_writes_that_the_rule_accuses(log: Path, tmp_path: Path) -> None:
    audit(log, save=tmp_path / "audit.duckdb").close()
    with duckdb.connect(str(tmp_path / "audit.duckdb"), read_only=True) as con:
        accused = con.execute(
            """
            SELECT witness_detail.run_id, "position" FROM finding JOIN witness_detail USING (finding_no)
            WHERE rule = 'stale-snapshot-write' AND role = 'stale write' ORDER BY ALL
            """
        ).fetchall()
        runs = con.execute("SELECT run_id FROM run ORDER BY run_id").fetchall()
        shown = [
            (run_id, fence.position)
            for (run_id,) in runs
            for fence in window(con, run_id).fences
            if fence.snapshot is Snapshot.STALE
        ]
    assert shown == accused
    assert bool(shown) == log.name.startswith("fires")


@pytest.mark.parametrize(
    ("name", "mark", "places", "words"),
    [
        (
            "n0ne",
            "fence names no earlier event",
            [3, 4, 5],
            "under a fence that names no earlier event: #3, #4, #5.",
        ),
        ("free", "unfenced", [3, 4], "unfenced, without saying what was known: #3, #4."),
    ],
)
def test_a_write_that_does_not_say_what_it_knew_is_marked_and_never_passes_for_one_that_knew_all(
    drawn_logs: duckdb.DuckDBPyConnection, name: str, mark: str, places: list[int], words: str
) -> None:
    drawn = window(drawn_logs, run(name))
    marks = traces(figure(drawn))[mark]
    assert list(marks.x) == places
    assert list(marks.y) == [0] * len(places)
    assert f"{len(places)} decisions were written {words}" in summary(drawn)
    assert "knowing all" not in summary(drawn)


def test_marks_of_different_meaning_differ_by_more_than_their_colour(
    drawn_logs: duckdb.DuckDBPyConnection,
) -> None:
    marks = [
        traces(figure(window(drawn_logs, run(name))))[mark].marker.symbol
        for name, mark in (
            ("n0ne", "fence names no earlier event"),
            ("free", "unfenced"),
            ("many", "no fence sent"),
        )
    ]
    assert len(set(marks)) == 3


def test_that_all_was_known_is_said_only_of_decisions_that_say_so(drawn_logs: duckdb.DuckDBPyConnection) -> None:
    assert "Every decision of this stretch was written knowing all" in summary(window(drawn_logs, run("knew")))
    assert "No decision was written in this stretch." in summary(window(drawn_logs, run("bare")))


def test_where_the_history_is_incomplete_nobody_can_tell_that_all_was_known(
    drawn_logs: duckdb.DuckDBPyConnection,
) -> None:
    told = summary(window(drawn_logs, run("part")))
    assert "As far as can be told (its history is incomplete), every decision of this stretch was" in told


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
    assert shapes(drawn).startswith("○ created · ● started · ■ completed")
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
    assert lanes == ("run", *(f"step#{number}" for number in range(12)), "28 steps")


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


def test_a_long_run_counts_all_writes_and_draws_the_worst_of_each_stretch(
    drawn_logs: duckdb.DuckDBPyConnection,
) -> None:
    drawn = window(drawn_logs, run("trns"))
    assert drawn.decisions == {Snapshot.STALE: 334, Snapshot.DROPPED: 333, Snapshot.CURRENT: 333}
    assert len([fence for fence in drawn.fences if fence.snapshot is Snapshot.STALE]) <= 200
    told = summary(drawn)
    assert "329 other writes missed events, too. 333 decisions were written without a fence: #6, " in told
    assert " and 328 more. Of such writes, the worst of each stretch is drawn." in told


def test_of_a_proof_that_does_not_fit_the_rest_is_said(drawn_logs: duckdb.DuckDBPyConnection) -> None:
    finding = found(drawn_logs, "dropped-fence", run("far"))
    drawn = window(drawn_logs, run("far"), finding_no=finding["finding_no"], at=finding["place"])
    assert (drawn.first, drawn.last) == (1, 61 + AROUND)
    assert drawn.elsewhere == (601,)
    assert "1 more record of the proof stands at #601." in summary(drawn)
    assert "No finding" not in summary(drawn)
    assert "No finding has its place among these events." in summary(window(drawn_logs, run("far"), at=300))


@pytest.mark.parametrize("number", range(len(NEVER)))
def test_a_time_that_no_clock_shows_is_said_and_bends_no_axis(
    drawn_logs: duckdb.DuckDBPyConnection, number: int
) -> None:
    drawn = window(drawn_logs, run(f"0dd{number}"), view=View.WALL)
    assert [dot.x for dot in drawn.dots] == [0, 1, 1, 4]
    assert drawn.dots[2].told[-1] == NEVER[number].replace("T", " ").replace("Z", " UTC")
    assert "1 event without a time from 1970 to 9998 stands where the one before it does." in summary(drawn)


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
    drawn = diagram(transitions(drawn_logs, run("twce"))).replace("<br/>\u2800", "")
    assert drawn.splitlines() == [
        "stateDiagram-v2",
        "direction LR",
        "[*] --> created : created × 2",
        "created --> created : ✗ created × 1",
        "created --> closed : completed × 1",
    ]


def test_a_position_has_a_window_of_its_own(drawn_logs: duckdb.DuckDBPyConnection) -> None:
    drawn = window(drawn_logs, run("1000"), at=500)
    assert (drawn.first, drawn.last) == (500 - AROUND, 500 + AROUND)
    assert [dot.position for dot in drawn.dots] == list(range(500 - AROUND, 501 + AROUND))

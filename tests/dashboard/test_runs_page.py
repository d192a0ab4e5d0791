"""The page Runs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_plus

import duckdb
import pytest
from pages import visit

from dashboard import here, service
from dashboard.queries import runs as queries


@pytest.fixture
def ids(full: service.Service) -> dict[str, Any]:
    """Ids of the run with a stale write: its own, of an event, of an entity, of its finding."""
    audit_id = full.library.entries()[0].audit_id
    with full.library.reading(audit_id) as con:
        run_id, finding = con.execute(
            "SELECT run_id, instance FROM finding WHERE rule = 'stale-snapshot-write'"
        ).fetchone()
        event, entity = con.execute(
            "SELECT event_id, correlation_id FROM log WHERE run_id = ? AND position = 10", [run_id]
        ).fetchone()
    return {"audit": audit_id, "run": run_id, "finding": finding, "event": event, "entity": entity}


def test_without_an_audit_it_says_what_to_do_next(empty: service.Service) -> None:
    page = visit("runs")
    assert not page.exception
    assert "Upload event logs" in page.info[0].value


def test_runs_are_listed_the_worst_first_with_a_link_to_each(ids: dict[str, Any]) -> None:
    page = visit("runs")
    assert not page.exception
    listed = page.dataframe[0].value
    assert len(listed) == 12
    assert listed["log_verdict"].tolist() == sorted(listed["log_verdict"], key=["corrupt", "sound"].index)
    assert listed["open"][0] == f"/run?audit={ids['audit']}&run={listed['run_id'][0]}"
    stale = listed[listed["run_id"] == ids["run"]].iloc[0]
    assert (stale["status"], stale["worst"], stale["findings"], stale["events"]) == ("failed", "error", 4, 15)


@pytest.mark.parametrize(
    ("params", "runs"),
    [
        ({"verdict": "sound"}, 7),
        ({"verdict": "corrupt", "status": "running"}, 1),
        ({"workflow": "workflow//./workflows/all//stress"}, 3),
        ({"status": "nonsense"}, 12),
    ],
)
def test_filters_stand_in_the_address(ids: dict[str, Any], params: dict[str, str], runs: int) -> None:
    assert len(visit("runs", **params).dataframe[0].value) == runs


def test_a_filter_that_is_changed_is_written_into_the_address(ids: dict[str, Any]) -> None:
    page = visit("runs")
    page.selectbox(key="address-workflow").select("workflow//./workflows/all//stress").run()
    assert page.query_params["workflow"] == "workflow//./workflows/all//stress"
    assert len(page.dataframe[0].value) == 3


def test_a_filter_that_nothing_passes_says_so(ids: dict[str, Any]) -> None:
    page = visit("runs", verdict="suspect")
    assert "No run is like this" in page.info[0].value


@pytest.mark.parametrize("of", ["run", "event", "finding"])
def test_searching_for_an_id_opens_its_run(ids: dict[str, Any], of: str) -> None:
    page = visit("runs")
    page.text_input(key="address-q").set_value(ids[of]).run()
    assert not page.exception
    assert page.code[0].value == ids["run"]
    assert page.query_params["run"] == ids["run"]


def test_the_beginning_of_an_id_is_enough(ids: dict[str, Any]) -> None:
    page = visit("runs")
    page.text_input(key="address-q").set_value(ids["finding"][:12]).run()
    assert page.query_params["finding"] == ids["finding"]


def test_a_link_with_a_search_shows_what_it_found(ids: dict[str, Any]) -> None:
    page = visit("runs", q=ids["entity"])
    hits, listed = (table.value for table in page.dataframe)
    assert hits["id"].tolist() == [ids["entity"]]
    assert hits["what"].tolist() == ["wait"]
    assert listed["run_id"].tolist() == [ids["run"]]


def test_more_hits_than_are_listed_are_said_and_all_their_runs_shown(
    ids: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "HITS", 5)
    page = visit("runs", q="wrun_")
    hits, listed = (table.value for table in page.dataframe)
    assert "The first 5 hits; type more of the id for others." in page.caption[0].value
    assert len(listed) == 12
    assert hits["id"].tolist() == sorted(listed["run_id"])[:5]
    assert visit("runs", q="wrun_").dataframe[0].value["id"].tolist() == hits["id"].tolist()


def test_as_many_hits_as_are_listed_are_all(ids: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "HITS", 12)
    with service.current().library.reading(ids["audit"]) as con:
        search, hits, more = queries.found(con, "wrun_")
    assert (search, len(hits), more) == (queries.Search("wrun_", begins=True), 12, False)


def test_the_page_of_the_list_stands_in_the_address(full: service.Service) -> None:
    limits = replace(full.settings.limits, page_rows=5)
    whole = visit("runs").dataframe[0].value["run_id"].tolist()
    service.install(replace(full, settings=replace(full.settings, limits=limits)))
    pages = [visit("runs", at=at).dataframe[0].value["run_id"].tolist() for at in (1, 2, 3, 99)]
    assert pages == [whole[:5], whole[5:10], whole[10:], whole[10:]]
    page = visit("runs", at=3)
    page.selectbox(key="address-workflow").select("workflow//./workflows/all//stress").run()
    assert "at" not in page.query_params


def test_a_link_shows_the_id_of_the_run_that_it_leads_to() -> None:
    hostile = "wrun_<b> &run=x#+%\u202e"
    # What Streamlit does with a LinkColumn, in `DataFrame.js`.
    shown = re.search(here.SHOWN_ID, here.link("run", "A", run=hostile, finding="F"))
    assert shown is not None
    assert unquote_plus(shown[1]) == hostile
    assert re.search(here.SHOWN_ID, here.link("findings", "A", finding="F"))[1] == "F"  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "told"), [("nonsense-id", "No run, event, step"), ("x", "Nothing has this very id")]
)
def test_an_id_that_nothing_has_is_said_to_be_none(ids: dict[str, Any], text: str, told: str) -> None:
    assert told in visit("runs", q=text).info[0].value


def test_a_search_is_a_value_and_never_a_query(ids: dict[str, Any]) -> None:
    page = visit("runs", q="' OR 1=1 --", workflow="'; DROP TABLE run; --")
    assert not page.exception
    assert "No run, event, step" in page.info[0].value
    with pytest.raises(duckdb.Error), service.current().library.reading(ids["audit"]) as con:
        con.execute("DROP TABLE run")

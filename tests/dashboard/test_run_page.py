"""The page Run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from logs import RUN, Log, entity, manifest, write
from pages import put, visit
from streamlit.testing.v1 import AppTest

from auditor import audit
from dashboard import service
from dashboard.settings import Role, Settings

HOSTILE = "![x](http://x.example/i.png) <img src=x> :red[y] $z$"


@pytest.fixture(scope="module")
def kept_audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit that keeps payloads; its names are hostile."""
    folder = tmp_path_factory.mktemp("kept")
    log = Log(workflow=HOSTILE)
    log.add("step_created", entity("step", 1), data={"stepName": HOSTILE, "input": {"secret": "=1+1"}})
    path = folder / "kept.duckdb"
    audit(write(folder / "log.ndjson", manifest(), log.events), save=path, keep_payloads=True).close()
    return path


@pytest.fixture
def kept(empty: service.Service, kept_audit: Path) -> service.Service:
    put(empty.library, kept_audit, "kept", keep_payloads=True)
    return empty


@pytest.fixture
def stale(full: service.Service) -> dict[str, Any]:
    """The run with a stale write, and its finding."""
    with full.library.reading(full.library.entries()[0].audit_id) as con:
        run_id, instance = con.execute(
            "SELECT run_id, instance FROM finding WHERE rule = 'stale-snapshot-write'"
        ).fetchone()
    return {"run": run_id, "finding": instance}


def texts(page: AppTest) -> str:
    assert not page.exception
    return "\n".join(element.value for element in (*page.text, *page.caption, *page.info, *page.warning))


def names(page: AppTest) -> list[str]:
    return [element.value for element in (*page.markdown, *page.subheader, *page.caption, *page.header)]


def test_without_an_audit_it_says_what_to_do_next(empty: service.Service) -> None:
    assert "Upload event logs" in texts(visit("run"))


@pytest.mark.parametrize("run", ["", "wrun_nonsense"])
def test_a_run_that_the_audit_does_not_have_leads_back_to_the_list(full: service.Service, run: str) -> None:
    assert "no such run" in texts(visit("run", run=run)) or not run


def test_the_header_says_both_verdicts_and_why(stale: dict[str, Any]) -> None:
    page = visit("run", run=stale["run"])
    assert page.code[0].value == stale["run"]
    assert "Why: stale-snapshot-write." in texts(page)
    badges = " ".join(element.value for element in page.markdown)
    for words in ("log: corrupt", "runtime: corrupted", "status: failed", "15 events", "3 errors", "1 info"):
        assert words in badges


def test_a_finding_opens_on_its_window_with_its_sentence(stale: dict[str, Any]) -> None:
    page = visit("run", **stale)
    assert "was written knowing the log up to #7" in texts(page)
    assert "The write at #10 knew the log up to #7: 2 events unseen." in texts(page)


def test_next_and_previous_step_through_the_findings_of_the_run(stale: dict[str, Any]) -> None:
    page = visit("run", run=stale["run"])
    chosen = []
    for _ in range(4):
        next(button for button in page.button if button.label == "Next").click().run()
        chosen.append(page.query_params["finding"])
    assert len(set(chosen)) == 4
    assert next(button for button in page.button if button.label == "Next").disabled
    next(button for button in page.button if button.label == "Previous").click().run()
    assert page.query_params["finding"] == chosen[2]


def test_the_whole_run_is_one_click_away(stale: dict[str, Any]) -> None:
    page = visit("run", **stale)
    next(button for button in page.button if button.label == "Whole run").click().run()
    assert "finding" not in page.query_params
    assert "Events 1 to 15 of 15" in texts(page)


def test_choosing_a_finding_writes_it_into_the_address(stale: dict[str, Any]) -> None:
    page = visit("run", run=stale["run"], at=5)
    page.selectbox(key="address-finding").select(stale["finding"]).run()
    assert page.query_params["finding"] == stale["finding"]
    assert "at" not in page.query_params


def test_the_order_by_the_clock_stands_in_the_address(stale: dict[str, Any]) -> None:
    assert "by the store's clock." in texts(visit("run", run=stale["run"], view="wall"))


def test_a_finding_of_another_run_is_refused_in_words(stale: dict[str, Any]) -> None:
    assert "not one of this run" in texts(visit("run", run=stale["run"], finding="nonsense"))


def test_a_position_in_the_address_shows_its_event(stale: dict[str, Any]) -> None:
    page = visit("run", run=stale["run"], at=10)
    event = json.loads(page.code[1].value)
    assert (event["position"], event["event_type"]) == (10, "wait_completed")
    assert "payload" not in event


@pytest.mark.parametrize("at", ["-1", "x", "999999", "9" * 30, "٣"])
def test_a_position_that_is_none_shows_the_whole_run(stale: dict[str, Any], at: str) -> None:
    assert "Events 1 to 15 of 15" in texts(visit("run", run=stale["run"], at=at))


def test_events_are_listed_with_what_their_writers_knew(stale: dict[str, Any]) -> None:
    page = visit("run", run=stale["run"], tab="events")
    events = page.dataframe[0].value
    assert events["position"].tolist() == list(range(1, 16))
    assert events.loc[9, "known"] == 7
    assert events.loc[9, "fence"].startswith("tail evnt_")
    assert events.loc[9, "source"] == "stale-snapshot-write.ndjson:11"


def test_events_are_filtered_by_type_and_entity(stale: dict[str, Any]) -> None:
    assert len(visit("run", run=stale["run"], tab="events", type="wait_created").dataframe[0].value) == 3
    assert "No event of this run is like this" in texts(visit("run", run=stale["run"], tab="events", q="x"))


def test_a_dropped_payload_leaves_its_size_and_digest(stale: dict[str, Any]) -> None:
    told = texts(visit("run", run=stale["run"], tab="events", at=5))
    assert "Its payload was dropped when the log was read: 76 bytes, sha256" in told


def test_entities_have_their_state_and_first_positions(stale: dict[str, Any]) -> None:
    entities = visit("run", run=stale["run"], tab="entities").dataframe[0].value
    assert entities["kind"].tolist() == ["step", "hook", "wait", "step", "wait", "wait"]
    assert entities["state"].tolist() == ["closed", "active", "closed", "closed", "created", "created"]


def test_states_are_counted(stale: dict[str, Any]) -> None:
    states = visit("run", run=stale["run"], tab="states").dataframe[0].value
    row = states[(states["kind"] == "wait") & (states["after"] == "closed")].iloc[0]
    assert (row["before"], row["event_type"], row["times"], row["rule"]) == (
        "created",
        "wait_completed",
        1,
        "allowed",
    )


def test_findings_of_the_run_link_to_the_page_of_findings(stale: dict[str, Any]) -> None:
    findings = visit("run", run=stale["run"], tab="findings").dataframe[0].value
    assert len(findings) == 4
    assert any(link.startswith("/findings?") and stale["finding"] in link for link in findings["open"])


def test_a_run_without_an_event_has_no_timeline(empty: service.Service, tmp_path: Path) -> None:
    head = {"record": "head", "runId": RUN, "events": 3, "tail": None}
    audit(write(tmp_path / "log.ndjson", manifest(), head), save=tmp_path / "audit.duckdb").close()
    put(empty.library, tmp_path / "audit.duckdb", "head only")
    assert "The audit has no event of this run, so there is no timeline." in texts(visit("run", run=RUN))


def test_a_tab_that_there_is_not_shows_the_timeline(stale: dict[str, Any]) -> None:
    assert "Events 1 to 15 of 15" in texts(visit("run", run=stale["run"], tab="nonsense"))


@pytest.mark.parametrize("tab", ["timeline", "events", "entities", "states", "findings"])
def test_no_name_of_a_log_is_read_as_markdown(kept: service.Service, tab: str) -> None:
    page = visit("run", run=RUN, tab=tab, at=3)
    assert not page.exception
    left = [re.sub(r"\\.", "", name) for name in names(page)]
    assert not any("[x" in name or "<img" in name or ":red" in name or "$z" in name for name in left)


def test_revealing_a_payload_is_written_into_the_trail_before_it_is_shown(kept: service.Service) -> None:
    page = visit("run", run=RUN, tab="events", at=3)
    assert "secret" not in "".join(code.value for code in page.code)
    page.button(key=f"reveal-{RUN}-3").click().run()
    assert "secret" in page.code[-1].value
    noted = [row for row in kept.library.state.rows("SELECT * FROM trail") if row["action"] == "reveal payload"]
    assert [row["who"] for row in noted] == ["local"]
    assert json.loads(noted[0]["detail"])["run_id"] == RUN


def test_a_viewer_may_not_reveal_a_payload(tmp_path: Path, kept_audit: Path) -> None:
    viewers = service.Service.of(Settings(tmp_path / "viewers", roles={"*": Role.VIEWER}))
    service.install(viewers)
    put(viewers.library, kept_audit, "kept", keep_payloads=True)
    page = visit("run", run=RUN, tab="events", at=3)
    assert "This audit keeps its payload. Who may see it" in texts(page)
    assert not [button for button in page.button if button.label == "Reveal payload"]

"""Pages are reached by their addresses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pages import put, visit

from dashboard import lifecycle
from dashboard.parts.audits import labels
from dashboard.service import Service


@pytest.mark.parametrize("page", ["overview", "findings", "runs", "run", "rules", "data", "query"])
def test_every_page_can_be_opened_with_and_without_an_audit(page: str, full: Service) -> None:
    assert not visit(page).exception
    assert len(full.library.entries()) == 1


@pytest.mark.parametrize("page", ["overview", "findings", "runs", "run", "rules", "data", "query"])
def test_without_an_audit_every_page_says_what_to_do(page: str, empty: Service) -> None:
    assert not visit(page).exception
    assert not empty.library.entries()


def test_the_address_of_a_page_names_the_audit_that_it_shows(full: Service) -> None:
    (entry,) = full.library.entries()
    assert visit("findings").query_params["audit"] == entry.audit_id


@pytest.mark.parametrize("page", ["overview", "findings", "runs", "run", "rules", "query"])
def test_a_link_to_an_audit_that_nobody_knows_shows_no_other_one(page: str, full: Service) -> None:
    app = visit(page, audit="01NOSUCHAUDIT", finding="abc", run="wrun_1")
    assert not app.exception
    assert "It is deleted, or the link is mistyped." in app.warning[0].value
    assert app.query_params["audit"] == "01NOSUCHAUDIT"
    assert not [*app.dataframe, *app.metric, *app.text_area]
    assert app.selectbox(key="sidebar.audit").value is None


def test_from_there_another_audit_can_be_chosen(full: Service) -> None:
    (entry,) = full.library.entries()
    app = visit("overview", audit="01NOSUCHAUDIT")
    app.selectbox(key="sidebar.audit").select(entry.audit_id).run()
    assert not app.exception
    assert app.query_params["audit"] == entry.audit_id
    assert app.metric


def test_a_link_to_an_audit_that_is_not_finished_says_how_far_it_is(full: Service) -> None:
    queued = full.library.begin("![x](http://evil.example/)", "somebody", state="queued")
    app = visit("overview", audit=queued)
    assert "still being audited" in app.info[0].value
    assert "![x](http://evil.example/)" in [text.value for text in app.text]
    lifecycle.claim(full.library)
    lifecycle.fail(full.library, queued, "So it is.")
    app = visit("overview", audit=queued)
    assert "It is failed: no audit came of this upload." in app.warning[0].value
    assert not visit("data", audit=queued, tab="imports").exception


def test_an_audit_that_was_deleted_meanwhile_is_not_stayed_with(full: Service) -> None:
    (entry,) = full.library.entries()
    twin = put(full.library, full.library.file(entry.audit_id), "twin")
    app = visit("overview", audit=twin)
    full.library.delete(twin, "somebody")
    assert "cannot be shown" in app.run().subheader[0].value
    app.query_params.clear()
    assert app.run().query_params["audit"] == entry.audit_id


def test_audits_that_are_called_alike_can_be_told_apart(full: Service) -> None:
    (entry,) = full.library.entries()
    twin = replace(entry, audit_id=entry.audit_id[:-4] + "TWIN")
    other = replace(entry, audit_id="OTHER", name="other")
    named = labels([entry, twin, other])
    assert len(set(named.values())) == 3
    assert named[twin.audit_id].startswith("TWIN · samples")
    assert named["OTHER"].startswith("other · ")

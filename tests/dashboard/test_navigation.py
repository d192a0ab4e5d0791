"""Pages are reached by their addresses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pages import visit

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


def test_audits_that_are_called_alike_can_be_told_apart(full: Service) -> None:
    (entry,) = full.library.entries()
    twin = replace(entry, audit_id=entry.audit_id[:-4] + "TWIN")
    other = replace(entry, audit_id="OTHER", name="other")
    named = labels([entry, twin, other])
    assert len(set(named.values())) == 3
    assert named[twin.audit_id].startswith("TWIN · samples")
    assert named["OTHER"].startswith("other · ")

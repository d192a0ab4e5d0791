"""An audit file that was made elsewhere: what it holds and when it was made is asked of the file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pages import SAMPLES, visit

from auditor import audit
from dashboard import service, starting
from dashboard.library import Entry
from dashboard.parts.judging import judged
from dashboard.queries import findings
from dashboard.service import Service
from dashboard.settings import Role
from dashboard.triage import Choice, Chosen, Pattern

LOG = SAMPLES / "stale-snapshot-write.ndjson"


@pytest.fixture
def imported(empty: Service, tmp_path: Path) -> Callable[..., Entry]:
    """Show an audit file of a sample, made with or without payloads, and last written so many seconds ago."""

    def show(*, keep_payloads: bool = False, ago: float = 0) -> Entry:
        path = tmp_path / "nightly.duckdb"
        audit(LOG, save=path, keep_payloads=keep_payloads).close()
        written = time.time() - ago
        os.utime(path, (written, written))
        starting.begin(empty, [path])
        return empty.library.entries()[0]

    return show


def as_role(here: Service, role: Role) -> None:
    service.install(replace(here, settings=replace(here.settings, roles={"*": role})))


def test_a_viewer_may_neither_ask_nor_download_one_that_keeps_payloads(
    empty: Service, imported: Callable[..., Entry]
) -> None:
    entry = imported(keep_payloads=True)
    assert entry.keep_payloads
    as_role(empty, Role.VIEWER)
    app = visit("query", sql="SELECT payload FROM event")
    assert "only triagers" in app.info[0].value
    assert not app.text_area
    captions = [caption.value for caption in visit("data", tab="imports", view=entry.audit_id).caption]
    assert "The audit file holds payloads: it needs the role triager." in captions
    assert any("payloads are kept" in caption for caption in captions)


def test_asking_one_that_keeps_payloads_is_noted(empty: Service, imported: Callable[..., Entry]) -> None:
    imported(keep_payloads=True)
    app = visit("query", sql="SELECT payload FROM event")
    next(button for button in app.button if button.label == "Run").click().run()
    (note,) = empty.library.state.rows("SELECT detail FROM trail WHERE action = 'query'")
    assert json.loads(note["detail"]) == {"sql": "SELECT payload FROM event"}


def test_one_without_payloads_is_open_to_viewers(empty: Service, imported: Callable[..., Entry]) -> None:
    assert not imported().keep_payloads
    as_role(empty, Role.VIEWER)
    assert visit("query").text_area


def decide(here: Service, entry: Entry) -> str:
    """Call what it found resolved; the pattern."""
    with here.library.reading(entry.audit_id) as con:
        (row,) = con.execute("SELECT pattern FROM finding WHERE rule = 'stale-snapshot-write'").fetchall()
        about = [Pattern(**one) for one in findings.decidable(con, row)]
    here.triage.decide(about, Choice(Chosen.RESOLVED), "ada", "another audit")
    return str(row[0])


@pytest.mark.parametrize(("ago", "standing"), [(3600, "resolved"), (0, "regressed")])
def test_what_was_resolved_after_it_was_written_has_not_regressed(
    ago: float, standing: str, empty: Service, imported: Callable[..., Entry]
) -> None:
    pattern = decide(empty, imported())
    with empty.library.state.change() as con:
        con.execute("DELETE FROM audit")
        con.execute("UPDATE triage SET decided_at = decided_at - 60000")
    entry = imported(ago=ago)
    with empty.library.reading(entry.audit_id) as con:
        assert judged(con, entry).decided[pattern] == standing


def test_it_is_dated_by_the_time_it_was_written_and_kept_from_the_time_it_came(
    empty: Service, imported: Callable[..., Entry]
) -> None:
    entry = imported(ago=40 * 86_400)
    assert (entry.created_at - entry.made_at) // 86_400_000 == 40
    day = time.strftime("%Y-%m-%d", time.gmtime(entry.made_at / 1000))
    assert f"nightly, an audit file of {day}" in visit("overview").text[0].value
    empty.library.expire(30, entry.created_at)
    assert empty.library.entries() == [entry]

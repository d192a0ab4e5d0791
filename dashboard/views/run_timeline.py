"""The tab Timeline of the page Run."""

from __future__ import annotations

from typing import Any

import duckdb
import streamlit as st

from .. import service
from ..charts.timeline_summary import summary
from ..parts import address
from ..parts.focus import explore
from ..parts.links import page_link
from ..parts.words import many
from ..queries import run as queries
from ..queries.timeline import View, Window
from .run_events import details, table

_VIEWS = {View.LOG: "Log order", View.WALL: "Wall clock", View.ACTIVE: "Wall clock, compress idle gaps"}
_LISTED = 500
"""Findings of a run that one can step through."""


def tab(con: duckdb.DuckDBPyConnection, audit_id: str, run: dict[str, Any]) -> None:
    """Draw it."""
    if not run["events"]:
        st.info("The audit has no event of this run, so there is no timeline.")
        return
    run_id, at = run["run_id"], address.number("at")
    listed = queries.findings(con, run_id, _LISTED)
    finding = _finding(con, run_id)
    _go(listed, finding, at)
    view = View(address.segments("Order by", "view", list(View), lambda slug: _VIEWS[View(slug)]))
    if finding is not None:
        _say_what(audit_id, finding)
    shown, clicked = explore(
        con,
        audit_id,
        run_id,
        finding_no=finding["finding_no"] if finding else None,
        at=finding["place"] if finding else at,
        view=view,
    )
    if view is not shown.view:
        st.caption("No event shown has a time from 1970 to 9998, so they stand in log order.")
    st.text(summary(shown))
    place = clicked or at
    if place is not None:
        details(con, audit_id, run_id, place)
        if place != at or finding is not None:
            st.button(
                f"Look around #{place}",
                icon=":material/center_focus_strong:",
                on_click=lambda: address.say(finding=None, at=str(place)),
            )
    with st.expander("Show as table"):
        _as_table(con, audit_id, run_id, shown)


def _finding(con: duckdb.DuckDBPyConnection, run_id: str) -> dict[str, Any] | None:
    instance = st.query_params.get("finding")
    if not instance:
        return None
    finding = queries.finding(con, run_id, instance)
    if finding is None:
        st.warning("The finding that the address names is not one of this run.")
    return finding


def _go(listed: list[dict[str, Any]], finding: dict[str, Any] | None, at: int | None) -> None:
    """Ways to the next finding, to any of them, and back to the whole run."""
    named = [row for row in listed if row["instance"] is not None]
    words = {row["instance"]: _title(number, row) for number, row in enumerate(named, 1)}
    if finding is not None and finding["instance"] not in words:
        words[finding["instance"]] = _title(len(words) + 1, finding)
    order = list(words)
    now = order.index(finding["instance"]) if finding is not None else -1
    with st.container(horizontal=True, vertical_alignment="bottom"):
        address.select(
            "Go to finding",
            "finding",
            order,
            words.__getitem__,
            nothing="none: the whole run",
            clears=["at"],
            width=420,
        )
        _button("Previous", ":material/chevron_left:", order[now - 1] if now > 0 else None)
        _button("Next", ":material/chevron_right:", order[now + 1] if now + 1 < len(order) else None)
        st.button(
            "Whole run",
            icon=":material/zoom_out_map:",
            disabled=finding is None and at is None,
            on_click=lambda: address.say(finding=None, at=None),
        )
    if len(listed) == _LISTED:
        st.caption(f"Only the first {_LISTED:,} findings can be stepped through; the tab Findings has all.")


def _button(label: str, icon: str, instance: str | None) -> None:
    st.button(
        label,
        icon=icon,
        disabled=instance is None,
        on_click=lambda: address.say(finding=instance, at=None),
    )


def _title(number: int, row: dict[str, Any]) -> str:
    place = f" at #{row['place']}" if row["place"] is not None else ""
    return f"{number}: {row['severity']} {row['rule']}{place}"


def _say_what(audit_id: str, finding: dict[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(finding["because"], width="stretch")
        page_link("Open the finding", "findings", audit_id, finding=finding["instance"])
    if finding["place"] is None:
        st.caption("The proof of this finding names no event, so the whole run is shown.")


def _as_table(con: duckdb.DuckDBPyConnection, audit_id: str, run_id: str, shown: Window) -> None:
    size = service.current().settings.limits.page_rows
    rows = queries.events(con, run_id, size, first=shown.first, last=shown.last)
    picked = table(rows, key=f"timeline-table-{run_id}-{shown.first}-{shown.last}")
    if len(rows) == size and rows[-1]["position"] < shown.last:
        st.caption(f"The first {many(size, 'event')} of this stretch; the tab Events has all.")
    if picked is not None:
        details(con, audit_id, run_id, picked)

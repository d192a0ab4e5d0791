"""The tab Events of the page Run, and one event in full."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import streamlit as st

from .. import service
from ..parts import address
from ..parts.downloads import csv_of
from ..parts.words import escaped, many
from ..queries import run as queries
from ..settings import Role
from ..who import visitor

_COLUMNS = {
    "position": "#",
    "event_type": "Event",
    "entity": "Entity",
    "step_name": "Step",
    "created_at": "Created (UTC)",
    "fence": "Fence",
    "known": "Knew up to",
    "writer": "Writer / tick",
    "source": "Source:line",
    "correlation_id": "Correlation id",
    "event_id": "Event id",
}


def tab(con: duckdb.DuckDBPyConnection, audit_id: str, run: dict[str, Any]) -> None:
    """Draw it."""
    run_id, at = run["run_id"], address.number("at")
    size = service.current().settings.limits.page_rows
    with st.container(horizontal=True, vertical_alignment="bottom"):
        event_type = address.select("Type", "type", queries.event_types(con, run_id), nothing="all types")
        entity = address.text("Entity", "q", "A correlation id, whole") or None
    total = queries.count_events(con, run_id, event_type=event_type, entity=entity)
    if not total:
        st.info("No event of this run is like this. Take a filter away to see more.")
        return
    pages = -(-total // size)
    # The page that holds the event of the address comes first.
    before = queries.count_events(con, run_id, event_type=event_type, entity=entity, last=at) if at else 1
    opened = min(max(-(-before // size), 1), pages)
    key = f"events-page-{run_id}-{event_type}-{entity}-{at}"
    shown = st.pagination(pages, default=opened, key=key) if pages > 1 else 1
    rows = queries.events(con, run_id, size, (shown - 1) * size, event_type=event_type, entity=entity)
    st.caption(f"{many(total, 'event')}. Choose a row to see all that is kept of it.")
    picked = table(rows, key=f"{key}-{shown}")
    _downloads(rows)
    place = picked or at
    if place is not None:
        details(con, audit_id, run_id, place)


def table(rows: list[dict[str, Any]], *, key: str) -> int | None:
    """Events as rows. Returns the position of the one that is selected."""
    config: dict[str, Any] = {
        "step_name": st.column_config.TextColumn(_COLUMNS["step_name"], width="medium"),
        **{name: title for name, title in _COLUMNS.items() if name != "step_name"},
    }
    state = st.dataframe(
        [_row(row) for row in rows],
        hide_index=True,
        key=key,
        column_order=list(_COLUMNS),
        column_config=config,
        placeholder="",
        on_select="rerun",
        selection_mode="single-row",
        alt="Events of the run in log order",
    )
    chosen = state["selection"]["rows"]
    return rows[chosen[0]]["position"] if chosen and chosen[0] < len(rows) else None


def details(con: duckdb.DuckDBPyConnection, audit_id: str, run_id: str, position: int) -> None:
    """All that the audit keeps of one event. Who may see its payload can ask for it, and that is written down."""
    event = queries.event(con, run_id, position)
    if event is None:
        st.info(f"This run has no event #{position}.")
        return
    has_payload = event.pop("has_payload")
    with st.container(border=True):
        st.markdown(f"**Event #{position}**: {escaped(event['event_type'])}")
        st.code(json.dumps(event, indent=2, default=str), language="json", wrap_lines=True)
        if has_payload:
            _payload(con, audit_id, run_id, event)
        elif "payload_sha256" in event:
            st.caption(
                f"Its payload was dropped when the log was read: {many(event.get('payload_bytes', 0), 'byte')}, "
                f"sha256 {escaped(event['payload_sha256'])}."
            )


def _payload(con: duckdb.DuckDBPyConnection, audit_id: str, run_id: str, event: dict[str, Any]) -> None:
    who = visitor()
    if not who.may(Role.TRIAGER):
        st.caption(f"This audit keeps its payload. Who may see it: {Role.TRIAGER} and {Role.ADMIN}.")
        return
    st.caption("This audit keeps its payload. That you look at it is written into the trail.")
    if st.button("Reveal payload", icon=":material/visibility:", key=f"reveal-{run_id}-{event['position']}"):
        state = service.current().library.state
        with state.change() as trail:
            state.note(trail, who.name, "reveal payload", audit_id, run_id=run_id, event_id=event["event_id"])
        st.code(queries.payload(con, run_id, event["position"]) or "", language="json", wrap_lines=True)


def _downloads(rows: list[dict[str, Any]]) -> None:
    shown = [_row(row) for row in rows]
    with st.container(horizontal=True):
        st.download_button(
            "This page as CSV",
            csv_of(list(_COLUMNS), [[row[name] for name in _COLUMNS] for row in shown]),
            "events.csv",
            "text/csv",
            icon=":material/download:",
        )
        st.download_button(
            "This page as JSON",
            json.dumps(rows, indent=2, default=str),
            "events.json",
            "application/json",
            icon=":material/download:",
        )


def _row(row: dict[str, Any]) -> dict[str, Any]:
    fence = " ".join(part for part in (row["fence_kind"], row["fence_value"]) if part)
    return {name: fence if name == "fence" else row[name] for name in _COLUMNS}

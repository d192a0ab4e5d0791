"""The tab Entities of the page Run: its steps, waits and hooks."""

from __future__ import annotations

from typing import Any

import duckdb
import streamlit as st

from .. import here, service
from ..parts.words import many
from ..queries import run as queries

_TITLES = {
    "kind": "Kind",
    "ordinal": "Ordinal",
    "step_name": "Step",
    "state": "State",
    "last_event": "Last event",
    "attempt": "Attempt",
    "first_created": "Created at #",
    "first_active": "Active at #",
    "first_closed": "Closed at #",
    "created": "Times created",
    "started": "Times started",
    "retried": "Times retried",
    "closed": "Times closed",
    "correlation_id": "Correlation id",
    "resume_at": "Resumes (UTC)",
}


def tab(con: duckdb.DuckDBPyConnection, audit_id: str, run: dict[str, Any]) -> None:
    """Draw it."""
    counts = queries.count_entities(con, run["run_id"])
    total = sum(counts.values())
    if not total:
        st.info("This run has no step, wait or hook.")
        return
    size = service.current().settings.limits.page_rows
    pages = -(-total // size)
    shown = st.pagination(pages, key=f"entities-page-{run['run_id']}") if pages > 1 else 1
    rows = queries.entities(con, run["run_id"], size, (shown - 1) * size)
    kinds = ", ".join(many(number, kind) for kind, number in sorted(counts.items()))
    st.caption(f"{kinds}; in the order of their first events.")
    st.dataframe(
        [{"open": _events(audit_id, run, row), **row} for row in rows],
        hide_index=True,
        placeholder="",
        column_order=["open", *_TITLES],
        column_config={
            "open": st.column_config.LinkColumn("Events", display_text="Show"),
            **_TITLES,
            "step_name": st.column_config.TextColumn(_TITLES["step_name"], width="medium"),
        },
        alt="Steps, waits and hooks of the run, with their state and the positions of their events",
    )


def _events(audit_id: str, run: dict[str, Any], row: dict[str, Any]) -> str:
    return here.link("run", audit_id, run=run["run_id"], tab="events", q=row["correlation_id"])

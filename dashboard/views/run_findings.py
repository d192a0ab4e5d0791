"""The tab Findings of the page Run."""

from __future__ import annotations

from typing import Any

import duckdb
import streamlit as st

from .. import here, service
from ..parts.words import many
from ..queries import run as queries


def tab(con: duckdb.DuckDBPyConnection, audit_id: str, run: dict[str, Any]) -> None:
    """Draw it."""
    total = sum(queries.severities(con, run["run_id"]).values())
    if not total:
        st.info("No rule that could be evaluated found anything in this run.")
        return
    size = service.current().settings.limits.page_rows
    pages = -(-total // size)
    shown = st.pagination(pages, key=f"findings-page-{run['run_id']}") if pages > 1 else 1
    rows = queries.findings(con, run["run_id"], size, (shown - 1) * size)
    st.caption(f"{many(total, 'finding')}, in the order of the log.")
    st.dataframe(
        [{**row, **_links(audit_id, row)} for row in rows],
        hide_index=True,
        placeholder="",
        column_order=("open", "look", "severity", "rule", "place", "because", "confidence", "state"),
        column_config={
            "open": st.column_config.LinkColumn("Finding", display_text="Open", width="small"),
            "look": st.column_config.LinkColumn("Timeline", display_text="Show", width="small"),
            "severity": st.column_config.TextColumn("Severity", width="small"),
            "rule": st.column_config.TextColumn("Rule", width="medium"),
            "place": st.column_config.NumberColumn("At #", width="small"),
            "because": st.column_config.TextColumn("Because", width="large"),
            "confidence": st.column_config.TextColumn("Confidence", width="small"),
            "state": st.column_config.TextColumn("State", width="small"),
        },
        alt="Findings of the run",
    )


def _links(audit_id: str, row: dict[str, Any]) -> dict[str, str | None]:
    if row["instance"] is None:
        return {"open": None, "look": None}
    return {
        "open": here.link("findings", audit_id, finding=row["instance"]),
        "look": here.link("run", audit_id, run=row["run_id"], finding=row["instance"]),
    }

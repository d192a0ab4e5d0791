"""The tab States of the page Run: which transitions its entities took."""

from __future__ import annotations

from typing import Any

import duckdb
import streamlit as st

from ..charts.states import STAGES, diagram
from ..queries import run as queries


def tab(con: duckdb.DuckDBPyConnection, audit_id: str, run: dict[str, Any]) -> None:  # noqa: ARG001 - as every tab
    """Draw it."""
    taken = queries.transitions(con, run["run_id"])
    if not taken:
        st.info("This run has no step, wait or hook.")
        return
    st.caption(
        "How often events moved steps, waits and hooks on. A cross marks what the lifecycle does not allow."
    )
    for kind in dict.fromkeys(row["kind"] for row in taken):
        of_kind = [row for row in taken if row["kind"] == kind]
        st.markdown(f"**{kind.capitalize()}s**")
        st.mermaid_chart(diagram(of_kind), alt=f"Transitions of {kind}s; the table below has the same.")
    st.dataframe(
        [
            {
                **row,
                "before": STAGES[row["before"]],
                "after": STAGES[row["after"]],
                "rule": row["rule"] or "allowed",
            }
            for row in taken
        ],
        hide_index=True,
        column_config={
            "kind": "Kind",
            "before": "From",
            "event_type": "Event",
            "after": "To",
            "times": "Times",
            "entities": "Entities",
            "rule": "Allowed, or the rule it breaks",
        },
        alt="Transitions of the entities of the run",
    )

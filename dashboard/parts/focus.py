"""The timeline of a run, or of what one finding is about."""

from __future__ import annotations

from typing import Any

import duckdb
import plotly.graph_objects as go
import streamlit as st

from ..charts import timeline as chart
from ..charts.shapes import shapes
from ..charts.timeline_summary import summary
from ..queries.timeline import View, Window, window

_CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
    "scrollZoom": False,
}


def focus(con: duckdb.DuckDBPyConnection, audit_id: str, finding: dict[str, Any], *, height: int = 320) -> None:
    """Draw the events around a finding, or say why there is nothing to draw.

    `finding` has finding_no, rule, run_id, instance, because and place.
    """
    if finding["run_id"] is None:
        st.caption("This finding is about the log as a whole: it has no place on the timeline of a run.")
        return
    if finding["place"] is None:
        st.caption("The proof of this finding names no event, so there is no place to show.")
        return
    shown, drawn = timeline(
        con,
        audit_id,
        finding["run_id"],
        finding_no=finding["finding_no"],
        at=finding["place"],
        height=height,
        dark=is_dark(),
    )
    st.plotly_chart(drawn, key=f"focus-{finding['finding_no']}", config=_CONFIG, alt=summary(shown))
    _explain_shapes(shown)
    st.text(summary(shown))


def explore(
    con: duckdb.DuckDBPyConnection,
    audit_id: str,
    run_id: str,
    *,
    finding_no: int | None,
    at: int | None,
    view: View,
) -> tuple[Window, int | None]:
    """Draw a run or a part of it. Returns what was drawn, and the position of the event that was clicked."""
    shown, drawn = timeline(con, audit_id, run_id, finding_no=finding_no, at=at, view=view, dark=is_dark())
    state = st.plotly_chart(
        drawn,
        key=f"timeline-{run_id}-{finding_no}-{at}-{view}",
        on_select="rerun",
        selection_mode="points",
        config=_CONFIG,
        alt=summary(shown),
    )
    _explain_shapes(shown)
    clicked = next(
        (point["customdata"][0] for point in state["selection"]["points"] if point.get("customdata")), None
    )
    return shown, clicked


def _explain_shapes(shown: Window) -> None:
    if words := shapes(shown):
        st.caption(words)


def is_dark() -> bool:
    """Whether the visitor sees the dark theme."""
    return st.context.theme.type == "dark"


@st.cache_data(max_entries=64, show_spinner=False)
def timeline(
    _con: duckdb.DuckDBPyConnection,
    audit_id: str,  # noqa: ARG001 - part of the key of the cache
    run_id: str,
    *,
    finding_no: int | None = None,
    at: int | None = None,
    view: View = View.LOG,
    dark: bool = False,
    height: int = 420,
) -> tuple[Window, go.Figure]:
    """A window and its figure. An audit never changes, so its id (not the connection) names what is cached."""
    laid_out = window(_con, run_id, finding_no=finding_no, at=at, view=view)
    lanes = max(height, 24 * len(laid_out.lanes) + 190)
    return laid_out, chart.figure(laid_out, dark=dark, height=lanes)

"""The audit trail: who did what."""

from __future__ import annotations

import datetime as dt

import streamlit as st

from .. import service
from ..parts import address
from ..parts.downloads import csv_of
from ..parts.words import many
from ..queries import trail

_COLUMNS = ("no", "at", "who", "action", "subject", "detail")


def draw() -> None:
    """Draw it."""
    state, limits = service.current().library.state, service.current().settings.limits
    total = trail.count(state)
    st.caption(
        f"{many(total, 'action')}: uploads, deletions, decisions about findings, payloads revealed."
        " Nothing is ever removed from it."
    )
    if not total:
        return
    shown = st.container()
    pages = -(-total // limits.page_rows)
    rows = trail.actions(state, limits.page_rows, (address.page_of(pages) - 1) * limits.page_rows)
    address.paging(pages)
    shown.dataframe(
        [{**row, "at": _time(row["at"])} for row in rows],
        hide_index=True,
        column_order=("at", "who", "action", "subject", "detail"),
        column_config={
            "at": st.column_config.DatetimeColumn("When (UTC)", format="YYYY-MM-DD HH:mm:ss"),
            "who": "Who",
            "action": "Did",
            "subject": "To",
            "detail": st.column_config.TextColumn("Detail", width="large"),
        },
        alt="Who did what, the last action first",
    )

    def as_csv() -> bytes:
        actions = trail.actions(state, limits.query_rows)
        return csv_of(
            _COLUMNS,
            [
                [_time(row["at"]).isoformat() if name == "at" else row[name] for name in _COLUMNS]
                for row in actions
            ],
        )

    st.download_button(
        f"Download the last {min(total, limits.query_rows):,} as CSV",
        as_csv,
        "audit-trail.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
    )


def _time(ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).replace(tzinfo=None)

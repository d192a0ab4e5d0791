"""The page Data: logs in, audits out, and who did what."""

from __future__ import annotations

import streamlit as st

from .. import service
from ..parts import address
from ..parts.words import many
from ..settings import Role
from ..who import visitor
from . import data_imports, data_trail, data_upload

TAB = "tab"
_TABS = {"upload": "Upload", "imports": "Imports", "trail": "Audit trail"}
_DRAW = {"upload": data_upload.draw, "imports": data_imports.draw, "trail": data_trail.draw}


def page() -> None:
    """Draw it."""
    st.subheader("Data")
    tabs = [tab for tab in _TABS if tab != "trail" or visitor().may(Role.ADMIN)]
    asked = st.query_params.get(TAB)
    chosen = st.segmented_control(
        "Part of the page",
        tabs,
        default=asked if asked in tabs else "upload",
        format_func=_TABS.__getitem__,
        label_visibility="collapsed",
        required=True,
    )
    if asked and chosen != asked:
        address.first_page()
    st.query_params[TAB] = chosen
    if chosen != "trail":
        st.caption(_kept())
    _DRAW[chosen]()


def _kept() -> str:
    days = service.current().settings.retention_days
    if days is None:
        return "An audit is kept until somebody deletes it."
    return f"An audit is deleted {many(days, 'day')} after it came here (--retention-days)."

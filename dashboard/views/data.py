"""The page Data: logs in, audits out, and who did what."""

from __future__ import annotations

import streamlit as st

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
    st.query_params[TAB] = chosen
    _DRAW[chosen]()

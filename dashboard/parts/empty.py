"""What a page says that has nothing to show yet."""

from __future__ import annotations

import streamlit as st

from .links import page_link


def nothing_to_show() -> None:
    """No audit is finished: say so, and lead to where one begins."""
    st.info("There is no finished audit yet. Upload event logs, and this page shows what the audit finds.")
    page_link("Upload logs", "data", icon=":material/upload:")

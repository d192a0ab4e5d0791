"""What a page says that has nothing to show."""

from __future__ import annotations

import streamlit as st

from .. import service
from ..library import ENDED
from .links import page_link


def nothing_to_show() -> None:
    """No audit is finished: say so, and lead to where one begins."""
    st.info("There is no finished audit yet. Upload event logs, and this page shows what the audit finds.")
    page_link("Upload logs", "data", icon=":material/upload:")


def cannot_be_shown(audit_id: str) -> None:
    """The address names an audit that is not finished, or that nobody knows: say so, and lead on."""
    entry = service.current().library.entry(audit_id)
    st.subheader("This audit cannot be shown")
    if entry is None:
        st.warning("There is no audit of the id that the address names. It is deleted, or the link is mistyped.")
        st.code(audit_id, language=None, wrap_lines=True)
    elif entry.state in ENDED:
        st.text(entry.name)
        st.warning(f"It is {entry.state}: no audit came of this upload.")
        page_link("What is known of it", "data", icon=":material/upload:", tab="imports", view=entry.audit_id)
    else:
        st.text(entry.name)
        st.info("It is still being audited. Its progress stands under Data.")
        st.button("Look again", icon=":material/refresh:")
        page_link("Its progress", "data", icon=":material/upload:", tab="upload")
    page_link("The last audit that is finished", "overview", icon=":material/dashboard:")

"""Which audit a page shows, and links that show it to somebody else."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from . import service
from .library import Entry

AUDIT = "audit"
"""The query parameter that names the audit; every link has it."""


def chosen() -> Entry | None:
    """The audit that the URL names, else the one last looked at, else the newest; None if none is finished.

    It is written into the URL, so that the address of every page is a link.
    """
    library = service.current().library
    for name in (st.query_params.get(AUDIT), st.session_state.get(AUDIT)):
        if name and (entry := library.entry(name)) is not None and entry.is_done:
            return keep(entry)
    newest = next((entry for entry in library.entries() if entry.is_done), None)
    return keep(newest) if newest is not None else None


def keep(entry: Entry) -> Entry:
    """Stay with this audit, also on other pages."""
    st.session_state[AUDIT] = entry.audit_id
    if st.query_params.get(AUDIT) != entry.audit_id:
        st.query_params[AUDIT] = entry.audit_id
    return entry


HOME = "overview"
"""The page at the root of the server."""


def link(page: str, audit_id: str, **params: str | int | None) -> str:
    """The address of a page, relative to this server: `/findings?audit=…&pattern=…`."""
    said = {AUDIT: audit_id, **{name: value for name, value in params.items() if value is not None}}
    return f"/{'' if page == HOME else page}?{urlencode(said)}"

"""Which audit a page shows, and links that show it to somebody else."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from . import service
from .library import Entry

AUDIT = "audit"
"""The query parameter that names the audit; every link has it."""


def chosen() -> Entry | None:
    """The audit that the URL names, and no other. If it names none: the one last looked at, else the newest.

    None if that is not finished, or if none is. What is chosen is written into the URL, so that the address of
    every page is a link.
    """
    library = service.current().library
    if named := st.query_params.get(AUDIT):
        return keep(entry) if (entry := library.entry(named)) is not None and entry.is_done else None
    if (last := st.session_state.get(AUDIT)) and (entry := library.entry(last)) is not None and entry.is_done:
        return keep(entry)
    newest = next((entry for entry in library.entries() if entry.is_done), None)
    return keep(newest) if newest is not None else None


def lost() -> str | None:
    """The id that the URL names, if no finished audit has it. None if one has, or if the URL names none."""
    named = st.query_params.get(AUDIT)
    entry = service.current().library.entry(named) if named else None
    return named if named and (entry is None or not entry.is_done) else None


def keep(entry: Entry) -> Entry:
    """Stay with this audit, also on other pages."""
    st.session_state[AUDIT] = entry.audit_id
    if st.query_params.get(AUDIT) != entry.audit_id:
        st.query_params[AUDIT] = entry.audit_id
    return entry


SHOWN_ID = r"[?&](?:run|finding)=([^&]*)"
"""What a `LinkColumn` shows of these links: the id of the run, else that of the finding, decoded."""

HOME = "overview"
"""The page at the root of the server."""


def link(page: str, audit_id: str, **params: str | int | None) -> str:
    """The address of a page, relative to this server: `/findings?audit=…&pattern=…`."""
    said = {AUDIT: audit_id, **{name: value for name, value in params.items() if value is not None}}
    return f"/{'' if page == HOME else page}?{urlencode(said)}"

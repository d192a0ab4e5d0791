"""Audits under way, and what became of those that this visitor uploaded."""

from __future__ import annotations

import streamlit as st

from .. import service
from ..library import Entry
from ..parts.words import many
from ..queries import imports
from ..settings import Role
from ..who import visitor
from . import data_result

_MINE = "data.mine"
_MOST = 3
_EVERY_SECONDS = 1.0
_PHASES = {
    "reading": ("Reading the log", 0.0, 0.4),
    "replaying": ("Replaying the runs", 0.4, 0.5),
    "checking": ("Checking the rules", 0.5, 0.95),
    "judging": ("Judging the findings", 0.95, 1.0),
}
"""Each phase in words, and the part of the bar that it fills."""


def follow(audit_id: str) -> None:
    """Show to this visitor what becomes of an audit."""
    st.session_state[_MINE] = [audit_id, *st.session_state.get(_MINE, [])][:_MOST]


def draw() -> None:
    """Draw it; while something is under way, it is drawn again every second."""
    busy = bool(imports.under_way(service.current().library.state))
    if busy:
        st.fragment(_under_way, run_every=_EVERY_SECONDS)()
    for audit_id in st.session_state.get(_MINE, []):
        entry = service.current().library.entry(audit_id)
        if entry is not None and entry.state in ("done", "failed", "cancelled"):
            with st.container(border=True):
                data_result.outcome(entry)


def bar(entry: Entry) -> tuple[float, str]:
    """How much of the bar of an audit is filled, and what it is doing."""
    if entry.state != "running":
        return 0.0, "Waiting for its turn" if entry.state == "queued" else "Receiving the upload"
    if entry.phase is None:
        return 0.0, "Starting"
    words, first, last = _PHASES[entry.phase]
    return first + (last - first) * (entry.progress or 0.0), words


def _under_way() -> None:
    entries = imports.under_way(service.current().library.state)
    ids = [entry.audit_id for entry in entries]
    if st.session_state.setdefault("data.seen", ids) != ids:
        st.session_state["data.seen"] = ids
        st.rerun()
    for entry in entries[:_MOST]:
        with st.container(border=True), st.container(horizontal=True, vertical_alignment="center"):
            filled, words = bar(entry)
            st.text(entry.name, width="stretch")
            st.progress(filled, text=words)
            if visitor().may(Role.TRIAGER) and st.button("Cancel", key=f"data.cancel.{entry.audit_id}"):
                service.current().worker.cancel(entry.audit_id, visitor().name)
                st.rerun()
    if len(entries) > _MOST:
        st.caption(f"{many(len(entries) - _MOST, 'audit')} more wait behind them.")

"""The page Run: one run, its verdicts, and everything that the audit knows of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import duckdb
import streamlit as st

from .. import here, service
from ..parts import address
from ..parts.empty import nothing_to_show
from ..parts.links import page_link
from ..parts.words import escaped, many, short
from ..queries import run as queries
from . import run_entities, run_events, run_findings, run_states, run_timeline

_Color = Literal["red", "orange", "green", "violet", "gray"]
_Tab = Callable[[duckdb.DuckDBPyConnection, str, dict[str, Any]], None]
_TABS: dict[str, _Tab] = {
    "Timeline": run_timeline.tab,
    "Events": run_events.tab,
    "Entities": run_entities.tab,
    "States": run_states.tab,
    "Findings": run_findings.tab,
}
_VERDICTS: dict[str, tuple[str, _Color, str]] = {
    "corrupt": ("corrupt", "red", ":material/error:"),
    "cannot_tell": ("cannot tell", "violet", ":material/help:"),
    "suspect": ("suspect", "orange", ":material/warning:"),
    "sound": ("sound", "green", ":material/check_circle:"),
}
_SEVERITIES: dict[str, tuple[_Color, str]] = {
    "error": ("red", ":material/error:"),
    "warning": ("orange", ":material/warning:"),
    "info": ("gray", ":material/info:"),
}


def page() -> None:
    """Draw it."""
    entry = here.chosen()
    run_id = st.query_params.get("run")
    if entry is None:
        st.subheader("Run")
        nothing_to_show()
        return
    with service.current().library.reading(entry.audit_id) as con:
        run = queries.about(con, run_id) if run_id else None
        if run is None:
            st.subheader("Run")
            st.info("This audit has no such run." if run_id else "The address names no run.")
            page_link("All runs of this audit", "runs", entry.audit_id, icon=":material/list:")
            return
        _header(con, run)
        _tabs(con, entry.audit_id, run)


def _header(con: duckdb.DuckDBPyConnection, run: dict[str, Any]) -> None:
    workflow = run["workflow"] or ""
    st.subheader(escaped(short(workflow) or "A run of an unknown workflow"))
    if short(workflow) != workflow:
        st.caption(escaped(workflow))
    st.code(run["run_id"], language=None, wrap_lines=True)
    with st.container(horizontal=True):
        word, color, icon = _VERDICTS[run["log_verdict"]]
        st.badge(f"log: {word}", color=color, icon=icon)
        st.badge(f"runtime: {escaped(run['runtime_verdict'])}", color="gray", icon=":material/memory:")
        st.badge(f"status: {escaped(run['status'] or 'unknown')}", color="blue")
        st.badge(many(run["events"], "event"), color="gray")
        numbers = queries.severities(con, run["run_id"])
        for severity, (color, icon) in _SEVERITIES.items():
            if number := numbers.get(severity):
                words = f"{number:,} info" if severity == "info" else many(number, severity)
                st.badge(words, color=color, icon=icon)
    st.text(_reason(run))


def _reason(run: dict[str, Any]) -> str:
    """Why the verdict is what it is, and what could not be checked."""
    told = [f"Why: {run['reason']}."]
    if run["gap"]:
        told.append(f"Its history is incomplete: {run['gap']}.")
    if run["unordered"]:
        told.append("The order of its events is unknown.")
    if "fences" not in run["capabilities"]:
        told.append("Fences are not recorded, so whether a write was made from a stale snapshot was not checked.")
    return " ".join(told)


def _tabs(con: duckdb.DuckDBPyConnection, audit_id: str, run: dict[str, Any]) -> None:
    """Only the open tab is computed."""
    slugs = {name.lower(): name for name in _TABS}
    slug = address.one_of("tab", list(slugs), "timeline")
    st.session_state["run-tab"] = slugs[slug or "timeline"]
    tabs = st.tabs(list(_TABS), key="run-tab", on_change=_remember_tab)
    for tab, draw in zip(tabs, _TABS.values(), strict=True):
        if tab.open:
            with tab:
                draw(con, audit_id, run)


def _remember_tab() -> None:
    address.say(tab=st.session_state["run-tab"].lower())

"""Imports: every audit of the folder; open, rename, download or delete it."""

from __future__ import annotations

import shlex
from functools import partial
from typing import Any

import streamlit as st

from auditor import FORMATS, Audit, render

from .. import service
from ..library import ENDED, Entry
from ..parts import address
from ..parts.words import many, moment
from ..queries import imports
from ..settings import Role
from ..who import visitor
from . import data_export, data_result

SHOWN = "view"
"""The query parameter that names the import whose details are shown."""

_PICKED = "data.delete"
_MOST_UPLOADS = 1000
_SIZES = ((1024**3, "GB"), (1024**2, "MB"), (1024, "kB"))


def draw() -> None:
    """Draw it."""
    here = service.current()
    total = imports.count(here.library.state)
    if not total:
        st.info("There is no import yet. Choose Upload above.")
        return
    shown = st.container()
    limit = here.settings.limits.page_rows
    pages = -(-total // limit)
    number = address.page_of(pages)
    address.paging(pages)
    entries = imports.entries(here.library.state, limit, (number - 1) * limit)
    with shown:
        _table(entries, number)
    if visitor().may(Role.ADMIN) and st.button("Delete several…", icon=":material/delete_sweep:"):
        _delete_several(entries)
    entry = here.library.entry(st.query_params.get(SHOWN, ""))
    if entry is None:
        st.caption("Select a row by its box to see what was read, to rename, download or delete it.")
    else:
        _details(entry)


def _table(entries: list[Entry], number: int) -> None:
    asked = st.query_params.get(SHOWN)
    rows = [at for at, entry in enumerate(entries) if entry.audit_id == asked]
    event = st.dataframe(
        [_row(entry) for entry in entries],
        hide_index=True,
        key=f"data.imports.{number}",
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": rows}},
        column_config={
            "made": st.column_config.DatetimeColumn("When (UTC)", format="YYYY-MM-DD HH:mm"),
            "name": st.column_config.TextColumn("Name", width="medium"),
            "by": "By",
            "state": "State",
            "verdict": "Verdict",
            "runs": st.column_config.NumberColumn("Runs", format="localized"),
            "events": st.column_config.NumberColumn("Events", format="localized"),
            "findings": st.column_config.NumberColumn("Findings", format="localized"),
            "size": "Size",
        },
        alt="Every import, the newest first",
    )
    picked = event.get("selection", {}).get("rows", [])
    if picked and picked[0] < len(entries):
        st.query_params[SHOWN] = entries[picked[0]].audit_id
    elif asked in {entry.audit_id for entry in entries}:
        del st.query_params[SHOWN]


def _row(entry: Entry) -> dict[str, Any]:
    counts = entry.summary["counts"] if entry.summary else {}
    return {
        "name": entry.name,
        "made": data_result.moment_of(entry.created_at),
        "by": entry.created_by,
        "state": entry.state,
        "verdict": entry.summary["verdict"].replace("_", " ") if entry.summary else "",
        "runs": counts.get("runs"),
        "events": counts.get("events"),
        "findings": sum(counts["findings"].values()) if counts else None,
        "size": size(entry.audit_bytes) if entry.audit_bytes is not None else "",
    }


def _details(entry: Entry) -> None:
    with st.container(border=True):
        if entry.state in ENDED:
            data_result.outcome(entry)
        else:
            st.text(entry.name)
            st.info("It is not audited yet; its progress stands under Upload.")
        made = f"an audit file of {moment(entry.made_at)}, here since " if entry.is_imported else ""
        payloads = "kept" if entry.keep_payloads else "dropped"
        st.caption(f"{made}{moment(entry.created_at)}; payloads are {payloads}")
        _uploads(entry)
        _actions(entry)


def _uploads(entry: Entry) -> None:
    files = imports.uploads(service.current().library.state, entry.audit_id, _MOST_UPLOADS)
    if files:
        number = many(len(files), "file") if len(files) < _MOST_UPLOADS else f"the first {_MOST_UPLOADS:,} files"
        with st.expander(f"Uploaded: {number}; {size(entry.uploaded_bytes)} in all"):
            st.dataframe(
                files,
                hide_index=True,
                column_config={
                    "name": st.column_config.TextColumn("File", width="medium"),
                    "bytes": st.column_config.NumberColumn("Bytes", format="localized"),
                    "sha256": "SHA-256",
                },
                alt="The uploaded files",
            )


def _actions(entry: Entry) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if entry.is_done:
            _downloads(entry)
        if visitor().may(Role.TRIAGER):
            _rename(entry)
        if visitor().may(Role.ADMIN) and st.button("Delete…", icon=":material/delete:"):
            _delete_one(entry)


def _downloads(entry: Entry) -> None:
    with st.popover("Download", icon=":material/download:"):
        name = st.selectbox("Report", FORMATS, key="data.report.format")
        st.download_button(
            "Download the report",
            partial(report, entry, name),
            f"{entry.audit_id}.{name}",
            on_click="ignore",
            width="stretch",
        )
        limits = service.current().settings.limits
        if entry.keep_payloads and not visitor().may(Role.TRIAGER):
            st.caption("The audit file holds payloads: it needs the role triager.")
        elif (entry.audit_bytes or 0) <= limits.page_upload:
            st.download_button(
                "Download the audit file",
                partial(_file, entry, visitor().name),
                f"{entry.audit_id}.duckdb",
                on_click="ignore",
                width="stretch",
            )
        else:
            st.caption("The audit file is large; fetch it from the API:")
            url = f"{data_export.address()}/api/v1/audits/{entry.audit_id}/file"
            st.code(f"curl -o audit.duckdb {shlex.quote(url)}", language="bash", wrap_lines=True)


def report(entry: Entry, name: str) -> str:
    """The report of a finished audit in this format. Any thread may ask for it."""
    # One of its own: a connection is for one thread, and reports are asked for at the same time.
    with Audit.open(service.current().library.file(entry.audit_id)) as own:
        return render(own, name)


def _file(entry: Entry, who: str) -> bytes:
    library = service.current().library
    if entry.keep_payloads:
        with library.state.change() as con:
            library.state.note(con, who, "download", entry.audit_id, payloads=True)
    return library.file(entry.audit_id).read_bytes()


def _rename(entry: Entry) -> None:
    with st.popover("Rename", icon=":material/edit:"):
        name = st.text_input("New name", entry.name, max_chars=120, key=f"data.rename.{entry.audit_id}")
        if st.button("Rename it", disabled=not name.strip()):
            service.current().library.rename(entry.audit_id, name, visitor().name)
            st.rerun()


@st.dialog("Delete this import?")
def _delete_one(entry: Entry) -> None:
    st.text(entry.name)
    st.markdown("Its audit is removed and cannot be brought back. What was decided about findings stays.")
    if st.button("Delete it", icon=":material/delete:", on_click=_delete, args=[[entry.audit_id]]):
        st.rerun()


@st.dialog("Delete several imports")
def _delete_several(entries: list[Entry]) -> None:
    names = {
        # Streamlit tells options apart by their words: the end of the id makes them differ.
        entry.audit_id: f"{entry.name} · {moment(entry.created_at)} · {entry.audit_id[-4:]}"
        for entry in entries
    }
    st.multiselect("Imports", list(names), format_func=names.__getitem__, key=_PICKED)
    st.markdown("Their audits are removed and cannot be brought back. What was decided about findings stays.")
    if st.button("Delete them", icon=":material/delete:", on_click=_delete_picked):
        st.rerun()


def _delete_picked() -> None:
    _delete(st.session_state[_PICKED])


def _delete(audit_ids: list[str]) -> None:
    # Asked again: a dialog outlives the page that opened it.
    if visitor().may(Role.ADMIN):
        for audit_id in audit_ids:
            service.current().worker.delete(audit_id, visitor().name)


def size(number: int) -> str:
    """Bytes, as people say them."""
    for unit, name in _SIZES:
        if number >= unit:
            return f"{number / unit:,.1f} {name}"
    return f"{number} B"

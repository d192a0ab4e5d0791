"""Upload: files or a folder become an audit."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from auditor.resources import sample_logs

from .. import lifecycle, service, uploads
from ..api.inbox import MOST_FILES
from ..library import NoRoom
from ..parts.words import many
from ..settings import MIB, Role
from ..who import visitor
from . import data_export, data_progress

_TURN = "data.turn"
"""Which uploader is shown: after each upload a new one, which is empty."""

_SAID = "data.said"
"""What went wrong with the last upload."""

_NOT_KEPT = "The server could not keep the upload. Its disk may be full."


def draw() -> None:
    """Draw it."""
    if all(entry.state in ("failed", "cancelled") for entry in service.current().library.entries()):
        _welcome()
    data_progress.draw()
    if visitor().may(Role.TRIAGER):
        _form()
    else:
        st.info("You may read audits. Whoever uploads logs needs the role triager.")
    data_export.draw()


def submit(name: str, files: Iterable[tuple[str, BinaryIO]], *, keep_payloads: bool = False) -> str | None:
    """Begin an audit of these files. Returns why that is not possible, in words; None if it is."""
    here = service.current()
    if lifecycle.waiting(here.library) >= here.settings.limits.waiting:
        return f"{many(here.settings.limits.waiting, 'audit')} wait already. Try again when some are done."
    try:
        audit_id = here.library.begin(name, visitor().name, keep_payloads=keep_payloads)
    except NoRoom as error:
        return str(error)
    except (OSError, sqlite3.Error):
        return _NOT_KEPT
    try:
        uploads.receive(here.library, audit_id, files)
        here.worker.submit(audit_id)
    except (OSError, sqlite3.Error):
        with contextlib.suppress(sqlite3.Error):  # then the worker forgets it later
            here.library.abandon(audit_id)
        return _NOT_KEPT
    data_progress.follow(audit_id)
    return None


def _welcome() -> None:
    st.markdown("**No log is audited yet.** Upload one below, and every other page shows what is wrong in it.")
    samples = sample_logs()
    if (
        samples is not None
        and visitor().may(Role.TRIAGER)
        and st.button("Load the sample logs", icon=":material/science:")
    ):
        _load(samples)


def _load(samples: Path) -> None:
    files = sorted(path for path in samples.rglob("*") if path.is_file())
    names = [path.relative_to(samples.parent).as_posix() for path in files]
    # One by one: each is closed before the next one is opened.
    _submitted(submit("sample logs", ((name, path.open("rb")) for name, path in zip(names, files, strict=True))))


def _form() -> None:
    limit = service.current().settings.limits.page_upload
    if problem := st.session_state.pop(_SAID, None):
        st.error(problem)
    turn = st.session_state.setdefault(_TURN, 0)
    mode = st.segmented_control(
        "What to upload",
        ["files", "folder"],
        format_func={"files": "Files", "folder": "A folder"}.__getitem__,
        default="files",
        required=True,
        on_change=_forget,
    )
    chosen = st.file_uploader(
        "Event logs",
        accept_multiple_files=True if mode == "files" else "directory",
        key=f"data.files.{mode}.{turn}",
        max_upload_size=limit // MIB,
        help="A folder may be one of the SDK's local world: `.workflow-data`, with `events/` in it.",
    )
    st.caption(
        f"At most {limit // MIB} MB in all. NDJSON, JSON, CSV, Parquet, SQLite, alone or as .gz, .zst, .bz2, .xz,"
        " .zip, .tar.*; told by content, not by name. Several files become one audit."
    )
    name = st.text_input(
        "Name of the audit",
        key=f"data.name.{turn}",
        max_chars=120,
        placeholder="By default that of the file or folder",
        help="Audits of the same name are compared with each other.",
    )
    keep = st.checkbox(
        "Keep payloads",
        key=f"data.keep.{turn}",
        help="Inputs and outputs of steps are dropped while a log is read; their size and digest stay.",
    )
    if keep:
        st.warning("Payloads may hold secrets and personal data. They stay in the audit until it is deleted.")
    lost = service.current().lost.of(_session())
    if lost:
        why = "; ".join(f"{reason} ({number:,})" for reason, number in lost.items())
        st.error(
            f"{many(lost.total(), 'file')} did not arrive. {why}. An audit of the others would judge a log that"
            " nobody wrote. Start over, or send an archive of them."
        )
        st.button("Start over", icon=":material/restart_alt:", on_click=_start_over)
    if st.button("Audit", disabled=not chosen or bool(lost), icon=":material/fact_check:") and chosen and not lost:
        if len(chosen) > MOST_FILES:
            problem = f"An upload may have {MOST_FILES:,} files. Send an archive of them instead."
        elif sum(file.size for file in chosen) > limit:
            problem = f"Together these files are larger than {limit // MIB} MB. See below how to send larger logs."
        else:
            files = [(file.name, file) for file in chosen]
            problem = submit(name.strip() or _name_of(files[0][0], len(files)), files, keep_payloads=keep)
        _submitted(problem)


def _session() -> str:
    context = get_script_run_ctx()
    return context.session_id if context is not None else ""


def _forget() -> None:
    # Streamlit keeps the bytes of every upload until the visitor leaves, also when its uploader is long gone.
    if (context := get_script_run_ctx()) is not None:
        context.uploaded_file_mgr.remove_session_files(context.session_id)
        service.current().lost.forget(context.session_id)


def _start_over() -> None:
    _forget()
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1


def _submitted(problem: str | None) -> None:
    _start_over()
    if problem is not None:
        st.session_state[_SAID] = problem
    st.rerun()


def _name_of(first: str, files: int) -> str:
    """What an audit is called by default: its folder, its file, or its first file and how many more."""
    top, slash, _ = first.partition("/")
    if slash or files == 1:
        return top
    return f"{top} and {files - 1} more"

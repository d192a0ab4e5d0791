"""What became of one import: its verdict or problem, and what was read of each file."""

from __future__ import annotations

import datetime as dt
from typing import Any

import streamlit as st

from auditor import ExitCode, Verdict

from .. import service
from ..library import Entry
from ..parts.downloads import csv_of, take_away
from ..parts.links import page_link
from ..parts.words import many
from ..queries import imports

_VERDICTS = {
    "corrupt": ("red", ":material/error:"),
    "cannot_tell": ("gray", ":material/help:"),
    "suspect": ("orange", ":material/warning:"),
    "sound": ("green", ":material/check_circle:"),
}
_MOST_EXPORTS = 1000


def outcome(entry: Entry) -> None:
    """The whole of it."""
    st.text(entry.name)
    if entry.state == "failed":
        st.error("It could not be audited.")
        st.text(entry.problem or "")
    elif entry.state == "cancelled":
        st.info("It was cancelled; its upload is removed.")
    elif entry.summary is not None:
        verdict = entry.summary["verdict"]
        color, icon = _VERDICTS[verdict]
        if verdict == Verdict.SOUND and entry.summary["exit_code"] == ExitCode.CANNOT_TELL:
            # Every run that was read is sound, and something was not read.
            color, icon = _VERDICTS[Verdict.CANNOT_TELL]
        counts = entry.summary["counts"]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(verdict.replace("_", " "), color=color, icon=icon)  # type: ignore[arg-type]
            st.text(
                f"{many(counts['runs'], 'run')}, {many(counts['events'], 'event')},"
                f" {many(sum(counts['findings'].values()), 'finding')}"
                f"{', ' + many(counts['rejects'], 'rejected row') if counts['rejects'] else ''}"
            )
            page_link("Open the overview", "overview", entry.audit_id, icon=":material/arrow_forward:")
        details(entry)


def details(entry: Entry) -> None:
    """What was read of each file, what each export records, and what was rejected."""
    limit = service.current().settings.limits.page_rows
    with service.current().library.reading(entry.audit_id) as con:
        read = imports.inputs(con, limit)
        exports = imports.exports(con, _MOST_EXPORTS)
        inputs_in_all, exports_in_all = imports.counts(con)
        capabilities = imports.capabilities(con)
        rejects = imports.count_rejects(con)
    _inputs(read)
    _cut(len(read), inputs_in_all, "input")
    if rejects:
        with st.expander(f"Rejected: {many(rejects, 'row')}"):
            _rejects(entry, rejects)
    with st.expander("What these logs can show"):
        _exports(exports)
        _cut(len(exports), exports_in_all, "log")
        _capabilities(capabilities)


def _inputs(read: list[dict[str, Any]]) -> None:
    st.dataframe(
        [{**row, "format": row["format"] or "", "problem": row["problem"] or ""} for row in read],
        hide_index=True,
        column_config={
            "path": "File or folder",
            "format": "Format",
            "events": st.column_config.NumberColumn("Events", format="localized"),
            "entities": st.column_config.NumberColumn("Entities", format="localized"),
            "refusals": st.column_config.NumberColumn("Refused writes", format="localized"),
            "rejects": st.column_config.NumberColumn("Rejected", format="localized"),
            "merged": st.column_config.NumberColumn("Merged", help="Rows equal to one read already"),
            "skipped": st.column_config.NumberColumn("Skipped", help="Files left aside: streams, locks, no logs"),
            "problem": st.column_config.TextColumn("Problem", width="large"),
        },
        column_order=_used(
            read, "path", "format", "problem", "events", "entities", "rejects", "refusals", "merged", "skipped"
        ),
        alt="What was read of each file",
    )


def _cut(shown: int, number: int, noun: str) -> None:
    if shown < number:
        st.caption(f"The first {shown:,} of {many(number, noun)}, those with a problem before the others.")


def _exports(exports: list[dict[str, Any]]) -> None:
    st.dataframe(
        [{**row, "name": row["name"] or row["path"], "cut": row["cut"] or ""} for row in exports],
        hide_index=True,
        column_config={
            "name": st.column_config.TextColumn("Log", width="medium"),
            "format": "Format",
            "records": st.column_config.ListColumn("Records", width="large"),
            "files": st.column_config.NumberColumn("Files", format="localized"),
            "cut": st.column_config.TextColumn("May be cut off", help="Why a part may be missing", width="medium"),
            "rejects": st.column_config.NumberColumn("Rejected", format="localized"),
            "encrypted": st.column_config.NumberColumn("Encrypted", help="Events whose payload is encrypted"),
            "expired": st.column_config.NumberColumn("Expired", help="Runs whose payloads are deleted"),
        },
        column_order=_used(
            exports, "name", "format", "records", "cut", "files", "rejects", "encrypted", "expired"
        ),
        alt="What each log records",
    )


def _capabilities(capabilities: list[dict[str, Any]]) -> None:
    lacking = [row for row in capabilities if row["runs"] < row["all_runs"]]
    st.caption("Rules that need more than a log records are not evaluated on its runs. How many runs have what:")
    st.dataframe(
        [
            {"name": row["name"].replace("_", " "), "runs": f"{row['runs']:,} of {row['all_runs']:,}"}
            for row in capabilities
        ],
        hide_index=True,
        width="content",
        column_config={"name": "Capability", "runs": "Runs"},
        alt=f"Capabilities; {len(lacking)} are missing in some run",
    )


def _rejects(entry: Entry, total: int) -> None:
    library, limits = service.current().library, service.current().settings.limits
    shown = st.container()
    pages = -(-total // limits.page_rows)
    number = st.pagination(pages, key=f"data.rejects.{entry.audit_id}") if pages > 1 else 1
    with library.reading(entry.audit_id) as con:
        rows = imports.rejects(con, limits.page_rows, (number - 1) * limits.page_rows)
    shown.dataframe(
        rows,
        hide_index=True,
        column_order=("file", "line", "reason"),
        column_config={
            "file": "File",
            "line": "Line",
            "reason": st.column_config.TextColumn("Reason", width="large"),
        },
        alt="The rows that could not be read",
    )

    def as_csv() -> bytes:
        with library.reading(entry.audit_id) as con:
            every = imports.rejects(con, limits.query_rows, 0)
        columns = ("path", "file", "line", "reason")
        return csv_of(columns, [[row[name] for name in columns] for row in every])

    st.download_button(
        take_away(total, limits.query_rows),
        as_csv,
        "rejects.csv",
        "text/csv",
        on_click="ignore",
        key=f"data.rejects.csv.{entry.audit_id}",
        icon=":material/download:",
    )


def _used(rows: list[dict[str, Any]], *columns: str) -> list[str]:
    """The first two columns, and those of the others that say something."""
    return [name for at, name in enumerate(columns) if at < 2 or any(row[name] for row in rows)]


def moment_of(ms: int) -> dt.datetime:
    """A time for a table, UTC."""
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).replace(tzinfo=None)

"""The page Query: read-only SQL over the audit, in the sandbox."""

from __future__ import annotations

import io
import json

import pyarrow.parquet as pq
import streamlit as st

from auditor import QueryFailed, Rows, UsageError, query

from .. import here, service
from ..asking import turn
from ..library import Entry
from ..parts.downloads import csv_of
from ..parts.empty import nothing_to_show
from ..parts.words import many
from ..queries.answers import for_csv, for_json, for_page
from ..queries.schema import EXAMPLES, tables
from ..settings import Role
from ..who import visitor

_SQL = "sql"
_TEXT = "query_text"
_EXAMPLE = "query_example"
_ANSWER = "query_answer"
_LONGEST_LINK = 4_000
_NARROWEST = 240
_PARQUET = "application/vnd.apache.parquet"


def page() -> None:
    """Draw it."""
    st.subheader("Query")
    entry = here.chosen()
    if entry is None:
        nothing_to_show()
        return
    if entry.keep_payloads and not visitor().may(Role.TRIAGER):
        st.info("This audit keeps payloads, so only triagers may ask it with SQL.")
        return
    halves = st.grid(3, min_column_width=_NARROWEST, gap="medium")
    with halves.cell(column_span=2):
        _ask(entry)
    with halves.cell():
        _show_schema(entry)
    if (answer := st.session_state.get(_ANSWER)) is not None and answer[0] == entry.audit_id:
        _show_answer(answer[1])


def _ask(entry: Entry) -> None:
    if _TEXT not in st.session_state:
        st.session_state[_TEXT] = st.query_params.get(_SQL) or next(iter(EXAMPLES.values()))
    st.selectbox(
        "Start from an example",
        list(EXAMPLES),
        index=None,
        key=_EXAMPLE,
        placeholder="Choose one; it replaces the text",
        on_change=_take_example,
    )
    with st.form("query", border=False):
        # A link may come from anybody: what it asks is shown, and runs when whoever followed it says so.
        sql = st.text_area(
            "One SELECT", key=_TEXT, height=260, help="It cannot change the audit, nor reach out of it."
        )
        pressed = st.form_submit_button("Run", icon=":material/play_arrow:")
    limits = service.current().settings.limits
    st.caption(f"At most {limits.query_seconds:g} s and {limits.query_rows:,} rows. Nothing is changed by it.")
    if pressed:
        _run(entry, sql)


def _take_example() -> None:
    if (name := st.session_state[_EXAMPLE]) is not None:
        st.session_state[_TEXT] = EXAMPLES[name]


def _run(entry: Entry, sql: str) -> None:
    current = service.current()
    limits = current.settings.limits
    if len(sql) <= _LONGEST_LINK:
        st.query_params[_SQL] = sql
    if entry.keep_payloads:
        with current.library.state.change() as con:
            current.library.state.note(con, visitor().name, "query", entry.audit_id, sql=sql)
    try:
        with st.spinner("Asking the audit", show_time=True), turn(limits.query_seconds):
            answer: Rows | str = query(
                current.library.file(entry.audit_id), sql, seconds=limits.query_seconds, most=limits.query_rows
            )
    except (QueryFailed, UsageError) as error:
        answer = str(error)
    st.session_state[_ANSWER] = (entry.audit_id, answer)


def _show_answer(answer: Rows | str) -> None:
    if isinstance(answer, str):
        st.error("It was not answered:")
        st.code(answer, language=None, wrap_lines=True)
        return
    more = f"The first {many(answer.table.num_rows, 'row')}; there are more" if answer.more else None
    st.text(f"{more or many(answer.table.num_rows, 'row')}, in {answer.seconds:.1f} s.")
    st.dataframe(for_page(answer.table), width="stretch", hide_index=True, alt="The rows that the query gives")
    with st.container(horizontal=True):
        st.download_button("CSV", lambda: _csv(answer), "query.csv", "text/csv", on_click="ignore")
        st.download_button(
            "Parquet",
            lambda: _parquet(answer),
            "query.parquet",
            "application/vnd.apache.parquet",
            on_click="ignore",
        )
        st.download_button("JSON", lambda: _json(answer), "query.json", "application/json", on_click="ignore")


def _csv(rows: Rows) -> bytes:
    return csv_of(rows.table.column_names, for_csv(rows.table))


def _parquet(rows: Rows) -> bytes:
    out = io.BytesIO()
    pq.write_table(rows.table, out)
    return out.getvalue()


def _json(rows: Rows) -> bytes:
    return json.dumps(for_json(rows.table), ensure_ascii=False, allow_nan=False, indent=1).encode()


def _show_schema(entry: Entry) -> None:
    with service.current().library.reading(entry.audit_id) as con:
        found = tables(con)
    st.text("Tables")
    with st.container(height=400):
        for table, columns in found.items():
            with st.expander(table):
                width = max(len(name) for name, _ in columns)
                listed = "\n".join(f"{name:<{width}} {type_.lower()}" for name, type_ in columns)
                st.code(listed, language=None, wrap_lines=True)

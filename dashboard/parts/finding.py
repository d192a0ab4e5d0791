"""One finding in full: what it says, what proves it, where it comes from, and what to do with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urljoin

import duckdb
import streamlit as st

from .. import here, service
from ..library import Entry
from ..queries import finding as queries
from ..triage import MEANING, Pattern, Standing
from .address import say
from .deciding import decide_about
from .explanation import explain
from .focus import focus
from .links import page_link
from .sharing import as_markdown, commands, place_in_file
from .words import escaped, many, moment

COLOURS = {"error": "red", "warning": "orange", "info": "blue"}
"""Of severities, which are always said in words, too."""
_SURENESS = {
    "proof": "the log alone proves it",
    "strong": "a heuristic that was measured",
    "suspect": "worth a look",
}
_IMPLIED = 20


def detail(
    con: duckdb.DuckDBPyConnection, entry: Entry, finding: dict[str, Any], standing: str, about: Pattern
) -> None:
    """Draw a finding and what is decided about its pattern, `about`."""
    witnesses = queries.witnesses(con, finding["finding_no"])
    near = queries.neighbours(con, finding["pattern"], finding["finding_no"])
    _turning(near)
    _head(finding, standing)
    focus(con, entry.audit_id, finding)
    if finding["run_id"] is not None:
        page_link(
            "Open in the timeline of the run",
            "run",
            entry.audit_id,
            icon=":material/timeline:",
            run=finding["run_id"],
            finding=finding["instance"],
        )
    _proof(finding, witnesses)
    _cause(con, finding)
    _consequences(con, finding)
    st.markdown("**Decision**", help="It holds for all findings of this pattern, also in later audits.")
    decide_about([about], entry.audit_id)
    _occurrences(con, finding, near)
    _explanation(finding)
    _sharing(con, entry, finding, witnesses)


def _head(finding: dict[str, Any], standing: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.badge(finding["severity"], color=COLOURS[finding["severity"]])  # type: ignore[arg-type]
        st.badge(standing, color="gray", help=f"{MEANING[Standing(standing)]}.")
        st.badge(finding["confidence"], color="gray", help=f"{_SURENESS[finding['confidence']]}.")
        st.badge(f"about the {finding['about']}", color="gray")
    if finding["origin"] is None:
        st.markdown(f"**{escaped(finding['title'])}**")
    else:
        st.text(finding["title"])
    st.text(finding["because"])
    facts = [("rule", finding["rule"]), ("workflow", finding["workflow"]), ("run", finding["run_id"])]
    st.text("\n".join(f"{name}: {value}" for name, value in facts if value))
    if finding["suppressed_because"]:
        st.text(f"suppressed by the configuration: {finding['suppressed_because']}")


def _proof(finding: dict[str, Any], witnesses: list[dict[str, Any]]) -> None:
    st.markdown("**Proof**")
    if not witnesses:
        st.caption("The witnesses of this finding were not kept: its rule found too many. Another one shows them.")
        return
    rows = [
        {
            "role": row["role"],
            "#": row["position"],
            "event": row["event_type"] or row["record"],
            "entity": row["entity"],
            "fence": " ".join(part for part in (row["fence_kind"], row["fence_value"]) if part),
            "where": place_in_file(row),
            "time (UTC)": row["created_at"],
            "step": row["step_name"],
            "event id": row["event_id"],
            "correlation id": row["correlation_id"],
            "site": row["site"],
            "writer": row["writer_id"],
            "run": row["run_id"],
        }
        for row in witnesses
    ]
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        placeholder="",
        column_config={
            "role": st.column_config.TextColumn(width=150),
            "#": st.column_config.NumberColumn(width=40, help="Position in the log of its run"),
            "event": st.column_config.TextColumn(width=120),
            "entity": st.column_config.TextColumn(width=70),
            "fence": st.column_config.TextColumn(width=90, help="The condition that the write carried"),
            "where": st.column_config.TextColumn(width=170, help="File and line"),
        },
        alt=f"The {many(len(witnesses), 'record')} that prove it",
        key=f"proof.{finding['finding_no']}",
    )


def _cause(con: duckdb.DuckDBPyConnection, finding: dict[str, Any]) -> None:
    if finding["root"]:
        st.button(
            "It is a consequence: show what it follows from",
            icon=":material/subdirectory_arrow_left:",
            on_click=partial(say, finding=finding["root"], pattern=None),
        )
    cause = queries.cause(con, finding["cause_no"])
    if cause is None:
        return
    st.markdown("**Cause**", help="The bug that this finding, and others with it, come from.")
    st.text(cause["diagnosis"])
    said = f"{many(cause['findings'], 'finding')} in {cause['runs']:,} of {many(cause['all_runs'], 'run')}"
    if cause["first_at"] is not None:
        said += f", {cause['first_at']} to {cause['last_at']} UTC"
    st.caption(said.replace(":", r"\:"))
    if cause["writers"]:
        st.text("writers: " + ", ".join(cause["writers"]))


def _consequences(con: duckdb.DuckDBPyConnection, finding: dict[str, Any]) -> None:
    implied = queries.consequences(con, finding["finding_no"], limit=_IMPLIED)
    if not implied:
        return
    st.markdown("**What it implies**", help="Findings that are its consequences; they do not count by themselves.")
    if (all_of_them := implied[0]["all"]) > len(implied):
        st.caption(f"The gravest {len(implied)} of {all_of_them:,}.")
    _list(
        f"implied.{finding['finding_no']}",
        [{"severity": row["severity"], "rule": row["rule"], "sentence": row["because"]} for row in implied],
        [row["instance"] for row in implied],
        "Consequences of this finding; selecting one opens it",
    )


def _turning(near: dict[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.button("Close", icon=":material/close:", on_click=partial(say, pattern=None, finding=None))
        for label, instance in (("Previous", near["before"]), ("Next", near["after"])):
            st.button(
                label,
                key=f"finding.{label}",
                disabled=instance is None,
                help="Of the findings of this pattern",
                on_click=partial(say, finding=instance, pattern=None),
            )
        st.caption(f"{near['nth']:,} of {near['total']:,}")


def _occurrences(con: duckdb.DuckDBPyConnection, finding: dict[str, Any], near: dict[str, Any]) -> None:
    if near["total"] == 1:
        return
    size = service.current().settings.limits.page_rows
    offset = (near["nth"] - 1) // size * size
    rows = queries.occurrences(con, finding["pattern"], limit=size, offset=offset)
    with st.expander(f"Findings of this pattern: {offset + 1:,} to {offset + len(rows):,} of {near['total']:,}"):
        _list(
            f"occurrences.{finding['pattern']}.{offset}",
            [
                {"run": row["run_id"] or "the log as a whole", "#": row["place"], "sentence": row["because"]}
                for row in rows
            ],
            [row["instance"] for row in rows],
            "Findings of this pattern; selecting one opens it",
            chosen=finding["instance"],
        )


def _list(key: str, rows: list[dict[str, Any]], instances: list[str], alt: str, chosen: str | None = None) -> None:
    """A table of findings; selecting a row opens that finding."""
    selected = [instances.index(chosen)] if chosen in instances else []
    st.session_state[key] = {"selection": {"rows": selected, "columns": [], "cells": []}}
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        placeholder="",
        key=key,
        on_select=_opens(key, instances),
        selection_mode="single-row",
        alt=alt,
    )


def _opens(key: str, instances: list[str]) -> Callable[[], None]:
    def selected() -> None:
        if rows := st.session_state[key]["selection"]["rows"]:
            say(finding=instances[rows[0]], pattern=None)

    return selected


def _explanation(finding: dict[str, Any]) -> None:
    with st.expander("Why is this a finding?"):
        explain(finding["document"], ours=finding["origin"] is None)


def _sharing(
    con: duckdb.DuckDBPyConnection, entry: Entry, finding: dict[str, Any], witnesses: list[dict[str, Any]]
) -> None:
    address = urljoin(st.context.url or "", here.link("findings", entry.audit_id, finding=finding["instance"]))
    # A finding of the log as a whole depends on all that was read.
    seen = [] if finding["run_id"] is None else sorted({row["input"] for row in witnesses})
    with st.expander("Take it elsewhere"):
        st.caption("Link to this finding")
        st.code(address, language=None, wrap_lines=True)
        st.caption("As a command, on the logs under the names that this audit has for them")
        st.code(commands(finding, seen or queries.inputs(con)), language="bash", wrap_lines=True)
        st.caption("As Markdown, for an issue")
        st.code(as_markdown(finding, witnesses, address), language=None, wrap_lines=True)
        st.caption(f"Audit of {moment(entry.made_at)}".replace(":", r"\:"))

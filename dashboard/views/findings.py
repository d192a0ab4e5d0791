"""The page Findings: what was found, one row a bug, and what was decided about it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import duckdb
import streamlit as st

from auditor import ExitCode, Severity, Verdict

from .. import here, service
from ..library import Entry
from ..parts import address
from ..parts.deciding import decide_about
from ..parts.downloads import csv_of, take_away
from ..parts.finding import detail
from ..parts.judging import judged
from ..parts.links import page_link
from ..parts.words import escaped, many, short
from ..queries import finding as one
from ..queries import findings as queries
from ..queries.findings import Asked, Judged
from ..queries.overview import facts
from ..triage import BASELINE_FILE, MEANING, STILL_OPEN, Pattern, Standing

_TABLE = "findings.table"
_SIDE_BY_SIDE = 330
"""Pixels that table and detail each need to stand beside each other; with less they stand below."""
_COLUMNS = ("severity", "rule", "state", "findings", "runs", "sentence", "workflows", "first seen", "last seen")
_WORKFLOWS = 1000
_SEVERITIES = [severity.value for severity in Severity]
_ANY = "any"
_STATES = [_ANY, *(state.value for state in Standing)]


def page() -> None:
    """Draw it."""
    st.subheader("Findings")
    entry = here.chosen()
    if entry is None:
        st.info("There is no finished audit yet. Upload logs, and their findings are shown here.")
        page_link("Upload logs", "data", icon=":material/upload:")
        return
    with service.current().library.reading(entry.audit_id) as con:
        known = judged(con, entry)
        asked = _filters(con)
        totals = queries.totals(con, known, asked)
        if not totals["all_findings"]:
            _nothing_found(con, entry)
            return
        chosen, finding = _chosen(con)
        if not chosen:
            _table(con, entry, known, asked, totals, chosen)
            return
        halves = st.grid(2, min_column_width=_SIDE_BY_SIDE, gap="medium")
        with halves.cell():
            _table(con, entry, known, asked, totals, chosen)
        with halves.cell(), st.container(border=True, key="finding-detail"):
            _beside(con, entry, known, chosen, finding)


def _filters(con: duckdb.DuckDBPyConnection) -> Asked:
    with st.grid(5, min_column_width=170, gap="small"):
        return Asked(
            severities=address.several("Severity", "severity", _SEVERITIES),
            states=_states(address.several("State", "state", _STATES, otherwise="Still open")),
            rules=address.several("Rule", "rule", queries.rules(con)),
            workflows=_workflows(con),
            text=address.text("Search", "q", "run id, workflow, words", address.first_page),
        )


def _workflows(con: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    names = queries.workflows(con, _WORKFLOWS)
    otherwise = "Any" if len(names) < _WORKFLOWS else f"Any; {_WORKFLOWS:,} are listed"
    return address.several("Workflow", "workflow", names, otherwise=otherwise)


def _states(picked: tuple[str, ...]) -> tuple[str, ...]:
    """What is still open unless something else is asked for."""
    if not picked:
        return tuple(state.value for state in STILL_OPEN)
    return () if _ANY in picked else picked


def _chosen(con: duckdb.DuckDBPyConnection) -> tuple[list[str], dict[str, Any] | None]:
    """The patterns that the address names, and the finding to show if it is one."""
    if instance := st.query_params.get("finding"):
        finding = one.by_instance(con, instance)
        if finding is None:
            st.warning("This audit has no such finding. It may be resolved, or the link is of another audit.")
            return [], None
        return [finding["pattern"]], finding
    wanted = list(dict.fromkeys(st.query_params.get_all("pattern")))
    if not wanted:
        return [], None
    found = [row["pattern"] for row in queries.decidable(con, wanted)]
    if len(found) < len(wanted):
        st.warning(
            "This audit has no finding of that pattern. It may be resolved, or the link is of another audit."
        )
    return found, one.example(con, found[0]) if len(found) == 1 else None


def _table(
    con: duckdb.DuckDBPyConnection,
    entry: Entry,
    known: Judged,
    asked: Asked,
    totals: dict[str, int],
    chosen: list[str],
) -> None:
    limits = service.current().settings.limits
    pages = max(1, math.ceil(totals["patterns"] / limits.page_rows))
    offset = (address.page_of(pages) - 1) * limits.page_rows
    found = queries.patterns(con, known, asked, limit=limits.page_rows, offset=offset)
    with st.container(horizontal=True, vertical_alignment="center"):
        shown = f"{totals['findings']:,} of {many(totals['all_findings'], 'finding')}"
        st.markdown(
            f"{shown}, {many(totals['patterns'], 'pattern')}",
            help="Findings of one pattern are alike: one bug in one workflow.\n\n"
            + "\n\n".join(f"**{state}**: {meaning}." for state, meaning in MEANING.items()),
        )
        many_at_once = st.toggle("Select several", value=len(chosen) > 1, key="findings.several")
    if not found:
        st.info("No finding is asked for by these filters.")
        _show_all(queries.by_standing(con, known))
        return
    patterns = [row["pattern"] for row in found]
    rows = [patterns.index(pattern) for pattern in chosen if pattern in patterns]
    st.session_state[_TABLE] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    st.dataframe(
        [_shown(row) for row in found],
        key=_TABLE,
        on_select=_selects(patterns),
        selection_mode="multi-row" if many_at_once else "single-row",
        hide_index=True,
        width="stretch",
        height=min(640, 37 + 33 * len(found)),
        placeholder="",
        column_order=_COLUMNS,
        column_config=_column_config(),
        alt="Findings by pattern, the gravest first; selecting a row opens it",
    )
    address.paging(pages)
    with st.container(horizontal=True):
        st.download_button(
            take_away(totals["patterns"], limits.query_rows),
            partial(_csv, entry, asked),
            "findings.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        if baseline := service.current().triage.baseline():
            st.download_button(
                "Download what is ignored",
                baseline,
                BASELINE_FILE,
                "application/jsonl",
                icon=":material/download:",
                on_click="ignore",
                help="A baseline: with `auditor check --baseline FILE` these findings are known and do not fail.",
            )


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "severity": [row["severity"]],
        "rule": row["rule"],
        "state": row["standing"],
        "findings": row["findings"],
        "runs": row["runs"],
        "sentence": row["because"],
        "workflows": ", ".join(map(short, row["workflows"])),
        "first seen": row["first_at"],
        "last seen": row["last_at"],
    }


def _column_config() -> dict[str, Any]:
    column = st.column_config
    dark = st.context.theme.type == "dark"
    colours = ["#8f2d37", "#7a4a12", "#2b4d86"] if dark else ["#c62f3b", "#b35900", "#1d5bd6"]
    return {
        "severity": column.MultiselectColumn(width=86, options=_SEVERITIES, color=colours),
        "rule": column.TextColumn(width=180),
        "state": column.TextColumn(width=84),
        "findings": column.NumberColumn(width=70, format="localized"),
        "runs": column.NumberColumn(width=56, format="localized"),
        "sentence": column.TextColumn(width="large", help="What one of the findings says"),
        "workflows": column.TextColumn(width="medium"),
        "first seen": column.TextColumn(width=170, help="Time of the first witness that was kept, UTC"),
        "last seen": column.TextColumn(width=170, help="Time of the last witness that was kept, UTC"),
    }


def _selects(patterns: list[str]) -> Callable[[], None]:
    def selected() -> None:
        rows = st.session_state[_TABLE]["selection"]["rows"]
        address.say(pattern=[patterns[row] for row in rows], finding=None)

    return selected


def _beside(
    con: duckdb.DuckDBPyConnection, entry: Entry, known: Judged, chosen: list[str], finding: dict[str, Any] | None
) -> None:
    about = [Pattern(**row) for row in queries.decidable(con, chosen)]
    if finding is not None:
        detail(con, entry, finding, queries.standing(con, known, finding["finding_no"]), about[0])
        return
    st.button("Close", icon=":material/close:", on_click=partial(address.say, pattern=None, finding=None))
    st.markdown(f"**{many(len(about), 'pattern')}**, {many(sum(one.findings for one in about), 'finding')}")
    st.dataframe(
        [{"rule": one.rule, "workflow": one.workflow, "findings": one.findings} for one in about],
        hide_index=True,
        width="stretch",
        placeholder="",
        alt="The patterns to decide about",
    )
    decide_about(about, entry.audit_id)


def _nothing_found(con: duckdb.DuckDBPyConnection, entry: Entry) -> None:
    looked, audit = queries.looked(con), facts(con)
    held = f"{many(looked['held'], 'rule')} looked at every run and held"
    if looked["held"] and audit["verdict"] == Verdict.SOUND and audit["exit_code"] == ExitCode.CLEAN:
        st.success(f"Nothing was found: {held}.")
    else:
        st.warning(
            "Nothing was found, which does not say that nothing is wrong: "
            f"{held}; {escaped(audit['exit_because'])}."
        )
    if looked["missed"]:
        st.info(
            f"{many(looked['missed'], 'rule')} could not look at every run."
            " What these logs do not record, nobody can check."
        )
        page_link("Which rules, and why", "rules", entry.audit_id, icon=":material/rule:")


def _show_all(standing: dict[str, int]) -> None:
    st.text(
        "This audit has " + ", ".join(f"{number:,} {state}" for state, number in sorted(standing.items())) + "."
    )
    everything = dict.fromkeys(("severity", "rule", "workflow", "q", address.PAGE))
    st.button("Show all", on_click=partial(address.say, state=_ANY, **everything))


def _csv(entry: Entry, asked: Asked) -> bytes:
    current = service.current()
    with current.library.reading(entry.audit_id) as con:
        found = queries.patterns(con, judged(con, entry), asked, limit=current.settings.limits.query_rows)
    rows = [{**_shown(row), "severity": row["severity"], "pattern": row["pattern"]} for row in found]
    columns = (*_COLUMNS, "pattern")
    return csv_of(columns, [[row[column] for column in columns] for row in rows])

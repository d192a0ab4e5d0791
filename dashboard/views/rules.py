"""The page Rules: what is looked for, what became of it in this audit, and rules of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from auditor import Outcome, Rule, RuleFileError, UsageError, rules

from .. import here, service
from ..custom_rules import CustomRules
from ..library import Entry
from ..parts import address
from ..parts.explanation import explain
from ..parts.links import page_link
from ..parts.words import many
from ..queries import rules as queries
from ..settings import Role
from ..who import visitor
from .rules_editor import editor

_TABLE = "rules.table"
_NOT_THERE = "not in this audit"
_ORDER = ("failed", "found", "not evaluated", "held", _NOT_THERE)
_WORKFLOWS = 50
_SIDE_BY_SIDE = 420
_TABS = {"catalogue": "Catalogue", "editor": "Your own rules"}


def page() -> None:
    """Draw it."""
    st.subheader("Rules")
    entry = here.chosen()
    current = service.current()
    custom = CustomRules(current.settings.folder / "rules", current.library.state)
    tab = address.segments("Show", "tab", list(_TABS), _TABS.__getitem__)
    if tab == "editor":
        if visitor().may(Role.ADMIN):
            editor(entry, custom)
        else:
            st.info("Only admins may write rules: a rule takes part in every later audit.")
        return
    _catalogue(entry, custom)


def _catalogue(entry: Entry | None, custom: CustomRules) -> None:
    try:
        known = custom.catalogue()
    except (RuleFileError, UsageError) as error:
        known = rules()
        st.warning("A rule of your own cannot be read, and no audit can be made until it is mended or deleted:")
        st.code(str(error), language=None, wrap_lines=True)
    became: dict[str, dict[str, Any]] = {}
    if entry is None:
        st.text("There is no audit yet. This is what one looks for.")
        page_link("Upload logs", "data", icon=":material/upload:")
    else:
        with service.current().library.reading(entry.audit_id) as con:
            became = queries.outcomes(con)
    shown = _filtered([_row(rule, became.get(rule.id)) for rule in known], entry)
    chosen = st.query_params.get("rule")
    rule = next((rule for rule in known if rule.id == chosen), None)
    if chosen and rule is None:
        st.warning("There is no such rule any more.")
    if rule is None:
        _table(shown, entry, None)
        return
    with st.grid(2, min_column_width=_SIDE_BY_SIDE, gap="medium"):
        with st.container():
            _table(shown, entry, rule.id)
        with st.container(border=True):
            st.button("Close", icon=":material/close:", on_click=lambda: address.say(rule=None))
            _detail(rule, entry, became.get(rule.id))


def _row(rule: Rule, became: dict[str, Any] | None) -> dict[str, Any]:
    outcome = became["outcome"].replace("_", " ") if became else _NOT_THERE
    return {
        "group": rule.group,
        "rule": rule.id,
        "outcome": outcome,
        "findings": became["findings"] if became else None,
        "severity": rule.worst.value,
        "confidence": rule.confidence.value,
        "title": rule.title,
        "evaluated runs": became["evaluated_runs"] if became else None,
        "skipped runs": became["skipped_runs"] if became else None,
        "ms": round(became["seconds"] * 1000) if became else None,
        "origin": "your own" if rule.origin else "auditor",
    }


def _filtered(rows: list[dict[str, Any]], entry: Entry | None) -> list[dict[str, Any]]:
    with st.grid(3, min_column_width=170, gap="small"):
        group = address.select("Group", "group", sorted({row["group"] for row in rows}))
        outcome = None
        if entry is not None:
            outcome = address.select("Outcome", "outcome", _ORDER)
        text = address.text("Search", "q", "id or words of the title").lower()
    rows.sort(key=lambda row: (_ORDER.index(row["outcome"]), -(row["findings"] or 0), row["group"], row["rule"]))
    return [
        row
        for row in rows
        if group in (None, row["group"])
        and outcome in (None, row["outcome"])
        and (text in row["rule"] or text in row["title"].lower())
    ]


def _table(rows: list[dict[str, Any]], entry: Entry | None, chosen: str | None) -> None:
    st.text(many(len(rows), "rule"))
    ids = [row["rule"] for row in rows]
    at = [ids.index(chosen)] if chosen in ids else []
    st.session_state[_TABLE] = {"selection": {"rows": at, "columns": [], "cells": []}}
    audit_only = () if entry else ("outcome", "findings", "evaluated runs", "skipped runs", "ms")
    number = st.column_config.NumberColumn
    st.dataframe(
        rows,
        key=_TABLE,
        on_select=_selects(ids),
        selection_mode="single-row",
        hide_index=True,
        width="stretch",
        height=min(700, 38 + 35 * max(1, len(rows))),
        placeholder="",
        column_order=[name for name in (rows[0] if rows else ()) if name not in audit_only],
        column_config={
            "group": st.column_config.TextColumn(width=90),
            "rule": st.column_config.TextColumn(width=200),
            "outcome": st.column_config.TextColumn(width=100),
            "findings": number(width=70, format="localized"),
            "severity": st.column_config.TextColumn(width=70, help="The worst that it can give"),
            "confidence": st.column_config.TextColumn(width=80),
            "title": st.column_config.TextColumn(width="large"),
            "evaluated runs": number(width=80, format="localized"),
            "skipped runs": number(width=80, format="localized", help="They lack what the rule needs"),
            "ms": number(width=60, format="localized", help="Time it took, in milliseconds"),
        },
        alt="Rules; selecting a row explains it",
    )


def _selects(ids: list[str]) -> Callable[[], None]:
    def selected() -> None:
        rows = st.session_state[_TABLE]["selection"]["rows"]
        address.say(rule=ids[rows[0]] if rows else None)

    return selected


def _detail(rule: Rule, entry: Entry | None, became: dict[str, Any] | None) -> None:
    st.code(rule.id, language=None, wrap_lines=True)
    st.text(rule.title)
    needs = ", ".join(need.value.replace("_", " ") for need in rule.needs) or "nothing in particular"
    st.text(
        f"Worst severity: {rule.worst.value}. Confidence: {rule.confidence.value}. Needs: {needs}.\n"
        f"Since {rule.since}, version {rule.version}, {'one of your own' if rule.origin else 'came with auditor'}."
    )
    if entry is not None:
        _in_this_audit(rule, entry, became)
    if rule.params:
        st.markdown("##### Parameters")
        st.dataframe(
            [{"name": one.name, "default": one.default, "meaning": one.meaning} for one in rule.params],
            hide_index=True,
            width="stretch",
        )
    explain(rule.document, ours=rule.origin is None)
    with st.expander("The SQL"):
        st.code(rule.select, language="sql", wrap_lines=True)


def _in_this_audit(rule: Rule, entry: Entry, became: dict[str, Any] | None) -> None:
    st.markdown("##### In this audit")
    if became is None:
        st.text("The audit was made without it. It takes part in the next one.")
        return
    runs = f"evaluated on {many(became['evaluated_runs'], 'run')}, skipped on {became['skipped_runs']:,}"
    st.text(f"{became['outcome'].replace('_', ' ').capitalize()}; {runs}.")
    if became["reason"]:
        failed = became["outcome"] == Outcome.FAILED
        st.text(f"{'It failed' if failed else 'Skipped'}: {became['reason']}")
    if became["version"] != rule.version:
        st.text("The rule has changed since; what follows is of the version that the audit used.")
    with service.current().library.reading(entry.audit_id) as con:
        found = queries.by_workflow(con, rule.id, _WORKFLOWS)
        used = queries.params(con, rule.id)
    if found:
        st.dataframe(found, hide_index=True, width="stretch", alt="Findings by workflow and severity")
        if len(found) == _WORKFLOWS:
            st.caption(f"The {_WORKFLOWS} with most of them.")
        page_link("Show its findings", "findings", entry.audit_id, rule=rule.id, state="any")
    if used:
        st.text("Parameters used: " + ", ".join(_used(param) for param in used))


def _used(param: dict[str, Any]) -> str:
    where = f" for {param['workflow']}" if param["workflow"] else ""
    return f"{param['name']} = {param['value']:g}{where}"

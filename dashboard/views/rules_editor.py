"""Writing a rule: try it on the audit, keep it, remove it; part of the page Rules."""

from __future__ import annotations

import streamlit as st

from auditor import QueryFailed, RuleFileError, Trial, rule_template, try_rule

from .. import service
from ..asking import turn
from ..custom_rules import CustomRules
from ..library import Entry
from ..parts import address
from ..parts.words import many
from ..who import visitor

_EDIT = "edit"
_TEXT = "rules.text"
_GROUP = "rules.group"
_ID = "rules.id"
_LOADED = "rules.loaded"
_SAID = "rules.said"
_FIRST_ID = "my-rule"
_SHOWN = 100


def editor(entry: Entry | None, custom: CustomRules) -> None:
    """Draw it, for somebody who may."""
    name = address.select("Rule", _EDIT, custom.names(), nothing="a new one")
    _load(name, custom)
    with st.container(horizontal=True):
        group = st.text_input("Group", key=_GROUP, max_chars=60, disabled=name is not None)
        rule_id = st.text_input(
            "Id", key=_ID, max_chars=60, disabled=name is not None, help="Such as slow-payment"
        )
    text = st.text_area("Text", key=_TEXT, height=420, help="A header in YAML, an explanation, one SELECT.")
    with st.container(horizontal=True):
        tried = st.button("Dry run", icon=":material/science:", disabled=entry is None, help=_why_not(entry))
        saved = st.button("Save", icon=":material/save:")
        deleted = name is not None and st.button("Delete", icon=":material/delete:")
    if said := st.session_state.pop(_SAID, None):
        st.success(said)
    if tried and entry is not None:
        _try(entry, group, rule_id, text)
    if saved:
        _save(custom, group, rule_id, text)
    if deleted and name is not None:
        custom.delete(name, visitor().name)
        _start_again(None, "It is deleted. Audits that are made already keep what it found.")


def _why_not(entry: Entry | None) -> str:
    return "On the audit that is shown; it stays as it is." if entry else "There is no audit to try it on yet."


def _load(name: str | None, custom: CustomRules) -> None:
    if st.session_state.get(_LOADED, "") == (name, _TEXT in st.session_state):
        return
    group, rule_id = name.split("/") if name else ("custom", _FIRST_ID)
    st.session_state[_GROUP], st.session_state[_ID] = group, rule_id
    st.session_state[_TEXT] = custom.text(name) if name else rule_template(_FIRST_ID)
    st.session_state[_LOADED] = (name, True)


def _try(entry: Entry, group: str, rule_id: str, text: str) -> None:
    current = service.current()
    seconds = current.settings.limits.query_seconds
    if entry.keep_payloads:  # what it finds may quote them
        with current.library.state.change() as con:
            current.library.state.note(con, visitor().name, "try rule", entry.audit_id, rule=rule_id, text=text)
    try:
        with st.spinner("Trying it", show_time=True), turn(seconds):
            trial = try_rule(
                current.library.file(entry.audit_id), text, group, rule_id, seconds=seconds, most=_SHOWN
            )
    except (RuleFileError, QueryFailed) as error:
        _refused("It is no rule yet:", str(error))
        return
    _show(trial)


def _show(trial: Trial) -> None:
    if trial.reason is not None:
        _refused("It fails:", f"line {trial.line}: {trial.reason}" if trial.line is not None else trial.reason)
        return
    skipped = f"; {many(trial.skipped_runs, 'run')} lack what it needs" if trial.skipped_runs else ""
    st.text(
        f"It would find {many(trial.found, 'finding')}, in {trial.seconds:.1f} s{skipped}. Nothing was changed."
    )
    if trial.findings:
        st.dataframe(
            [{**finding, "witness": "; ".join(finding["witness"])} for finding in trial.findings],
            hide_index=True,
            width="stretch",
            column_order=("severity", "because", "run_id", "witness"),
            column_config={"because": st.column_config.TextColumn(width="large")},
            alt="What it would find",
        )
    if trial.found > len(trial.findings):
        st.caption(f"These are the first {len(trial.findings):,}.")


def _save(custom: CustomRules, group: str, rule_id: str, text: str) -> None:
    try:
        rule = custom.save(group, rule_id, text, visitor().name)
    except RuleFileError as error:
        _refused("It is not saved:", str(error))
        return
    _start_again(f"{rule.group}/{rule.id}", "It is saved, and takes part in every later audit.")


def _start_again(name: str | None, said: str) -> None:
    st.session_state[_SAID] = said
    st.session_state.pop(_LOADED, None)
    address.say(**{_EDIT: name})
    st.rerun()


def _refused(what: str, why: str) -> None:
    st.error(what)
    st.code(why, language=None, wrap_lines=True)

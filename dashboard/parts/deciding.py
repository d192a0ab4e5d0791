"""What was decided about a pattern, and deciding about it, or about several at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial

import streamlit as st

from .. import service
from ..settings import Role
from ..triage import Choice, Chosen, Decision, Pattern, today_utc
from ..who import visitor
from .words import many, moment

_COMMENT = 2000
_HIGHEST = 1_000_000_000


def decide_about(patterns: Sequence[Pattern], audit_id: str) -> None:
    """What holds, what to decide instead, and what was decided before."""
    triage = service.current().triage
    decision = triage.decisions().get(patterns[0].pattern) if len(patterns) == 1 else None
    if decision is not None:
        _said(decision, patterns[0].findings)
    if visitor().may(Role.TRIAGER):
        _form(patterns, decision, audit_id)
    else:
        st.caption(f"To decide about findings takes the role {Role.TRIAGER}; yours is {visitor().role}.")
    if decision is not None:
        with st.expander("History of decisions"):
            _history(patterns[0].pattern)


def _said(decision: Decision, found: int) -> None:
    if ended := decision.ended(found, today_utc()):
        st.info(f"{ended} It is open again.", icon=":material/notification_important:")
    bounds = f"{_until(decision.until)}, up to {many(decision.ceiling, 'finding')}"
    what = f"{decision.state} {bounds}" if decision.state is Chosen.IGNORED else f"{decision.state}"
    st.text(f"{what}: decided by {decision.decided_by}, {moment(decision.decided_at)}")
    if decision.comment:
        st.text(decision.comment)


def _until(day: dt.date | str | None) -> str:
    return f"until {day}" if day else "for good"


def _form(patterns: Sequence[Pattern], decision: Decision | None, audit_id: str) -> None:
    about = patterns[0].pattern if len(patterns) == 1 else f"{len(patterns)}"
    keys = {name: f"decide.{name}.{about}" for name in ("state", "until", "ceiling", "comment")}
    state = st.segmented_control(
        "Decide",
        [choice.value for choice in Chosen],
        default=decision.state.value if decision else Chosen.OPEN.value,
        required=True,
        key=keys["state"],
        help="Resolved: a later audit that finds it again calls it regressed. Ignored: it is no work until then.",
    )
    if state == Chosen.IGNORED:
        with st.container(horizontal=True):
            today = today_utc()
            kept = decision.until if decision and decision.until and decision.until >= today else None
            st.date_input(
                "Until",
                kept,
                min_value=today,
                key=keys["until"],
                help="The last day, UTC. Without one: for good.",
                width=200,
            )
            if len(patterns) == 1:
                st.number_input(
                    "Up to so many findings",
                    min_value=1,
                    max_value=_HIGHEST,
                    value=_ceiling(patterns[0], decision),
                    key=keys["ceiling"],
                    help="With more it is open again.",
                    width=220,
                )
            else:
                st.caption("Each up to as many findings as it has now; with more it is open again.")
    st.text_area("Why", decision.comment if decision else "", max_chars=_COMMENT, key=keys["comment"], height=80)
    label = "Save" if len(patterns) == 1 else f"Save for {many(len(patterns), 'pattern')}"
    st.button(label, key="decide.save", on_click=partial(_save, tuple(patterns), keys, audit_id))


def _ceiling(about: Pattern, decision: Decision | None) -> int:
    """As many as there are, or as there were allowed to be."""
    allowed = decision.ceiling if decision is not None and decision.state is Chosen.IGNORED else 1
    return max(allowed, about.findings)


def _save(patterns: tuple[Pattern, ...], keys: dict[str, str], audit_id: str) -> None:
    who = visitor()
    # A page may have been open for longer than the role was held.
    if not who.may(Role.TRIAGER):
        return
    said = st.session_state
    choice = Choice(
        Chosen(said[keys["state"]]),
        said[keys["comment"]].strip(),
        said.get(keys["until"]),
        said.get(keys["ceiling"]),
    )
    service.current().triage.decide(patterns, choice, who.name, audit_id)


def _history(pattern: str) -> None:
    rows = [
        {
            "when": moment(row["at"]),
            "who": row["who"],
            "decision": row["state"],
            "bounds": f"{_until(row['until'])}, up to {row['ceiling']:,}" if row["ceiling"] is not None else "",
            "why": row["comment"],
        }
        for row in service.current().triage.history(pattern)
    ]
    st.dataframe(rows, hide_index=True, width="stretch", alt="Decisions about this pattern, the latest first")

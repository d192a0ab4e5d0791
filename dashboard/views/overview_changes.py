"""What changed since another audit; part of the page Overview."""

from __future__ import annotations

from typing import Any

import streamlit as st

from .. import here, service
from ..library import Entry
from ..parts import address
from ..parts.audits import labels
from ..parts.words import many
from ..queries import overview as queries

_AGAINST = "against"
_SHOWN = 200
_WORDS = {
    "new": "new",
    "more": "more of it",
    "fewer": "fewer of it",
    "gone": "gone",
    "not checked": "not checked any more",
}
_SEVERITIES = ("error", "warning", "info")


def changes(entry: Entry) -> None:
    """Say what is new, gone, more or fewer; a visitor chooses against which audit."""
    library = service.current().library
    others = {other.audit_id: other for other in library.entries() if other.is_done and other != entry}
    before = library.before(entry)
    if not others:
        return
    st.markdown("#### What changed")
    named = labels(others.values())
    picked = address.select(
        "Compared with",
        _AGAINST,
        list(others),
        named.__getitem__,
        nothing=f"the audit before: {named[before.audit_id]}" if before else "nothing yet",
    )
    against = others[picked] if picked else before
    if against is None:
        st.text("There is no audit before this one. Choose one to compare it with.")
        return
    found = _changes(entry.audit_id, against.audit_id)
    if not found:
        st.text("The same patterns, each with as many findings.")
        return
    counts = {kind: sum(row["change"] == kind for row in found) for kind in _WORDS}
    st.text("Patterns: " + ", ".join(f"{number:,} {_WORDS[kind]}" for kind, number in counts.items() if number))
    st.dataframe(
        [_shown(row, entry.audit_id, against.audit_id) for row in found[:_SHOWN]],
        hide_index=True,
        width="stretch",
        column_config={
            "change": st.column_config.TextColumn(width=90),
            "severity": st.column_config.TextColumn(width=70),
            "before": st.column_config.NumberColumn(width=60, format="localized"),
            "now": st.column_config.NumberColumn(width=60, format="localized"),
            "what one of them says": st.column_config.TextColumn(width="large"),
            "open": st.column_config.LinkColumn("", display_text="Findings", width=80),
        },
        alt="Patterns of findings that changed between the two audits",
    )
    if len(found) > _SHOWN:
        st.caption(f"and {many(len(found) - _SHOWN, 'more pattern')}")


def _shown(row: dict[str, Any], now: str, before: str) -> dict[str, Any]:
    where = now if row["now"] else before
    return {
        "open": here.link("findings", where, pattern=row["pattern"], state="any"),
        "change": _WORDS[row["change"]],
        "severity": row["severity"],
        "rule": row["rule"],
        "before": row["before"],
        "now": row["now"],
        "what one of them says": row["because"],
    }


@st.cache_data(max_entries=64, show_spinner="Comparing")
def _changes(now_id: str, before_id: str) -> list[dict[str, Any]]:
    library = service.current().library
    with library.reading(now_id) as con:
        now, evaluated = queries.patterns(con), queries.evaluated_rules(con)
    with library.reading(before_id) as con:
        before = queries.patterns(con)
    found = []
    for pattern in now.keys() | before.keys():
        row = now.get(pattern) or before[pattern]
        then, today = (side[pattern]["findings"] if pattern in side else 0 for side in (before, now))
        if then != today:
            change = _change(then, today, looked=row["rule"] in evaluated)
            found.append({**row, "change": change, "before": then, "now": today})
    order = list(_WORDS)
    found.sort(key=lambda row: (order.index(row["change"]), _SEVERITIES.index(row["severity"]), row["pattern"]))
    return found


def _change(then: int, today: int, *, looked: bool) -> str:
    if not today:
        return "gone" if looked else "not checked"
    if not then:
        return "new"
    return "more" if today > then else "fewer"

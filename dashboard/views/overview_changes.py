"""What changed since another audit; part of the page Overview."""

from __future__ import annotations

from typing import Any

import streamlit as st

from auditor import Capability, RuleFileError, UsageError, rules

from .. import here, service
from ..custom_rules import CustomRules
from ..library import Entry
from ..parts import address
from ..parts.audits import labels
from ..parts.words import many
from ..queries import changes as queries

_AGAINST = "against"
_SHOWN = 200
_NONE = {"findings": 0, "suppressed": 0, "folded": 0}
_WORDS = {
    "new": "new",
    "again": "counted again",
    "more": "more of it",
    "fewer": "fewer of it",
    "gone": "gone",
    "suppressed": "suppressed now",
    "folded": "a consequence now",
    "not checked": "not checked any more",
}
_MEANING = """
**gone**: its rule looked at judged runs of its workflow and did not find it. **not checked any more**: it did not
look there, or nothing there could be judged. **counted again**: it was suppressed, or a consequence of another
finding.
"""
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
        nothing=f"the audit of this name before: {named[before.audit_id]}" if before else "nothing yet",
    )
    against = others[picked] if picked else before
    if against is None:
        st.text("There is no audit of the same name before this one. Choose one to compare it with.")
        return
    found = _changes(entry.audit_id, against.audit_id)
    if not found:
        st.text("The same patterns, each with as many findings.")
        return
    if against.name != entry.name:
        st.caption("Audits of two names: what differs need not have changed.")
    counts = {kind: sum(row["change"] == kind for row in found) for kind in _WORDS}
    st.text("Patterns: " + ", ".join(f"{number:,} {_WORDS[kind]}" for kind, number in counts.items() if number))
    st.dataframe(
        [_shown(row, entry.audit_id, against.audit_id) for row in found[:_SHOWN]],
        hide_index=True,
        width="stretch",
        column_config={
            "change": st.column_config.TextColumn(width=150, help=_MEANING),
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
    needs = _needs()
    with library.reading(now_id) as con:
        now, looked = queries.patterns(con), queries.looked(con)
    with library.reading(before_id) as con:
        before = queries.patterns(con)
    found = []
    for pattern in now.keys() | before.keys():
        then, today = before.get(pattern, _NONE), now.get(pattern, _NONE)
        if then["findings"] != today["findings"]:
            row = now[pattern] if today["findings"] else before[pattern]
            change = _change(then, today, looked=looked.at(row, needs.get(row["rule"])))
            found.append({**row, "change": change, "before": then["findings"], "now": today["findings"]})
    order = list(_WORDS)
    found.sort(key=lambda row: (order.index(row["change"]), _SEVERITIES.index(row["severity"]), row["pattern"]))
    return found


def _change(then: dict[str, Any], today: dict[str, Any], *, looked: bool) -> str:
    """What became of a pattern; `looked`: the audit of today looked where it was found."""
    if today["findings"] and then["findings"]:
        return "more" if today["findings"] > then["findings"] else "fewer"
    if today["findings"]:
        return "again" if then["suppressed"] or then["folded"] else "new"
    if today["suppressed"] or today["folded"]:
        return "suppressed" if today["suppressed"] else "folded"
    return "gone" if looked else "not checked"


def _needs() -> dict[str, tuple[Capability, ...]]:
    """What each rule needs a log to record."""
    current = service.current()
    try:
        known = CustomRules(current.settings.folder / "rules", current.library.state).catalogue()
    except (RuleFileError, UsageError):
        known = rules()
    return {rule.id: rule.needs for rule in known}

"""What an audit is called where one of several is chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..library import Entry
from .words import moment


def labels(entries: Iterable[Entry]) -> dict[str, str]:
    """A label an audit, by its id: its name, and when it was made.

    Streamlit cannot tell apart what is labelled alike: then the end of the id stands in front.
    """
    called = {entry.audit_id: f"{entry.name} · {moment(entry.made_at)[5:16]}" for entry in entries}
    alike = Counter(called.values())
    return {id: label if alike[label] == 1 else f"{id[-4:]} · {label}" for id, label in called.items()}

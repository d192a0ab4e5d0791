"""Files that were chosen on a page and did not arrive: without them, an audit judges a log that nobody wrote."""

from __future__ import annotations

from collections import Counter, OrderedDict

MOST_SESSIONS = 1000
"""Sessions that are remembered; beyond them the one that lost its first file longest ago is forgotten."""


class LostUploads:
    """What each session has lost since it last started over."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Counter[str]] = OrderedDict()

    def note(self, session: str, why: str) -> None:
        """Remember that a file of a session did not arrive."""
        self._sessions.setdefault(session, Counter())[why] += 1
        if len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)

    def of(self, session: str) -> Counter[str]:
        """How many files a session has lost, by why."""
        return Counter(self._sessions.get(session, ()))

    def forget(self, session: str) -> None:
        """The session starts over."""
        self._sessions.pop(session, None)

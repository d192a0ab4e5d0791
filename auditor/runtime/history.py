"""What a tick knows of a run: the events that it has read and written, and what they leave open."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from auditor.model.events import EventType
from auditor.model.rows import Event
from auditor.runtime.values import field_of
from auditor.world.draft import ENDS, milliseconds_of

T = EventType


class History:
    """The events of a run as one writer knows them, in the order in which it came to know them.

    Of a writer that fences every decision that is the order of the log. One that does not may have a hole before
    an event of its own, and never learns of it: that is the bug which fences are the cure of.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.is_started = False
        self.is_ended = False
        self._ids: set[str] = set()
        self._due: dict[str, int] = {}

    @property
    def tail(self) -> str | None:
        """The id of the last event that is known, or None."""
        return self.events[-1].event_id if self.events else None

    @property
    def unbroken(self) -> int:
        """The position up to which no event is missing."""
        known = {event.position for event in self.events}
        return next(position for position in count() if position + 1 not in known)

    def merge(self, events: Iterable[Event]) -> None:
        """Take note of events; those that are known already change nothing."""
        ids = self._ids
        for event in events:
            if event.event_id not in ids:
                ids.add(event.event_id)
                self.events.append(event)
                if event.event_type in _NOTED:
                    self._note(event)

    @property
    def has_open_waits(self) -> bool:
        """Whether a wait was created and not completed."""
        return bool(self._due)

    def elapsed(self, now: int) -> list[str]:
        """The open waits that are over by a time in ms since 1970, the earliest first."""
        over = [(due, wait) for wait, due in self._due.items() if due <= now]
        return [wait for _, wait in sorted(over)]

    def _note(self, event: Event) -> None:
        kind = event.event_type
        if kind == T.WAIT_CREATED:
            due = milliseconds_of(field_of(event, "resumeAt"), "resumeAt", needed=True)
            self._due.setdefault(str(event.correlation_id), due or 0)
        elif kind == T.WAIT_COMPLETED:
            self._due.pop(str(event.correlation_id), None)
        elif kind == T.RUN_STARTED:
            self.is_started = True
        else:
            self.is_ended = True


_NOTED = frozenset(kind.value for kind in (T.WAIT_CREATED, T.WAIT_COMPLETED, T.RUN_STARTED, *ENDS))

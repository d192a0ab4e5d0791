"""Which decision writes carry a fence.

`full` is the cure. The others exist so that the disease can be shown, and the difference measured.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from auditor.model.events import EventType
from auditor.world import Fence, tail


class Fencing(Protocol):
    """How a tick fences what it decides on."""

    @property
    def batches(self) -> bool:
        """Whether the events of one decision are appended together."""

    def fence(self, event_type: EventType, known: str | None) -> Fence | None:
        """The fence of a decision write whose writer knows the log up to the event `known`; None sends nothing."""


class FencePolicy(StrEnum):
    """full: every decision write is fenced with the tail of its snapshot, and a suspension is one batch.

    wait_completed_only: only a wait_completed is, as in the first version of vercel/workflow#2113.
    off: no write says anything about what its writer had read, as before it.

    Without `full` every event is an append of its own, and one whose entity is there already is taken for done by
    somebody else: that is how the SDK's writers behaved.
    """

    FULL = "full"
    WAIT_COMPLETED_ONLY = "wait_completed_only"
    OFF = "off"

    @property
    def batches(self) -> bool:
        """Whether the events of one decision are appended together."""
        return self is FencePolicy.FULL

    def fence(self, event_type: EventType, known: str | None) -> Fence | None:
        """The fence of a decision write whose writer knows the log up to the event `known`; None sends nothing."""
        if self is FencePolicy.FULL:
            return tail(known)
        if self is FencePolicy.WAIT_COMPLETED_ONLY and event_type is EventType.WAIT_COMPLETED:
            return tail(known)
        return None

"""The hash chain of a run and the ids of its events.

The chain shows edits and gaps. It does not show a removed tail, nor a forger who computes it anew: compare the
head with a copy that is kept elsewhere (`auditor world verify --expect`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any

from auditor.model.ids import ulid
from auditor.model.rows import Event

_SEPARATOR = "\x1f"
_RANDOM_BITS = 79
"""Of the 80 in a ULID: the highest stays 0, so the ids of a batch cannot run over into the next millisecond."""


def digest(text: str) -> str:
    """SHA-256 of a text in UTF-8, in hex."""
    return sha256(text.encode()).hexdigest()


def link(
    *,
    prev_hash: str | None,
    position: int,
    event_id: str,
    event_type: str,
    correlation_id: str | None,
    created_at: int,
    spec_version: int | None,
    fence_kind: str | None,
    fence_value: str | None,
    data_sha256: str | None,
) -> str:
    """The hash of an event. See `auditor schema log`, `hash`."""
    parts = (
        prev_hash or "",
        str(position),
        event_id,
        event_type,
        correlation_id or "",
        str(created_at),
        "" if spec_version is None else str(spec_version),
        fence_kind or "",
        fence_value or "",
        data_sha256 or "",
    )
    return digest(_SEPARATOR.join(parts))


def hash_of(event: Event, fence: Mapping[str, Any]) -> str:
    """The hash that an event should have behind the one whose hash it names; `fence` is its own, as an object."""
    value = fence.get("value")
    return link(
        prev_hash=event.prev_hash,
        position=event.position,
        event_id=event.event_id,
        event_type=event.event_type,
        correlation_id=event.correlation_id,
        created_at=event.created_at,
        spec_version=event.spec_version,
        fence_kind=fence.get("kind"),
        fence_value=None if value is None else str(value),
        data_sha256=event.data_sha256,
    )


def event_ids(first_ms: int, draw: Callable[[int], int]) -> Iterator[str]:
    """Ascending event ids, all of one millisecond; `draw(bits)` gives random bits.

    `first_ms` must be later than the time in the tail's id: then id order is commit order whatever the clocks, and
    no two appends to a run share a millisecond (see `Snapshot.as_of`).
    """
    value = first_ms << 80 | draw(_RANDOM_BITS)
    while True:
        yield f"evnt_{ulid(value)}"
        value += 1

"""What must hold of every log, computed without any code of the world."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import pairwise

from ulid import ULID

from auditor.model.rows import Event


def recomputed(events: Sequence[Event]) -> list[str]:
    """The chain, by the recipe in `auditor schema log` at `hash`, from the columns alone."""
    hashes: list[str] = []
    for event in events:
        fence = json.loads(event.fence) if event.fence is not None else {}
        parts = [
            hashes[-1] if hashes else None,
            event.position,
            event.event_id,
            event.event_type,
            event.correlation_id,
            event.created_at,
            event.spec_version,
            fence.get("kind"),
            fence.get("value"),
            event.data_sha256,
        ]
        text = "\x1f".join("" if part is None else str(part) for part in parts)
        hashes.append(hashlib.sha256(text.encode()).hexdigest())
    return hashes


def must_be_sound(events: Sequence[Event]) -> None:
    """Dense positions, ascending ids and times, whole batches, a chain that verifies, and fences that held."""
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert [event.hash for event in events] == recomputed(events)
    assert [event.prev_hash for event in events] == [None, *(event.hash for event in events)][:-1]
    for before, after in pairwise(events):
        assert before.event_id < after.event_id
        assert before.created_at <= after.created_at
    for event in events:
        digest = None if event.data is None else hashlib.sha256(event.data.encode()).hexdigest()
        assert event.data_sha256 == digest
    _batches_must_be_whole(events)
    _fences_must_hold(events)


def _batches(events: Sequence[Event]) -> list[list[Event]]:
    batches: list[list[Event]] = []
    for event in events:
        if batches and batches[-1][0].request_id == event.request_id:
            batches[-1].append(event)
        else:
            batches.append([event])
    return batches


def _batches_must_be_whole(events: Sequence[Event]) -> None:
    """One request, one place in the log, one commit, one time, one millisecond of ids that nobody else has."""
    batches = _batches(events)
    assert len({batch[0].request_id for batch in batches}) == len(batches)
    tail, last_commit, last_ms = "none", 0, -1
    for batch in batches:
        assert {event.tail_at_commit for event in batch} == {tail}
        (commit,) = {event.commit_seq for event in batch}
        (_,) = {event.created_at for event in batch}
        (ms,) = {ULID.from_str(event.event_id.removeprefix("evnt_")).milliseconds for event in batch}
        assert commit is not None
        # Appends of one group may share a commit.
        assert commit >= last_commit
        assert ms > last_ms
        tail, last_commit, last_ms = batch[-1].event_id, commit, ms


def _fences_must_hold(events: Sequence[Event]) -> None:
    """The event that a fence names is the last one before the batch."""
    place = {event.event_id: event.position for event in events} | {"none": 0}
    for batch in _batches(events):
        for event in batch:
            fence = json.loads(event.fence) if event.fence is not None else {"kind": None}
            named = {"tail": "value", "as_of": "resolved"}.get(fence["kind"])
            if named is not None:
                assert place[fence[named]] == batch[0].position - 1

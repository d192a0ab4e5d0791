"""What a store commits that should refuse: decisions of the correct core in a state that is not the case."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from auditor.model.events import ROLE, WriteRole
from auditor.model.rows import NONE, Entity, Event
from auditor.world import Fence
from auditor.world.chain import hash_of
from auditor.world.decision import Accepted, Decision, Draw, RunState, decide
from auditor.world.draft import Request
from auditor.world.entities import Key


def without_fence(state: RunState, request: Request, now: int, draw: Draw) -> Decision:
    """The answer of a store that keeps the fence of a request and does not judge it."""
    free = request._replace(append=request.append._replace(fence=None), tail=None, as_of=None)
    decision = decide(state, free, now, draw)
    return decision if not isinstance(decision, Accepted) else fenced(decision, request.append.fence)


def with_entities(
    state: RunState, request: Request, now: int, draw: Draw, entities: Mapping[Key, Entity | None]
) -> Decision:
    """The answer of a store that takes entities for what they are not; None: for absent.

    The rows of those that exist stay as they are: the store has only failed to look.
    """
    believed = {key: row for key, row in {**state.entities, **entities}.items() if row is not None}
    decision = without_fence(replace(state, entities=believed), request, now, draw)
    if not isinstance(decision, Accepted):
        return decision
    change = decision.change
    kept = {key: row for key, row in change.created.items() if key not in state.entities}
    return decision._replace(
        change=replace(
            change,
            created=kept,
            updated={
                key: row for key, row in change.updated.items() if state.entities.get(key) == believed.get(key)
            },
        )
    )


def fenced(accepted: Accepted, fence: Fence | None) -> Accepted:
    """The same events under another fence."""
    text = None if fence is None else fence.text()
    return relinked(accepted, [event._replace(fence=text) for event in accepted.events])


def relinked(accepted: Accepted, events: Iterable[Event]) -> Accepted:
    """The same append with other events, chained anew."""
    made: list[Event] = []
    previous = accepted.events[0].prev_hash
    for event in events:
        fence = {} if event.fence is None else json.loads(event.fence)
        chained = event._replace(prev_hash=previous)
        previous = hash_of(chained, fence)
        made.append(chained._replace(hash=previous))
    last = made[-1]
    run = accepted.run._replace(tail=last.event_id, hash=last.hash, version=last.position)
    return accepted._replace(events=tuple(made), run=run)


def tail_of(state: RunState) -> str:
    """The id of the last event of a run, `none` if there is none."""
    return NONE if state.run is None or state.run.tail is None else state.run.tail


def is_decision(request: Request) -> bool:
    """Whether a request follows from what its writer had read."""
    return ROLE[request.drafts[0].event_type] is WriteRole.DECISION


def is_stale(state: RunState, request: Request) -> bool:
    """Whether the tail that a request names is not the tail of the run."""
    return request.tail is not None and request.tail != tail_of(state)

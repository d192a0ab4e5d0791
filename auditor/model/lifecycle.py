"""The life of a step, a wait and a hook, as one table.

`LIFECYCLE` says, for every event type that touches an entity, which stage it takes the entity to and
what it is accused of if the entity had already reached another stage. The world refuses by it and the
replay accuses by it, so the two cannot disagree: `accusations` is the fold in Python, and the same
table is written into every audit file as the relation `lifecycle`, which the SQL rules join.

The stage before an event is the *maximum* of the stages reached so far, never that of the last event:
created, completed, created (inert), started is the restart of a completed step.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from auditor.model.events import EntityKind, EventType


class Stage(IntEnum):
    """How far an entity has come; the order of the values is the order of a life."""

    ABSENT = 0
    CREATED = 1
    ACTIVE = 2
    CLOSED = 3


@dataclass(frozen=True, slots=True)
class Move:
    """One row of the table: `event_type` takes an entity of `kind` to stage `reaches`.

    `accuses` maps the stage *before* the event to the rule that the event then breaks; a stage that is
    not in it is legal.
    """

    kind: EntityKind
    event_type: EventType
    reaches: Stage
    accuses: dict[Stage, str]


STEP, WAIT, HOOK = EntityKind.STEP, EntityKind.WAIT, EntityKind.HOOK
ABSENT, CREATED, ACTIVE, CLOSED = Stage.ABSENT, Stage.CREATED, Stage.ACTIVE, Stage.CLOSED

_TWICE = {CREATED: "duplicate-step-created", ACTIVE: "duplicate-step-created", CLOSED: "late-creation"}
_START = {ABSENT: "orphan-step-event", CLOSED: "step-restarted-after-outcome"}
_OUTCOME = {ABSENT: "orphan-step-event", CLOSED: "conflicting-step-outcomes"}
_ENDED = {ABSENT: "orphan-wait-completed", CLOSED: "duplicate-wait-completed"}
_HOOK = "orphan-hook-event"

# fmt: off
LIFECYCLE: tuple[Move, ...] = (
    #    kind  event type                reaches   the stage before -> what it is accused of
    Move(STEP, EventType.STEP_CREATED,   CREATED, _TWICE),
    Move(STEP, EventType.STEP_STARTED,   ACTIVE,  _START),
    Move(STEP, EventType.STEP_RETRYING,  ACTIVE,  _START),
    Move(STEP, EventType.STEP_COMPLETED, CLOSED,  _OUTCOME),
    Move(STEP, EventType.STEP_FAILED,    CLOSED,  _OUTCOME),
    Move(WAIT, EventType.WAIT_CREATED,   CREATED, {CREATED: "duplicate-wait-created", CLOSED: "late-creation"}),
    Move(WAIT, EventType.WAIT_COMPLETED, CLOSED,  _ENDED),
    Move(HOOK, EventType.HOOK_CREATED,   CREATED, {CREATED: _HOOK, ACTIVE: _HOOK, CLOSED: _HOOK}),
    Move(HOOK, EventType.HOOK_RECEIVED,  ACTIVE,  {ABSENT: _HOOK, CLOSED: "delivery-after-disposal"}),
    Move(HOOK, EventType.HOOK_DISPOSED,  CLOSED,  {ABSENT: _HOOK, CLOSED: _HOOK}),
    Move(HOOK, EventType.HOOK_CONFLICT,  CLOSED,  {CREATED: "self-hook-conflict", ACTIVE: "self-hook-conflict"}),
)
# fmt: on

_BY_TYPE = {move.event_type: move for move in LIFECYCLE}


def move_of(event_type: EventType) -> Move | None:
    """The row of an event type, or None for events of the run itself."""
    return _BY_TYPE.get(event_type)


def accusations(event_types: Iterable[EventType]) -> Iterator[tuple[int, str]]:
    """Fold the events of ONE entity, in log order; yield (1-based place, rule id) of each accusation.

    Events that do not touch entities are skipped but counted in the place.
    """
    stage = Stage.ABSENT
    for place, event_type in enumerate(event_types, start=1):
        move = _BY_TYPE.get(event_type)
        if move is None:
            continue
        accused = move.accuses.get(stage)
        if accused is not None:
            yield place, accused
        stage = max(stage, move.reaches)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What one generation of the SDK's replay does with a shape; a boolean column of the `run` relation.

    `since_core` and `since_spec` bound the generation from below (inclusive), `until_spec` from above
    (inclusive); the three are joined by *and*. A run whose version is unknown gets NULL, and a severity that
    asks for it becomes the milder one, with confidence `suspect`.
    """

    column: str
    meaning: str
    since_core: str | None = None
    since_spec: int | None = None
    until_spec: int | None = None


TOLERANCES: tuple[Tolerance, ...] = (
    # corpora, mechanism B: 34 corrupted runs from 4.6.0 on, 10 completed runs on 4.2.4
    Tolerance(
        "compares_resume_at",
        "replay compares the resumeAt of a wait's creation with that of its completion",
        since_core="4.6.0",
    ),
    # corpora, mechanism C: fatal up to 5.0.0-beta.5 (spec 3), 6 completed runs on beta.55 (spec 7)
    Tolerance(
        "tolerates_restart",
        "replay skips a step_started that follows the step's outcome",
        since_spec=7,
    ),
    # corpora, mechanism D: seen fatal on spec 3 only
    Tolerance(
        "dies_of_late_creation",
        "replay stops at a creation that follows the entity's outcome",
        until_spec=3,
    ),
)


def core_rank(version: str) -> int | None:
    """A core version as one comparable number; pre-releases sort below their release. None if unreadable.

    `4.8.9` -> 4008009999, `5.0.0-beta.55` -> 5000000055. The SQL macro `core_rank` computes the same.
    """
    match = re.match(r"^(\d+)\.(\d+)\.(\d+)(?:-[a-z]+\.?(\d+)?)?", version)
    if match is None:
        return None
    major, minor, patch = (int(part) for part in match.group(1, 2, 3))
    pre = 999 if "-" not in version else min(int(match.group(4) or 0), 998)
    return ((major * 1000 + minor) * 1000 + patch) * 1000 + pre

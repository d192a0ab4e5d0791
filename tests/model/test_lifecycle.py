from __future__ import annotations

import pytest

from auditor.model.events import ROLE, EntityKind, EventType, WriteRole
from auditor.model.lifecycle import LIFECYCLE, Stage, accusations, core_rank, move_of

T = EventType


def test_every_event_type_of_an_entity_has_one_move() -> None:
    of_entities = {t for t in EventType if t.partition("_")[0] in set(EntityKind)}
    assert {move.event_type for move in LIFECYCLE} == of_entities
    assert len(LIFECYCLE) == len(of_entities)


def test_every_event_type_has_a_role_and_seven_are_decisions() -> None:
    assert set(ROLE) == set(EventType)
    assert sorted(t for t, role in ROLE.items() if role is WriteRole.DECISION) == [
        "hook_created",
        "hook_disposed",
        "run_completed",
        "run_failed",
        "step_created",
        "wait_completed",
        "wait_created",
    ]


@pytest.mark.parametrize(
    ("life", "accused"),
    [
        ([T.STEP_CREATED, T.STEP_STARTED, T.STEP_COMPLETED], []),
        ([T.STEP_CREATED, T.STEP_STARTED, T.STEP_STARTED, T.STEP_RETRYING, T.STEP_FAILED], []),
        # The stage is the maximum reached: an inert creation does not hide the restart after it.
        (
            [T.STEP_CREATED, T.STEP_COMPLETED, T.STEP_CREATED, T.STEP_STARTED],
            [(3, "late-creation"), (4, "step-restarted-after-outcome")],
        ),
        ([T.STEP_STARTED, T.STEP_COMPLETED], [(1, "orphan-step-event")]),
        ([T.WAIT_CREATED, T.WAIT_CREATED, T.WAIT_COMPLETED], [(2, "duplicate-wait-created")]),
        ([T.WAIT_COMPLETED], [(1, "orphan-wait-completed")]),
        ([T.HOOK_CONFLICT], []),
        ([T.HOOK_CREATED, T.HOOK_CONFLICT], [(2, "self-hook-conflict")]),
        ([T.HOOK_CREATED, T.HOOK_RECEIVED, T.HOOK_RECEIVED, T.HOOK_DISPOSED], []),
        ([T.RUN_CREATED, T.STEP_COMPLETED], [(2, "orphan-step-event")]),
    ],
)
def test_a_life_is_accused_of_what_it_breaks(life: list[EventType], accused: list[tuple[int, str]]) -> None:
    assert list(accusations(life)) == accused


def test_events_of_the_run_move_no_entity() -> None:
    assert move_of(T.RUN_STARTED) is None
    move = move_of(T.WAIT_CREATED)
    assert move is not None
    assert move.reaches is Stage.CREATED


def test_versions_are_ordered_with_pre_releases_before_their_release() -> None:
    versions = ["4.2.4", "4.6.0", "4.8.9", "4.10.0", "5.0.0-beta.5", "5.0.0-beta.35", "5.0.0-beta.55", "5.0.0"]
    ranks = [core_rank(version) for version in versions]
    assert ranks == sorted(ranks, key=lambda rank: rank or 0)
    assert len(set(ranks)) == len(ranks)
    assert core_rank("nightly") is None

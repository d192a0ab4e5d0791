"""A writer that is killed at any point of an append leaves the whole of it, or nothing.

Sent again under the same idempotency key or resume id, it is in the log once, with the message that it owes. The
same of what changes the queue or a stream, and of the making of a world.
"""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
from crash.handing import CHUNKS, STATES
from crash.lab import laboratory
from crash.points import AFTER, BEGUN
from crash.sweep import SCENES

from auditor.world import create_world


@pytest.fixture
def world(tmp_path: Path) -> str:
    """The URL of a new world."""
    url = f"sqlite:///{tmp_path / 'world.db'}"
    asyncio.run(create_world(url))
    return url


@pytest.mark.parametrize("scene", SCENES)
def test_it_is_whole_or_absent_and_can_be_sent_again(world: str, tmp_path: Path, scene: str) -> None:
    *deaths, survivor = laboratory("crash.sweep:deaths", url=world, folder=str(tmp_path), scene=scene)

    refused = "FENCE_CONFLICT" if SCENES[scene].stale else None
    points = [death["point"] for death in deaths]
    print(f"\n{scene}: {len(points)} kills at {', '.join(points)}")
    assert points[1:2] == [BEGUN]
    assert points[-2:] == ["COMMIT", AFTER]
    assert [death["there"] for death in deaths] == [point == AFTER and not refused for point in points]
    assert [death["refused"] for death in deaths] == [refused] * len(points)
    assert survivor == {"point": None, "there": not refused, "refused": refused}


def test_in_the_middle_of_a_commit_it_is_absent_and_can_be_sent_again(world: str, tmp_path: Path) -> None:
    *deaths, survivor = laboratory(
        "crash.sweep:deaths", url=world, folder=str(tmp_path), scene="a batch", at="byte"
    )
    print(f"\nin the middle of a commit: {len(deaths)} kills, up to {deaths[-1]['point']} of the log")
    assert len(deaths) > 15
    assert not any(death["there"] for death in deaths)
    assert survivor["there"]


def test_in_the_middle_of_a_checkpoint_it_is_there_and_can_be_sent_again(world: str, tmp_path: Path) -> None:
    *deaths, survivor = laboratory(
        "crash.sweep:deaths", url=world, folder=str(tmp_path), scene="a batch", at="page"
    )
    print(f"\nin the middle of a checkpoint: {len(deaths)} kills, up to {deaths[-1]['point']} of the file")
    assert len(deaths) > 5
    assert all(death["there"] for death in [*deaths, survivor])


def test_a_message_is_where_the_last_commit_left_it(tmp_path: Path) -> None:
    *deaths, survivor = laboratory("crash.handing:message", folder=str(tmp_path))
    states = [None, *STATES]
    commits = list(itertools.accumulate(death["point"] == AFTER for death in deaths))
    print(f"\na message on its way: {len(deaths)} kills")
    assert commits[-1] == len(STATES)
    assert [death["found"] for death in deaths] == [states[commit] or "waiting" for commit in commits]
    assert survivor["found"] == STATES[-1]


def test_a_stream_is_as_long_as_it_says(tmp_path: Path) -> None:
    *deaths, survivor = laboratory("crash.handing:stream", folder=str(tmp_path))
    commits = list(itertools.accumulate(death["point"] == AFTER for death in deaths))
    print(f"\na stream of two chunks: {len(deaths)} kills")
    assert [death["found"] for death in deaths] == [[CHUNKS[:commit], commit] for commit in commits]
    assert survivor["found"] == [CHUNKS, 2]


def test_a_world_whose_making_was_cut_short_can_be_made_again(tmp_path: Path) -> None:
    *deaths, survivor = laboratory("crash.handing:making", folder=str(tmp_path))
    print(f"\na world in the making: {len(deaths)} kills")
    assert len(deaths) > 20
    assert {death["opens"] for death in deaths} == {False}
    assert {death["made_again"] for death in deaths} == {True}
    assert survivor == {"opens": True, "made_again": False}

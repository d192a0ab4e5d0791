"""A writer that is killed at any point of an append leaves the whole of it, or nothing.

Sent again under the same idempotency key or resume id, it is in the log once, with the message that it owes.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from crash.lab import laboratory
from crash.points import AFTER, BEGUN
from crash.sweep import SCENES

from auditor.world import create_world


@pytest.mark.parametrize("scene", SCENES)
def test_it_is_whole_or_absent_and_can_be_sent_again(tmp_path: Path, scene: str) -> None:
    url = f"sqlite:///{tmp_path / 'world.db'}"
    asyncio.run(create_world(url))

    *deaths, survivor = laboratory("crash.sweep:deaths", url=url, folder=str(tmp_path), scene=scene)

    refused = "FENCE_CONFLICT" if SCENES[scene].stale else None
    points = [death["point"] for death in deaths]
    print(f"\n{scene}: {len(points)} kills at {', '.join(points)}")
    assert points[1:2] == [BEGUN]
    assert points[-2:] == ["COMMIT", AFTER]
    assert [death["there"] for death in deaths] == [point == AFTER and not refused for point in points]
    assert [death["refused"] for death in deaths] == [refused] * len(points)
    assert survivor == {"point": None, "there": not refused, "refused": refused}

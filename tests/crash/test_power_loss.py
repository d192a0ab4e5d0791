"""What was acknowledged survives a power loss, because it was synced before.

`kill -9` cannot show this: the kernel keeps what a dead process had written. Here every write goes through a disk
of our own, which forgets what was not synced, in part and by sectors.

Not proven: that the real disk does what it says of a sync; that a file system keeps the names of new files; a disk
that damages sectors which it was not writing.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from crash.lab import laboratory

from auditor.world import create_world

LOSSES = 200


def survey(folder: Path, synchronous: str, losses: int, seed: int = 1) -> dict[str, int]:
    path = folder / "world.db"
    asyncio.run(create_world(f"sqlite:///{path}"))
    found = laboratory(
        "crash.power:survey",
        timeout=60 + losses,
        path=str(path),
        synchronous=synchronous,
        losses=losses,
        seed=seed,
    )
    print(f"\nsynchronous={synchronous}: {found}")
    assert found["moved"] > 0, "no page went from the write-ahead log into the file"
    assert found["losses"] == losses
    return found


def test_nothing_acknowledged_is_lost_and_nothing_is_torn(tmp_path: Path) -> None:
    found = survey(tmp_path, "FULL", LOSSES)
    assert (found["lost"], found["broken"]) == (0, 0)


def test_with_fewer_syncs_the_last_writes_may_be_lost_but_nothing_is_torn(tmp_path: Path) -> None:
    found = survey(tmp_path, "NORMAL", LOSSES)
    assert found["lost"] > 0
    assert found["broken"] == 0


def test_without_syncs_the_world_breaks(tmp_path: Path) -> None:
    """So the disk of these tests does lose what is not synced."""
    found = survey(tmp_path, "OFF", LOSSES)
    assert found["broken"] > 0


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(10))
def test_two_thousand_power_losses(tmp_path: Path, seed: int) -> None:
    found = survey(tmp_path, "FULL", 2_000, seed)
    assert (found["lost"], found["broken"]) == (0, 0)

"""Writers killed by the dozen: no acknowledged event is lost, none is doubled, no batch is torn, no run forgotten.

`kill -9` ends a process; it does not take from the kernel what the process had written. So this proves that every
point of a transaction is safe to die at, and that recovery works. It does not prove that anything is on the disk:
that is `test_power_loss.py`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from crash.evidence import facts
from crash.journal import read
from crash.lab import laboratory
from crash.points import AFTER, BEGUN, LOCKING, OUTSIDE

from auditor import audit
from auditor.model.judgement import Verdict
from auditor.world import create_world

NEVER_MISSING = {
    LOCKING,
    BEGUN,
    "INSERT event",
    "INSERT entity",
    "INSERT message",
    "UPDATE run",
    "COMMIT",
    AFTER,
}


def killed(folder: Path, kills: int, seed: int) -> Counter[str]:
    """Kill so many writers of one world, prove it sound, end its runs, prove it again: the kills at each point."""
    path = folder / "world.db"
    url = f"sqlite:///{path}"
    asyncio.run(create_world(url))
    told = laboratory(
        "crash.campaign:kill_writers", timeout=60 + kills, url=url, folder=str(folder), kills=kills, seed=seed
    )
    laboratory("crash.campaign:finish", url=url, folder=str(folder))
    points, aimed, met = told["points"], Counter(told["aimed"]), Counter(told["met"])
    assert set(points) >= NEVER_MISSING
    show(aimed, met)
    assert not read(folder).unanswered
    assert {run.status for run in facts(url).runs.values()} == {"completed"}
    with audit(path) as result:
        assert result.verdict is Verdict.SOUND
        assert [finding for finding in result.findings if finding["severity"] == "error"] == []
    return aimed + met


def show(aimed: Counter[str], met: Counter[str]) -> None:
    print(f"\n{'killed at':24} {'on purpose':>10} {'by chance':>10}")
    for point in sorted(aimed | met):
        print(f"{point:24} {aimed[point]:10} {met[point]:10}")
    all_kills = aimed + met
    inside = all_kills.total() - all_kills[OUTSIDE] - all_kills[LOCKING]
    print(f"{all_kills.total()} kills, {inside} of them inside a transaction")


def test_writers_may_be_killed_at_any_point(tmp_path: Path) -> None:
    kills = killed(tmp_path, 64, seed=1)
    assert kills.total() >= 64
    assert all(kills[point] > 0 for point in NEVER_MISSING)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(20))
def test_five_hundred_writers_may_be_killed(tmp_path: Path, seed: int) -> None:
    kills = killed(tmp_path, 500, seed)
    assert kills.total() >= 500
    assert all(kills[point] > 0 for point in NEVER_MISSING)

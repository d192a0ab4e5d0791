"""A write-ahead log that lost its end leaves a shorter history, but a whole one.

So it is after a power loss that took unsynced writes along, and after a copy of the files that was cut short: what
is there is what was committed up to some moment, batch by batch, and its chain is right.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from crash.trouble import new_world, sound, written
from world.acts import T, attribute, begun, hook, step

from auditor.world.sqlite import SqliteWorld

HEADER = 32
FRAME = 24 + 4096


@dataclass
class Grown:
    """A world that nobody closed: its files, and for each append the length of its log then and the ids so far."""

    path: Path
    log: bytes
    appends: list[tuple[int, set[str]]]

    def cut_to(self, log: bytes) -> set[str]:
        """The ids of the events that are found if this is left of the log; they must be sound."""
        copy = self.path.with_name("cut.db")
        for suffix in ("-wal", "-shm"):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)
        shutil.copy(self.path, copy)
        copy.with_name(copy.name + "-wal").write_bytes(log)
        return written(sound(copy))

    def expected(self, length: int) -> set[str]:
        """The ids of what was committed within so much of the log."""
        return max((ids for end, ids in self.appends if end <= length), key=len, default=set())


@pytest.fixture
async def grown(tmp_path: Path) -> Grown:
    live = new_world(tmp_path, "live.db")
    path = tmp_path / "copy.db"
    log = live.with_name("live.db-wal")
    appends: list[tuple[int, set[str]]] = []
    ids: set[str] = set()
    async with SqliteWorld(live) as world:
        run = await begun(world)
        ids |= {event.event_id for event in await run.log()}
        appends.append((log.stat().st_size, set(ids)))
        for n in range(8):
            made = [step(T.STEP_CREATED, f"step_{n}"), hook(T.HOOK_CREATED, f"hook_{n}", f"token {n}")]
            appended = await run.append(*made, *(attribute(padding="x" * 500 * n) for _ in range(n % 4)))
            ids |= {event.event_id for event in appended.events}
            appends.append((log.stat().st_size, set(ids)))
        shutil.copy(live, path)
        return Grown(path, log.read_bytes(), appends)


def cuts(log: bytes) -> Iterator[int]:
    """Before, in the head of, and in the middle of every page of the log, and behind the last."""
    for frame in range(HEADER, len(log), FRAME):
        yield from (frame, frame + 12, frame + FRAME // 2)
    yield len(log)


async def test_a_log_that_was_cut_leaves_what_was_committed_before_the_cut(grown: Grown) -> None:
    assert len(grown.log) > 40 * FRAME
    for cut in cuts(grown.log):
        assert grown.cut_to(grown.log[:cut]) == grown.expected(cut)


@pytest.mark.parametrize("noise", ["zeros", "noise"])
async def test_what_stands_behind_the_cut_is_not_taken_for_history(grown: Grown, noise: str) -> None:
    chance = random.Random(1)
    for cut in chance.sample(list(cuts(grown.log)), 60):
        left = len(grown.log) - cut
        behind = bytes(left) if noise == "zeros" else chance.randbytes(left)
        assert grown.cut_to(grown.log[:cut] + behind) == grown.expected(cut)


async def test_one_page_that_was_never_written_hides_all_that_was_committed_after_it(grown: Grown) -> None:
    for frame in range(HEADER, len(grown.log), FRAME):
        with_a_hole = grown.log[:frame] + bytes(FRAME) + grown.log[frame + FRAME :]
        assert grown.cut_to(with_a_hole) == grown.expected(frame)

"""Writers that are killed, one after another and sometimes all at once, while they write to the same runs.

Half of them die at a chosen point of a transaction, the other half at a moment that somebody outside chooses. The
next writer in their place knows what they had not been told, and goes on. Runs in a `crash.lab.laboratory`.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crash import lab, writer
from crash.evidence import facts, judge
from crash.journal import History, Intent, Journal, Reading, read
from crash.points import OUTSIDE, watch, watch_statements

from auditor.world import open_world

WRITERS = 3
SCOUTING = 0.6
"""Seconds that one writer works unharmed, to find out which points there are."""

PATIENCE = 3.0
"""Seconds after which a writer that has not come to its point is killed where it is."""

ALL_AT_ONCE = 8
"""Every so many kills nobody is left, so that the next writer has to recover the file."""

FINISH_WITHIN = 60.0


class Whereabouts:
    """The point at which a process is, in memory that its parent can read when it is gone."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 64)

    def set(self, point: str) -> None:
        self._memory[:] = point.encode()[:64].ljust(64)

    @property
    def point(self) -> str:
        return self._memory[:].decode().rstrip()


@dataclass
class Slot:
    """A place for one writer at a time, with the journal that they hand on."""

    number: int
    folder: Path
    pid: int = 0
    generation: int = 0
    deadline: float = 0.0
    aimed: str | None = None
    history: History = field(default_factory=History)
    where: Whereabouts = field(default_factory=Whereabouts)

    def __post_init__(self) -> None:
        self.path = self.folder / f"writer-{self.number}.journal"
        self._reading = Reading(self.path)

    def unanswered(self) -> list[Intent]:
        self._reading.into(self.history)
        return self.history.unanswered


@dataclass
class Orders:
    """What a new writer is to do: which tasks, until when, and at which point it dies."""

    tasks: Iterable[writer.Task] = writer.WORK
    end: writer.Task = writer.all_over
    dies_at: str | None = None
    after: int = 0


@dataclass
class Campaign:
    """One campaign against one world."""

    url: str
    folder: Path
    chance: random.Random
    points: list[str] = field(default_factory=list)
    aimed: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    meant: Counter[str] = field(default_factory=Counter)
    sent: int = 0

    def __post_init__(self) -> None:
        self.slots = [Slot(number, self.folder) for number in range(WRITERS)]

    @property
    def kills(self) -> int:
        return self.aimed.total() + self.met.total()

    def scout(self) -> None:
        slot = self.slots[0]
        self.start(slot, Orders(end=_for_a_while))
        self.must_end_well(slot)
        slot.unanswered()
        self.points = sorted(slot.history.points)

    def kill(self, count: int) -> None:
        """Kill so many writers, and at every point at least one."""
        while self.kills < count or (self.kills < 2 * count and len(self.aimed) < len(self.points)):
            for slot in self.slots:
                self.start(slot, self.orders())
            before_all_die = self.kills + ALL_AT_ONCE - WRITERS
            while self.kills < before_all_die:
                slot = self.next_death()
                self.start(slot, self.orders())
            time.sleep(self.chance.uniform(0, 0.06))
            for slot in self.slots:
                os.kill(slot.pid, signal.SIGKILL)
            for slot in self.slots:
                self.count(slot, lab.ended(slot.pid))
            self.must_hold()

    def must_hold(self) -> None:
        """What is stored agrees with what the writers know, now that none of them is alive."""
        code, _ = lab.answer(lambda: judge(facts(self.url), read(self.folder)))
        assert code == 0, f"after {self.kills} kills"

    def finish(self) -> None:
        """Let writers that nobody kills bring every run to its end, and leave no request without its answer.

        When the last run is over all tasks stop where they are, also one that waits for the answer that says so.
        Whoever asks last therefore asks for nothing new.
        """
        for orders in (Orders(writer.FINISH), Orders(tasks=(), end=writer.at_once)):
            for slot in self.slots:
                self.start(slot, orders)
            for slot in self.slots:
                self.must_end_well(slot)

    def orders(self) -> Orders:
        """Every other writer dies at a point: at the one where the fewest did so far."""
        self.sent += 1
        if self.sent % 2:
            return Orders()
        point = min(self.points, key=lambda point: (self.aimed[point], self.meant[point]))
        self.meant[point] += 1
        return Orders(dies_at=point, after=self.chance.randrange(3))

    def start(self, slot: Slot, orders: Orders) -> None:
        unanswered = slot.unanswered()
        slot.generation += 1
        slot.aimed = orders.dies_at
        patience = PATIENCE if orders.dies_at else self.chance.uniform(0.02, 0.25)
        slot.deadline = time.monotonic() + patience
        slot.where.set(OUTSIDE)
        seed = self.chance.getrandbits(32)
        slot.pid = lab.fork(lambda: asyncio.run(_live(self.url, slot, seed, unanswered, orders)))

    def next_death(self) -> Slot:
        """Wait until a writer has died, at its point or by our hand."""
        while True:
            for slot in self.slots:
                pid, status = os.waitpid(slot.pid, os.WNOHANG)
                if pid:
                    self.count(slot, os.waitstatus_to_exitcode(status))
                    return slot
                if time.monotonic() > slot.deadline:
                    os.kill(slot.pid, signal.SIGKILL)
                    slot.deadline += 3600
            time.sleep(0.001)

    def count(self, slot: Slot, code: int) -> None:
        assert code == -signal.SIGKILL, f"writer {slot.number} ended by itself ({code})"
        point = slot.where.point
        (self.aimed if point == slot.aimed else self.met)[point] += 1

    def must_end_well(self, slot: Slot) -> None:
        end = time.monotonic() + FINISH_WITHIN
        while (left := os.waitpid(slot.pid, os.WNOHANG))[0] == 0:
            assert time.monotonic() < end, "the writers do not come to an end"
            time.sleep(0.002)
        assert left[1] == 0, f"writer {slot.number} failed"


async def _live(url: str, slot: Slot, seed: int, unanswered: list[Intent], orders: Orders) -> None:
    journal = Journal(slot.path)
    seen: set[str] = set()
    watches = watch if url.startswith("sqlite:") else watch_statements
    watches(_passing(slot.where, seen, orders))
    async with await open_world(url) as world:
        name = f"writer-{slot.number}-{slot.generation}"
        client = writer.Client(world, journal, name, random.Random(seed))
        await writer.work(client, unanswered, orders.tasks, orders.end)
    journal.saw(seen - {OUTSIDE})


def _passing(where: Whereabouts, seen: set[str], orders: Orders) -> Callable[[str], None]:
    left = orders.after

    def passed(point: str) -> None:
        nonlocal left
        where.set(point)
        seen.add(point)
        if point == orders.dies_at:
            if left == 0:
                lab.die()
            left -= 1

    return passed


async def _for_a_while(_client: writer.Client) -> None:
    await asyncio.sleep(SCOUTING)


def kill_writers(url: str, folder: str, kills: int, seed: int) -> dict[str, Any]:
    """Kill so many writers of a new world; its runs are left as the last of them left them."""
    campaign = Campaign(url, Path(folder), random.Random(seed))
    campaign.scout()
    campaign.kill(kills)
    return {"points": campaign.points, "aimed": campaign.aimed, "met": campaign.met}


def work_until(url: str, folder: str, stop: str, seed: int) -> None:
    """Let writers work that nobody kills, whatever happens to their store, until there is a file `stop`."""

    async def stopped(_client: writer.Client) -> None:
        while not Path(stop).exists():
            await asyncio.sleep(0.02)

    campaign = Campaign(url, Path(folder), random.Random(seed))
    for slot in campaign.slots:
        campaign.start(slot, Orders(end=stopped))
    while not Path(stop).exists():
        time.sleep(0.02)
    for slot in campaign.slots:
        campaign.must_end_well(slot)
    campaign.must_hold()


def finish(url: str, folder: str) -> None:
    """Bring every run of the world to its end."""
    campaign = Campaign(url, Path(folder), random.Random(0))
    campaign.finish()
    campaign.must_hold()

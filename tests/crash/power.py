"""What a power loss leaves of a world: everything that was synced, and of the rest whatever the disk had got to.

A disk may have written any of the calls since the last sync of a file, in any order, and of each only some
sectors. Runs in a `crash.lab.laboratory`.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crash import writer
from crash.disk import OK, Did, Disk
from crash.evidence import in_sqlite, judge
from crash.journal import History, Journal

from auditor.world.sqlite import SqliteWorld

SECTOR = 512
RUNS = 4
PAGES_BETWEEN_CHECKPOINTS = 40


@dataclass(frozen=True)
class Told:
    """What a writer was told, between two calls of the disk."""

    record: dict[str, Any]


class _Listening(Journal):
    """A journal that also lies in the sequence of what the disk did."""

    def __init__(self, path: Path, happened: list[Did | Told]) -> None:
        super().__init__(path)
        self._happened = happened

    def _write(self, record: dict[str, Any]) -> None:
        self._happened.append(Told(record))


@dataclass
class Platter:
    """One file: what is certainly on the disk, and the calls that may be."""

    durable: bytearray
    pending: list[Did] = field(default_factory=list)

    def does(self, did: Did) -> None:
        if did.call == "sync":
            for call in self.pending:
                _apply(self.durable, call)
            self.pending.clear()
        else:
            self.pending.append(did)

    def after_power_loss(self, chance: random.Random) -> bytes:
        left = bytearray(self.durable)
        keep = chance.choice((0.0, 0.5, 0.9))
        for call in self.pending:
            if chance.random() < keep:
                _apply(left, call, torn=chance.random() < 0.3, chance=chance)
        return bytes(left)


def _apply(file: bytearray, did: Did, *, torn: bool = False, chance: random.Random | None = None) -> None:
    if did.call == "truncate":
        del file[did.offset :]
        return
    data = did.data
    if torn and chance is not None:
        end = (did.offset + chance.randrange(len(data) + 1)) // SECTOR * SECTOR
        data = data[: max(end - did.offset, 0)]
    file.extend(bytes(max(did.offset + len(data) - len(file), 0)))
    file[did.offset : did.offset + len(data)] = data


def survey(path: str, synchronous: str, losses: int, seed: int) -> dict[str, int]:
    """Let writers work on a world, then pull the plug at so many moments: what was lost, and what was broken."""
    chance = random.Random(seed)
    world = Path(path)
    start = {"": bytearray(world.read_bytes()), "-wal": bytearray()}
    happened = _worked(world, synchronous, seed)
    told = [place for place, what in enumerate(happened, 1) if isinstance(what, Told) and "done" in what.record]
    moments = set(chance.sample(told, min(losses // 2, len(told))))
    others = [place for place in range(1, len(happened) + 1) if place not in moments]
    moments |= set(chance.sample(others, min(losses - len(moments), len(others))))
    found = {"losses": 0, "lost": 0, "broken": 0, "syncs": 0, "moved": 0}
    for what in happened:
        if isinstance(what, Did):
            found["syncs"] += what.call == "sync"
            found["moved"] += what.call == "write" and what.suffix == ""
    wanted = _learned(what for what in happened if isinstance(what, Told) and "wants" in what.record)
    for platters, history in _moments(start, happened, moments):
        found["losses"] += 1
        history.intents = wanted.intents
        verdict = _judged(platters, history, chance)
        if verdict is not None:
            found[verdict] += 1
    return found


def _worked(path: Path, synchronous: str, seed: int) -> list[Did | Told]:
    """All that the disk did while a few runs were brought to their end, and what their writers were told."""
    happened: list[Did | Told] = []

    def before(did: Did) -> int:
        happened.append(did)
        return OK

    Disk(path, before).connect_through(pages_between_checkpoints=PAGES_BETWEEN_CHECKPOINTS)

    async def work() -> int:
        world = SqliteWorld(path, synchronous=synchronous)
        journal = _Listening(path.with_suffix(".journal"), happened)
        client = writer.Client(world, journal, "writer", random.Random(seed))
        for _ in range(RUNS):
            await client.start()
        await writer.work(client, [], writer.FINISH, writer.all_over)
        plug = len(happened)
        await world.close()
        return plug

    return happened[: asyncio.run(work())]


def _learned(told: Iterator[Told]) -> History:
    history = History()
    for what in told:
        history.learn(json.dumps(what.record).encode())
    return history


def _moments(
    start: dict[str, bytearray], happened: list[Did | Told], moments: set[int]
) -> Iterator[tuple[dict[str, Platter], History]]:
    """The files, and what was known, at each of the moments."""
    platters = {suffix: Platter(bytearray(data)) for suffix, data in start.items()}
    history = History()
    for place, what in enumerate(happened, 1):
        if isinstance(what, Told):
            history.learn(json.dumps(what.record).encode())
        else:
            platters[what.suffix].does(what)
        if place in moments:
            yield platters, history


def _judged(platters: dict[str, Platter], history: History, chance: random.Random) -> str | None:
    with tempfile.TemporaryDirectory(prefix="power-") as folder:
        path = Path(folder) / "world.db"
        for suffix, platter in platters.items():
            path.with_name(path.name + suffix).write_bytes(platter.after_power_loss(chance))
        try:
            facts = in_sqlite(path)
            judge(facts, History(history.intents))
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it is broken
            return "broken"
        try:
            judge(facts, history)
        except AssertionError:
            return "lost"
    return None

"""A disk that fails at one call of an append, one that is full, and writers under load. Runs in a laboratory."""

from __future__ import annotations

import asyncio
import os
import pwd
import random
import resource
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crash import lab, writer
from crash.disk import OK, Did, Disk
from crash.journal import Journal
from crash.trouble import new_world, sound, told
from world.acts import OneRun, attribute, begun

from auditor.world import Appended, open_world
from auditor.world.sqlite import SqliteWorld

FULL, READONLY, IOERR_WRITE, IOERR_FSYNC, IOERR_TRUNCATE = 13, 8, 778, 1034, 1546
CODES = {"write": (FULL, IOERR_WRITE, READONLY), "sync": (IOERR_FSYNC,), "truncate": (IOERR_TRUNCATE,)}
BATCH = tuple(attribute(n=n) for n in range(3))


class _SteadyDisk(Disk):
    """A disk that can open many worlds, one after another."""

    def _open(self, opens: Any, vfs: int, name: Any, file: int, flags: int, out: int) -> int:
        # SQLite keeps the address of a file's name for as long as the file is open.
        self._kept.append(name)
        return super()._open(opens, vfs, name, file, flags, out)

    def _on_sync(self, file: int, _flags: int) -> int:
        # Nobody pulls the plug here, so nothing waits for the real disk.
        return self._before(Did("sync", self._suffix[file]))


@dataclass
class Fuse:
    """Fails one call, or that one and all after it, while it is armed."""

    armed: bool = False
    lasting: bool = False
    fails_at: int | None = None
    code: int = OK
    calls: list[Did] = field(default_factory=list)

    def __call__(self, did: Did) -> int:
        if not self.armed:
            return OK
        number = len(self.calls)
        self.calls.append(did)
        hit = self.fails_at is not None and (number >= self.fails_at if self.lasting else number == self.fails_at)
        return self.code if hit else OK


def every_call(folder: str) -> list[dict[str, Any]]:
    """What became of an append for each call of the disk that failed: once, or from then on."""
    code, said = lab.answer(lambda: asyncio.run(_every_call(Path(folder))))
    assert code == 0
    return said


async def _every_call(folder: Path) -> list[dict[str, Any]]:
    template = new_world(folder, "template.db")
    async with SqliteWorld(template) as world:
        run_id = (await begun(world)).id
    fuse = Fuse()
    _SteadyDisk(folder / "world", fuse).connect_through(pages_between_checkpoints=1)
    await _one(template, fuse, run_id)
    unharmed = list(fuse.calls)
    commit = next(n for n, did in enumerate(unharmed) if did.suffix.endswith(".db")) - 1
    while unharmed[commit - 1].call == "sync":
        commit -= 1
    found = []
    for fuse.lasting in (False, True):
        for number, did in enumerate(unharmed):
            codes = CODES[did.call][:1] if fuse.lasting else CODES[did.call]
            for fuse.code in codes:
                fuse.fails_at = number
                result = await _one(template, fuse, run_id)
                place = {"call": did.call, "number": number, "code": fuse.code, "lasting": fuse.lasting}
                found.append({**place, "commit": (number > commit) - (number < commit), **result})
    return found


async def _one(template: Path, fuse: Fuse, run_id: str) -> dict[str, Any]:
    """One append through the fuse, and those after it. `there`: what a process finds that comes up right then."""
    path = template.with_name("world.db")
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(template, path)
    world = SqliteWorld(path)
    run = OneRun(world, run_id)
    fuse.calls.clear()
    fuse.armed = True
    answer = await told(run.append(*BATCH, idempotency_key="the key"))
    fuse.armed = False
    there = _written(path, run_id)
    seen = len(await run.log()) - 2
    after = await told(run.append(*BATCH, idempotency_key="the key"))
    following = await told(run.append(attribute(n=4)))
    await world.close()
    return {
        "told": type(answer).__name__,
        "unknown": getattr(answer, "outcome_unknown", False),
        "there": there,
        "seen": seen,
        "again": isinstance(after, Appended),
        "next": isinstance(following, Appended),
        "finally": _written(path, run_id),
    }


def _written(path: Path, run_id: str) -> int:
    """How many events the log has beyond the two that it began with."""
    return len(sound(path).events[run_id]) - 2


def no_room(folder: str) -> dict[str, Any]:
    """What becomes of appends when no file may grow any more."""
    code, said = lab.answer(lambda: asyncio.run(_no_room(Path(folder))))
    assert code == 0
    return said


async def _no_room(folder: Path) -> dict[str, Any]:
    path = new_world(folder)
    async with SqliteWorld(path) as world:
        run = await begun(world)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = path.with_name(path.name + "-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 300_000, hard))
        answers = [await told(run.append(attribute(n=n, padding="x" * 50_000))) for n in range(20)]
        log = len(await run.log())
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        lifted = await told(run.append(attribute(n=20, padding="x" * 50_000)))
    return {
        "told": [type(answer).__name__ for answer in answers],
        "log": log,
        "lifted": isinstance(lifted, Appended),
        "finally": len(sound(path).events[run.id]),
    }


def not_ours(path: str) -> list[str]:
    """What a user is told who may read a world, but not write to it."""

    def visit() -> list[str]:
        if os.getuid() == 0:
            os.setuid(pwd.getpwnam("nobody").pw_uid)
        return asyncio.run(_visited(Path(path)))

    code, said = lab.answer(visit)
    assert code == 0
    return said


async def _visited(path: Path) -> list[str]:
    world = SqliteWorld(path)
    answers = [await told(begun(world)), await told(world.runs())]
    await world.close()
    return [type(answer).__name__ for answer in answers]


def four_writers(url: str, folder: str, seconds: float) -> None:
    """Let four processes write to one world for some time; each must end well."""

    async def live(number: int) -> None:
        async def end(_client: writer.Client) -> None:
            await asyncio.sleep(seconds)

        journal = Journal(Path(folder) / f"writer-{number}.journal")
        async with await open_world(url) as world:
            client = writer.Client(world, journal, f"writer-{number}", random.Random(number))
            await writer.work(client, [], writer.WORK, end)

    pids = [lab.fork(lambda number=number: asyncio.run(live(number))) for number in range(4)]
    assert [lab.ended(pid) for pid in pids] == [0] * 4

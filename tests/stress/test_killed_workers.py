"""Workers are killed while they tick and execute: others finish their work, and nothing in the log tells of it."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from auditor import audit
from auditor.errors import NotFound, RunTerminal
from auditor.model.judgement import Verdict
from auditor.runtime import resume_hook, start
from auditor.stress import Shape
from auditor.stress.shape import stress
from auditor.world import World, create_world, open_world
from auditor.world.verify import verify

RUNS = 20
KILLS = 8
LEASE_MS = 500
SHAPE = Shape(iterations=4, sleep_ms=150, sleep_branch_wait_ms=50, drain_delay_ms=30)


def worker(url: str) -> subprocess.Popen[bytes]:
    command = Path(sys.executable).with_name("auditor")
    options = ["--workflow", "auditor.stress.shape:stress", "--lease-ms", str(LEASE_MS), "--log-level", "error"]
    return subprocess.Popen([command, "world", "work", url, *options], stderr=subprocess.PIPE)


async def all_over(world: World, runs: list[str]) -> bool:
    found = [await world.run(run_id) for run_id in runs]
    return all(run is not None and run.completed_at is not None for run in found)


async def test_runs_come_to_their_end_however_often_their_workers_are_killed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'world.db'}"
    await create_world(url)
    chance = random.Random(1)
    async with await open_world(url) as world:
        runs = [await start(world, stress, f"token-{number}", SHAPE.as_json()) for number in range(RUNS)]
        workers = [worker(url), worker(url)]
        end, kills = time.monotonic() + 90, 0
        while not await all_over(world, runs):
            assert time.monotonic() < end, f"{kills} kills"
            await asyncio.sleep(chance.uniform(0.1, 0.5))
            for number in range(RUNS):
                if chance.random() < 0.3 and await world.hook_by_token(f"token-{number}"):
                    with suppress(NotFound, RunTerminal):  # the run may have ended just now
                        await resume_hook(world, f"token-{number}", kills)
            # Only one that has come to work is worth a kill.
            if kills < KILLS and await world.runs("running"):
                victim = workers.pop(0)
                victim.kill()
                victim.communicate()
                assert victim.returncode == -signal.SIGKILL
                workers.append(worker(url))
                kills += 1
        for one in workers:
            one.terminate()
            _, said = one.communicate()
            assert (one.returncode, said) == (0, b"")
        assert kills == KILLS
        states = {(await world.run(run_id)).status for run_id in runs}  # type: ignore[union-attr]
        assert states == {"completed"}
        assert (await verify(world)).is_sound
    with audit(tmp_path / "world.db") as result:
        assert result.verdict is Verdict.SOUND
        assert [finding for finding in result.findings if finding["severity"] == "error"] == []

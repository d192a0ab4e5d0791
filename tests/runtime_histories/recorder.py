"""Records the histories beside it, and the samples of the rules on cold replay, by running workflows.

    python tests/runtime_histories/recorder.py

Each is a run on a SQLite world whose clock this script holds. The files are replaced, with other event ids.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flows_then as then
import samples_then as samples

from auditor.model.ids import ulid
from auditor.runtime import Worker, cancel, resume_hook, start, workflow
from auditor.runtime.replayer import ENDS
from auditor.world import create_world
from auditor.world.export import export
from auditor.world.sqlite import SqliteWorld

HERE = Path(__file__).parent
RULES = HERE.parents[1] / "rules" / "replay"
START = 1_795_392_000_000
HOUR = 3_600_000


class Clock:
    """A clock that goes on only when it is told to."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def __call__(self) -> int:
        return self.ms


@dataclass
class Stage:
    """A run, and what can be done to it."""

    world: SqliteWorld
    clock: Clock
    run_id: str

    async def types(self) -> list[str]:
        return [event.event_type for event in (await self.world.events(self.run_id)).events]

    async def until(self, *wanted: str, step_ms: int = 20) -> None:
        """Let time pass until the log ends with one of these."""
        for _ in range(4_000):
            if (await self.types())[-1] in wanted:
                return
            self.clock.ms += step_ms
            await asyncio.sleep(0.003)
        raise AssertionError(f"{self.run_id} never came to {wanted}: {await self.types()}")

    async def ended(self) -> None:
        await self.until(*(kind.value for kind in ENDS))


Act = Callable[[Stage], Awaitable[None]]


@dataclass
class Story:
    """A history to record: its file, its workflow and input, and what happens to the run."""

    path: Path
    flow: Callable[..., Any]
    args: tuple[Any, ...] = ("tea",)
    act: Act = Stage.ended
    payloads: bool = True


async def delivered(stage: Stage) -> None:
    await stage.until("wait_created")
    await resume_hook(stage.world, then.TOKEN, {"by": "ann"}, resume_id="resume_1")
    await stage.ended()


async def an_hour_later(stage: Stage) -> None:
    await stage.until("wait_created")
    stage.clock.ms += HOUR
    await stage.ended()


async def nothing_delivered(stage: Stage) -> None:
    await stage.until("hook_created")
    await resume_hook(stage.world, then.TOKEN, None, resume_id="resume_1")
    await stage.ended()


async def cancelled(stage: Stage) -> None:
    await stage.until("hook_created")
    await cancel(stage.world, stage.run_id, "not wanted")


async def left_open(stage: Stage) -> None:
    await stage.until("hook_created")


async def redeployed(stage: Stage) -> None:
    """New code is deployed while the run sleeps: it goes another way, and the run is given up."""
    await stage.until("wait_created")

    @workflow(name="workflow//./flows//redeployed")
    async def changed(ctx: Any, item: str) -> int:
        return int(await ctx.step(then.charge, item))

    await stage.ended()


HISTORIES = [
    Story(HERE / "sequential.ndjson", then.sequential),
    Story(HERE / "race-won-by-the-hook.ndjson", then.race, act=delivered),
    Story(HERE / "race-won-by-the-sleep.ndjson", then.race, act=an_hour_later),
    Story(HERE / "retries.ndjson", then.retries),
    Story(HERE / "cancelled.ndjson", then.waiting, act=cancelled),
    Story(HERE / "in-flight.ndjson", then.waiting, act=left_open),
    Story(HERE / "hook-conflict.ndjson", then.taken),
    Story(HERE / "failed-by-its-own-error.ndjson", then.failing),
    Story(HERE / "null-everywhere.ndjson", then.nothing, (), nothing_delivered),
    Story(HERE / "given-up-as-corrupt.ndjson", then.redeployed, act=redeployed),
]

ACTS: dict[str, Act] = {
    "holds-the-run-was-cancelled": cancelled,
    "holds-the-run-is-under-way": left_open,
    "fires-the-branches-of-a-race-were-swapped": delivered,
    "fires-warning-another-version-an-hour-later": an_hour_later,
    "fires-info-another-path-an-hour-later": an_hour_later,
    "holds-the-names-alternate": an_hour_later,
    "holds-another-function-an-hour-later": an_hour_later,
}
SAMPLES = [
    Story(
        RULES / f"{rule}.samples" / f"{name}.ndjson",
        flow,
        act=ACTS.get(name, Stage.ended),
        payloads=name != "cannot-tell-its-payloads-were-left-out",
    )
    for (rule, name), flow in samples.FLOWS.items()
]


async def record(story: Story, number: int) -> None:
    ms = START + number * 60_000
    clock = Clock(ms)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "world.db"
        await create_world(f"sqlite:///{path}")
        async with SqliteWorld(path, synchronous="OFF", clock=clock) as world:
            run_id = await start(world, story.flow, *story.args, run_id=f"wrun_{ulid((ms << 80) + 7919 * number)}")
            async with Worker(world, writer_id="recorder"):
                await story.act(Stage(world, clock, run_id))
                await asyncio.sleep(0.1)
            story.path.parent.mkdir(exist_ok=True)
            await export(world, story.path, payloads=story.payloads, force=True)
    story.path.write_text(_anonymous(story.path.read_text("utf-8")), "utf-8")


def _anonymous(log: str) -> str:
    """The log without the name of this machine."""
    lines = []
    for line in log.splitlines():
        record = json.loads(line)
        if "writerId" in record:
            record["writerId"] = "recorder"
        lines.append(json.dumps(record, separators=(",", ":")))
    return "\n".join(lines) + "\n"


async def main() -> None:
    for number, story in enumerate([*HISTORIES, *SAMPLES], start=1):
        await record(story, number)


if __name__ == "__main__":
    asyncio.run(main())

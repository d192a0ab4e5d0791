"""The published experiment, small: what it does to a log without fences, and that fences keep it whole.

The sizes of the issue it imitates (200 runs, two cycles, both stores, lease on and off) are in the proofs.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from auditor import audit
from auditor.errors import RunTerminal
from auditor.model.judgement import Verdict
from auditor.model.rows import Event
from auditor.runtime import FencePolicy, Nondeterminism, cancel, start
from auditor.runtime.registry import workflow_of
from auditor.runtime.replayer import Replay
from auditor.stress import Latency, Outcome, Plan, Shape, run_cycle
from auditor.stress.latency import DistantWorld
from auditor.stress.shape import stress
from auditor.world import World, create_world, open_world
from auditor.world.export import export

if TYPE_CHECKING:
    from postgres import Server

SMALL = Plan(
    count=24, shape=Shape(iterations=3, sleep_ms=200), fire_after_ms=300, fire_jitter_ms=400, timeout_seconds=60
)
RACING = Plan(
    count=60,
    shape=Shape(iterations=2),
    fire_after_ms=1200,
    fire_jitter_ms=2000,
    fire_count=4,
    fire_burst_spacing_ms=400,
    latency=Latency(150, 250),
    timeout_seconds=60,
)
"""Slow replays, and signals that come while the first sleep ends: what corrupts a log that nobody fences."""


async def outcome_of(url: str, plan: Plan, log: Path) -> Outcome:
    await create_world(url)
    async with await open_world(url) as world:
        outcome = await run_cycle(world, url, plan)
        await export(world, log, fence_policy=plan.policy.value)
    return outcome


async def events_of(url: str, runs: set[str]) -> dict[str, tuple[Event, ...]]:
    async with await open_world(url) as world:
        return {run_id: (await world.events(run_id)).events for run_id in sorted(runs)}


def must_be_sound(outcome: Outcome, log: Path) -> None:
    """Every run completed, every acknowledged signal is in the log, and no rule finds anything against it."""
    assert outcome.states == {"completed": len(outcome.runs)}
    assert outcome.lost == []
    assert outcome.signals["acknowledged"] > 0
    with audit(log) as result:
        assert result.verdict is Verdict.SOUND
        assert [finding for finding in result.findings if finding["severity"] != "info"] == []


@pytest.mark.parametrize("serialise", [False, True], ids=["lease off", "lease on"])
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_with_every_decision_fenced_two_processes_bring_all_runs_to_their_end(
    store: str, serialise: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if store == "sqlite":
        url = f"sqlite:///{tmp_path / 'world.db'}"
    else:
        server: Server = request.getfixturevalue("server")
        url = server.database(f"stress_{serialise}".lower())
    plan = replace(SMALL, workers=2, serialise=serialise)
    outcome = asyncio.run(outcome_of(url, plan, tmp_path / "log.ndjson"))
    must_be_sound(outcome, tmp_path / "log.ndjson")


def test_without_fences_runs_die_and_the_audit_finds_each_of_them(tmp_path: Path) -> None:
    log = tmp_path / "log.ndjson"
    plan = replace(RACING, policy=FencePolicy.OFF)
    url = f"sqlite:///{tmp_path / 'world.db'}"
    outcome = asyncio.run(outcome_of(url, plan, log))
    died = outcome.states["failed: CORRUPTED_EVENT_LOG"]
    print(f"\n{died} of {len(outcome.runs)} runs corrupted without fences")
    assert died > 0
    assert outcome.states["completed"] + died == len(outcome.runs)
    assert outcome.lost == []
    with audit(log) as result:
        corrupted = {run["run_id"] for run in result.runs if run["runtime_verdict"] == "corrupted"}
        accused = {f["run_id"] for f in result.findings if f["severity"] == "error" and f["confidence"] == "proof"}
        assert len(corrupted) == died
        # A run that gave up before its two branches met under one id has left no proof in the log alone: the stale
        # decision stands there, and only the code says that it is one.
        histories = asyncio.run(events_of(url, corrupted - accused))
        for events in histories.values():
            with Replay(workflow_of(stress), events[0].run_id) as replay, pytest.raises(Nondeterminism):
                replay.deliver_all(events)
        print(f"{len(corrupted & accused)} proven by the log, {len(histories)} by a replay of the code")
        assert corrupted & accused
        assert {run["run_id"] for run in result.runs if run["log_verdict"] == Verdict.CORRUPT} <= accused


def test_the_same_under_fences_is_sound_and_decisions_are_made_again(tmp_path: Path) -> None:
    log = tmp_path / "log.ndjson"
    outcome = asyncio.run(outcome_of(f"sqlite:///{tmp_path / 'world.db'}", RACING, log))
    must_be_sound(outcome, log)
    assert outcome.total("fence_conflicts") > 0
    assert outcome.total("fence_retries") > 0


async def test_a_distant_world_was_read_a_while_ago_and_is_written_to_a_while_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with await open_world("memory://") as world:
        distant: World = DistantWorld(world, Latency(150, 250), random.Random(1))
        lengths: list[tuple[float, int]] = []
        run_id = await start(world, stress, "token", Shape().as_json())

        async def travel(seconds: float) -> None:
            """On the way somebody cancels the run, or sees that it is not yet cancelled."""
            known = (await world.events(run_id)).run.version
            lengths.append((seconds, known))
            if len(lengths) == 1:
                await cancel(world, run_id)

        monkeypatch.setattr("auditor.stress.latency.asyncio.sleep", travel)
        assert len((await distant.events(run_id)).events) == 1, "read before the way back"
        with pytest.raises(RunTerminal):
            await cancel(distant, run_id)
        await distant.now()
        assert [known for _, known in lengths] == [1, 2], "now() does not travel"
        assert all(0.15 <= seconds <= 0.25 for seconds, _ in lengths)


@pytest.mark.proof
@pytest.mark.parametrize("serialise", [False, True], ids=["lease off", "lease on"])
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_the_published_parameters_leave_400_of_400_runs_completed(
    store: str, serialise: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if store == "sqlite":
        url = f"sqlite:///{tmp_path / 'world.db'}"
    else:
        url = request.getfixturevalue("server").database(f"published_{serialise}".lower())

    async def two_cycles() -> Outcome:
        await create_world(url)
        total = Outcome()
        async with await open_world(url) as world:
            for cycle in range(2):
                total += await run_cycle(world, url, Plan(workers=2, serialise=serialise, seed=cycle))
            await export(world, tmp_path / "log.ndjson")
        return total

    outcome = asyncio.run(two_cycles())
    assert len(outcome.runs) == 400
    must_be_sound(outcome, tmp_path / "log.ndjson")

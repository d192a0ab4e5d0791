"""Any interleaving of fenced and unfenced appends leaves a log whose fences all hold."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from interleaved import SCRIPTS, Script, Story, Turns, must_hold, play, two_runs
from stores import Clock

from auditor.model.events import FenceKind
from auditor.world import decision
from auditor.world.base import BaseWorld
from auditor.world.memory import MemoryWorld

SEEDS = st.integers(0, 2**32 - 1)
ONE_WORLD = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ANSWERS = {
    "accepted",
    "repeated",
    "ENTITY_CONFLICT",
    "FENCE_CONFLICT",
    "INVALID_EVENT",
    "PRECONDITION_FAILED",
    "RUN_TERMINAL",
}
"""What the scripts must bring about, each of them, or the property would hold of little."""


async def scheduled(script: Script, seed: int, *, ticking: bool = False) -> Story:
    """A script on the memory store, in the one order that the seed says."""
    turns, clock = Turns(seed), Clock()

    def now() -> int:
        clock.ms += ticking
        return clock.ms

    async with MemoryWorld(clock=now, point=turns.point) as world:
        story = await two_runs(world)
        await turns.play(play(story, number, acts) for number, acts in enumerate(script))
        await must_hold(story)
    return story


async def at_once(world: BaseWorld, script: Script) -> None:
    """A script on a store that takes its writers as they come."""
    story = await two_runs(world)
    await asyncio.gather(*(play(story, number, acts) for number, acts in enumerate(script)))
    await must_hold(story)


def test_every_interleaving_leaves_a_log_whose_fences_all_hold() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=300, deadline=None)
    @given(script=SCRIPTS, seed=SEEDS, ticking=st.booleans())
    def prop(script: Script, seed: int, ticking: bool) -> None:
        seen.update(asyncio.run(scheduled(script, seed, ticking=ticking)).seen())

    prop()
    assert seen.keys() >= ANSWERS, seen


def test_one_seed_is_one_interleaving() -> None:
    @settings(max_examples=20, deadline=None)
    @given(script=SCRIPTS, seed=SEEDS)
    def prop(script: Script, seed: int) -> None:
        first, second = (asyncio.run(scheduled(script, seed)) for _ in range(2))
        assert [one.request_id for one in first.sent] == [one.request_id for one in second.sent]
        assert first.seen() == second.seen()

    prop()


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@settings(ONE_WORLD, max_examples=15)
@given(script=SCRIPTS)
async def test_writers_at_once_on_sqlite(world: BaseWorld, script: Script) -> None:
    await at_once(world, script)


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
@settings(ONE_WORLD, max_examples=8)
@given(script=SCRIPTS)
async def test_writers_at_once_on_postgres(world: BaseWorld, script: Script) -> None:
    await at_once(world, script)


@pytest.mark.parametrize("kind", [FenceKind.TAIL, FenceKind.AS_OF, FenceKind.STATE_UPDATED_AT])
def test_a_world_that_does_not_judge_a_fence_is_found_out(
    kind: FenceKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: with one check switched off, the same property does not hold."""
    judge, skipped = decision._judge_fence, 0

    def negligent(state: Any, request: Any) -> None:
        nonlocal skipped
        fence = request.append.fence
        if fence is not None and fence.kind is kind:
            skipped += 1
        else:
            judge(state, request)

    monkeypatch.setattr(decision, "_judge_fence", negligent)

    @settings(max_examples=400, deadline=None, database=None, phases=[Phase.generate], report_multiple_bugs=False)
    @given(script=SCRIPTS, seed=SEEDS)
    def prop(script: Script, seed: int) -> None:
        asyncio.run(scheduled(script, seed))

    with pytest.raises(AssertionError):
        prop()
    assert skipped > 0

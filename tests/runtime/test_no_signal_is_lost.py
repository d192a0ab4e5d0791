"""In whatever order tickers, executors and signallers come: no acknowledged signal is lost, the log replays."""

from __future__ import annotations

from collections import Counter

import pytest
from lives import data_of, must_be_sound, must_replay
from scheduled import Played, Scene, implied

from auditor.errors import Nondeterminism
from auditor.model.events import EventType
from auditor.runtime import FencePolicy
from auditor.runtime.registry import workflow_named
from auditor.runtime.tick import CORRUPTED, MAX_DIVERGENCES

T = EventType
WORKFLOW = workflow_named("workflow//./scheduled//rounds")
SEEDS = 2_000
CHUNKS = 4
FLAKY_SEEDS = 120
CONTROL_SEEDS = 60


def played(seed: int, policy: FencePolicy, losses: float = 0.0) -> tuple[Played, int]:
    number = 2 if seed % 4 == 0 else 1
    scene = Scene(seed, policy=policy, tickers=3 if seed % 3 == 0 else 2, signals=2, number=number, losses=losses)
    return scene.play(), number


def must_be_right(story: Played, number: int) -> None:
    """Every signal that was acknowledged is in the log once, and the run came to what the log says."""
    log = story.log
    assert log[-1].event_type == T.RUN_COMPLETED, log[-1].event_type
    in_log = Counter(data_of(event)["payload"] for event in log if event.event_type == T.HOOK_RECEIVED)
    for event, payload in story.acknowledged:
        assert in_log[payload] == 1, payload
        assert log[event.position - 1] == event
    assert max(in_log.values(), default=1) == 1
    assert WORKFLOW is not None
    must_be_sound(WORKFLOW, log)
    assert data_of(log[-1])["output"] == implied(log, number)
    assert story.divergences == 0


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_acknowledged_signal_is_lost_in_any_interleaving(chunk: int) -> None:
    conflicts = signals = told = raced = 0
    for seed in range(chunk, SEEDS, CHUNKS):
        story, number = played(seed, FencePolicy.FULL)
        must_be_right(story, number)
        conflicts += story.conflicts
        signals += len(story.acknowledged)
        told += sum("told" in line for line in data_of(story.log[-1])["output"][:number])
        raced += number
    # Without conflicts the seeds would show nothing, and neither if always the same side won.
    assert conflicts > SEEDS // CHUNKS, conflicts
    assert signals > SEEDS // CHUNKS, signals
    assert 0.2 < told / raced < 0.85, told / raced


def test_neither_is_one_lost_by_a_store_whose_answers_get_lost() -> None:
    """A signal that was not acknowledged is sent again under its resume id, and is one signal."""
    signals = 0
    for seed in range(FLAKY_SEEDS):
        story, number = played(seed, FencePolicy.FULL, losses=0.15)
        must_be_right(story, number)
        signals += len(story.acknowledged)
    assert signals > FLAKY_SEEDS


def test_one_seed_is_one_interleaving() -> None:
    for seed in range(5):
        first, again = (played(seed, FencePolicy.FULL)[0] for _ in range(2))
        assert [(event.event_id, event.tick_id, event.hash) for event in first.log] == [
            (event.event_id, event.tick_id, event.hash) for event in again.log
        ]
        assert first.conflicts == again.conflicts


@pytest.mark.parametrize("policy", [FencePolicy.OFF, FencePolicy.WAIT_COMPLETED_ONLY])
def test_without_the_fence_the_same_seeds_corrupt_runs(policy: FencePolicy) -> None:
    """The negative control, and the number that the fence is worth: every such run is one that users lost."""
    corrupted = completed = 0
    for seed in range(CONTROL_SEEDS):
        story, _ = played(seed, policy)
        end = story.log[-1]
        assert WORKFLOW is not None
        if end.event_type == T.RUN_FAILED:
            corrupted += 1
            assert data_of(end)["errorCode"] == CORRUPTED
            assert story.divergences > MAX_DIVERGENCES
            with pytest.raises(Nondeterminism):
                must_replay(WORKFLOW, story.log)
        else:
            completed += 1
    assert corrupted > CONTROL_SEEDS / 50, corrupted
    assert completed > CONTROL_SEEDS / 2, completed

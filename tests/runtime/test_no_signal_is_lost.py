"""In whatever order tickers, executors and signallers come: no acknowledged signal is lost, the log replays."""

from __future__ import annotations

from collections import Counter

import pytest
from lives import data_of, must_be_sound, must_replay
from rounds import ROUNDS, implied

from auditor.errors import Nondeterminism, StoreUnavailable
from auditor.model.events import EventType
from auditor.model.rows import Event
from auditor.runtime import FencePolicy
from auditor.runtime.tick import CORRUPTED, MAX_DIVERGENCES
from auditor.simulate.faults.base import Fault
from auditor.simulate.play import Played, play
from auditor.world.decision import Decision, Draw, RunState, decide
from auditor.world.draft import Request

T = EventType
SEEDS = 2_000
CHUNKS = 4
FLAKY_SEEDS = 120
CONTROL_SEEDS = 60


class Hasty(Fault):
    """Leases run out while there is work: many a message is delivered twice, which must do no harm."""

    lease_ms = 8


class Flaky(Hasty):
    """A store whose answers get lost sometimes, before the write or behind it."""

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        if state.run is not None and self.draws.one_in(14):
            raise StoreUnavailable("no answer")
        return decide(state, request, now, draw)

    def answered(self, request: Request) -> None:
        if request.drafts[0].event_type is not T.RUN_CREATED and self.draws.one_in(14):
            raise StoreUnavailable("no answer", outcome_unknown=True)


def played(seed: int, policy: FencePolicy, fault: type[Fault] = Hasty) -> tuple[Played, int]:
    number = 2 if seed % 4 == 0 else 1
    workers = 5 if seed % 3 == 0 else 4
    return play(ROUNDS, seed, fault, policy=policy, size=number, workers=workers, shadowed=False), number


def log_of(story: Played) -> list[Event]:
    return story.log(story.runs[0])


def conflicts_of(story: Played) -> int:
    return len({row[10] for row in story.world.rows("refusal", story.runs[0]) if row[6] == "FENCE_CONFLICT"})


def must_be_right(story: Played, number: int) -> None:
    """Every signal that was acknowledged is in the log once, and the run came to what the log says."""
    log = log_of(story)
    assert log[-1].event_type == T.RUN_COMPLETED, log[-1].event_type
    in_log = Counter(data_of(event)["payload"] for event in log if event.event_type == T.HOOK_RECEIVED)
    for event in story.acknowledged:
        assert in_log[data_of(event)["payload"]] == 1
        assert log[event.position - 1] == event
    assert max(in_log.values(), default=1) == 1
    must_be_sound(ROUNDS.workflow, log)
    assert data_of(log[-1])["output"] == implied(log, number)
    assert story.divergences == 0


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_acknowledged_signal_is_lost_in_any_interleaving(chunk: int) -> None:
    conflicts = signals = told = raced = 0
    for seed in range(chunk, SEEDS, CHUNKS):
        story, number = played(seed, FencePolicy.FULL)
        must_be_right(story, number)
        conflicts += conflicts_of(story)
        signals += len(story.acknowledged)
        told += sum("told" in line for line in data_of(log_of(story)[-1])["output"][:number])
        raced += number
    # Without conflicts the seeds would show nothing, and neither if always the same side won.
    assert conflicts > SEEDS // CHUNKS, conflicts
    assert signals > SEEDS // CHUNKS, signals
    assert 0.2 < told / raced < 0.85, told / raced


def test_neither_is_one_lost_by_a_store_whose_answers_get_lost() -> None:
    """A signal that was not acknowledged is sent again under its resume id, and is one signal."""
    signals = 0
    for seed in range(FLAKY_SEEDS):
        story, number = played(seed, FencePolicy.FULL, Flaky)
        must_be_right(story, number)
        signals += len(story.acknowledged)
    assert signals > FLAKY_SEEDS


@pytest.mark.parametrize("policy", [FencePolicy.OFF, FencePolicy.WAIT_COMPLETED_ONLY])
def test_without_the_fence_the_same_seeds_corrupt_runs(policy: FencePolicy) -> None:
    """The negative control, and the number that the fence is worth: every such run is one that users lost."""
    corrupted = completed = 0
    for seed in range(CONTROL_SEEDS):
        story, _ = played(seed, policy)
        end = log_of(story)[-1]
        if end.event_type == T.RUN_FAILED:
            corrupted += 1
            assert data_of(end)["errorCode"] == CORRUPTED
            assert story.divergences > MAX_DIVERGENCES
            with pytest.raises(Nondeterminism):
                must_replay(ROUNDS.workflow, log_of(story))
        else:
            completed += 1
    assert corrupted > CONTROL_SEEDS / 50, corrupted
    assert completed > CONTROL_SEEDS / 2, completed

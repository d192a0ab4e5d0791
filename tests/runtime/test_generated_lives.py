"""Workflows that nobody wrote, on a world and under ticks that are disturbed: none of them ever diverges."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from lives import SOMEBODY, UNFENCED, Life, done
from programs import PROGRAMS, Node, made

from auditor.errors import NotFound
from auditor.model.events import EventType
from auditor.runtime import workflow
from auditor.runtime.tick import Result
from auditor.world import NewEvent
from auditor.world.memory import MemoryWorld

T = EventType
EXAMPLES = 80
LONGEST = 200


def takes_a_token(world: MemoryWorld) -> None:
    """Another run holds one of the tokens, so that some hooks do not get theirs."""
    events = [
        NewEvent(T.RUN_CREATED, data={"workflowName": "other"}),
        NewEvent(T.HOOK_CREATED, "hook_1", {"token": "token 2"}),
    ]
    done(world.append("wrun_other", events, UNFENCED, writer=SOMEBODY))


def lived(program: Node, seed: int) -> tuple[Life, int]:
    """A life in which things happen in the order of a seed, also between a decision and its write."""
    chance = random.Random(seed)
    life = Life(workflow(name="generated")(made(program).function))
    takes_a_token(life.world)
    conflicts = 0

    def signal() -> None:
        hooks = [hook for hook in done(life.world.entities(life.run_id, "hook")) if hook.status == "open"]
        if hooks:
            try:
                done(life.signal(chance.randrange(8), str(chance.choice(hooks).token)))
            except NotFound as error:
                raise AssertionError("it was open") from error

    for turn in range(LONGEST):
        life.later(chance.choice([0, 1, 5]))
        happens = chance.random()
        if happens < 0.3:
            life.steps()
        elif happens < (0.4 if turn < LONGEST / 2 else 0.6):
            signal()
        if chance.random() < 0.5:
            another = chance.random() < 0.5
            life.meddled.before(0, lambda _e, another=another: life.somebody_ticks() if another else signal())
        ticked = life.tick()
        assert ticked.result is Result.DONE, "it diverged"
        if life.ended:
            break
    conflicts = len(life.refusals())
    assert {row.code for row in life.refusals()} <= {"FENCE_CONFLICT"}
    return life, conflicts


def test_whatever_a_workflow_is_its_log_has_one_history() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(program=PROGRAMS, seed=st.integers(0, 2**32 - 1))
    def prop(program: Node, seed: int) -> None:
        # Beside it a branch that signals wake as well, so that the two draw in the order of the log.
        beside = ("loop", 3, ("seq", [("hook", 3), ("step", 2)]))
        life, conflicts = lived(("gather", [program, beside]), seed)
        if life.ended:
            life.must_be_sound()
        seen.update(set(life.types()))
        seen["conflicts"] += conflicts
        seen["examples"] += 1
        seen["ended"] += life.ended

    prop()
    assert seen["ended"] > 0.9 * seen["examples"], seen
    assert seen["conflicts"] > seen["examples"] / 5, seen
    wanted = {"hook_received", "hook_disposed", "hook_conflict", "step_failed", "wait_completed", "run_completed"}
    assert {name for name in wanted if seen[name] < seen["examples"] / 20} == set(), seen

"""What a replay allocates is a function of the log's prefix: nothing later changes what was decided earlier."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lives import run_id
from programs import PROGRAMS, Growing, Node, drawn, ended, kinds_in, made

from auditor.errors import Nondeterminism
from auditor.runtime.registry import Workflow
from auditor.runtime.replayer import Replay

SEEDS = st.integers(0, 2**32 - 1)
EXAMPLES = 150


def must_be_a_function_of_the_prefix(workflow: Workflow, seed: int) -> Growing:
    """Grow a log, and replay every prefix of it from scratch."""
    story = Growing(workflow, seed)
    story.grow()
    whole = story.seen[-1]
    for end in range(len(story.log) + 1):
        with Replay(workflow, run_id()) as replay:
            replay.deliver_all(story.log[:end])
            found = drawn(replay)
            assert found == whole[: len(found)], "allocations(log[:k]) is no prefix of allocations(log)"
            assert found == story.seen[end], "delivered event by event it came to something else"
            assert ended(replay) == story.outcomes[end]
    return story


def test_allocations_of_a_prefix_are_a_prefix_of_the_allocations() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(program=PROGRAMS, seed=SEEDS)
    def prop(program: Node, seed: int) -> None:
        story = must_be_a_function_of_the_prefix(made(program), seed)
        seen.update(set(kinds_in(program)))
        seen.update({event.event_type for event in story.log})
        seen["long"] += len(story.seen[-1]) >= 8
        seen["examples"] += 1

    prop()
    # Each of these in a twentieth of the examples, or the property would hold of little.
    wanted = {"race", "gather", "seq", "loop", "retry", "if", "alone", "step", "sleep", "hook", "dispose", "draw"}
    wanted |= {"step_failed", "step_completed", "wait_completed", "hook_received", "hook_disposed"}
    wanted |= {"hook_conflict", "run_completed", "attr_set", "long"}
    assert {name for name in wanted if seen[name] < seen["examples"] / 20} == set(), seen


def test_a_workflow_that_draws_from_elsewhere_breaks_the_property() -> None:
    """The negative control: the next step is chosen by a counter that goes on from replay to replay."""
    broken: list[type[BaseException]] = []

    @settings(max_examples=EXAMPLES // 5, deadline=None)
    @given(program=PROGRAMS, seed=SEEDS)
    def prop(program: Node, seed: int) -> None:
        counter = itertools.count()
        try:
            must_be_a_function_of_the_prefix(made(program, lambda _number: next(counter) // 3), seed)
        except (AssertionError, Nondeterminism) as error:
            broken.append(type(error))

    prop()
    assert set(broken) == {AssertionError, Nondeterminism}


def test_a_stale_branch_in_the_log_is_told_from_a_late_signal() -> None:
    """The orders of #3379: a late signal retracts no branch; one decided without an earlier signal is corrupt."""
    program: Node = ("if", ("race", [("hook", 0), ("sleep", 5)]), ("step", 1), ("sleep", 7))
    for seed in range(200):
        story = Growing(made(program), seed)
        story.grow()
        kinds = [event.event_type for event in story.log]
        if "step_created" not in kinds or "hook_received" in kinds:
            continue
        # The sleep has won, and the step is its branch. A payload behind it changes nothing...
        over, step = kinds.index("wait_completed"), kinds.index("step_created")
        hook = next(event for event in story.log if event.event_type == "hook_created")
        late = hook._replace(event_type="hook_received", data='{"payload": 0}')
        with Replay(made(program), run_id()) as replay:
            replay.deliver_all([*story.log[: over + 1], late, *story.log[over + 1 :]])
        # ... and one before it, that the writer of the step had not seen, is the corruption.
        with Replay(made(program), run_id()) as replay, pytest.raises(Nondeterminism) as caught:
            replay.deliver_all([*story.log[:over], late, *story.log[over:]])
        assert caught.value.position == story.log[step].position
        return
    raise AssertionError("no seed lets the sleep win")

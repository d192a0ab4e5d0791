"""A replay goes with its log or says where it does not: every way to diverge, and what is inert instead."""

from __future__ import annotations

from typing import Any

import pytest
from driven import Driven, other_work, work

from auditor.errors import FatalError, Nondeterminism, StuckWorkflow, UsageError
from auditor.model.events import EventType
from auditor.runtime import Context
from auditor.runtime.replayer import USER_ERROR, WINDOW, Raised

T = EventType


async def forked(ctx: Context) -> Any:
    """A step and a sleep; then another step, whose kind of branch depends on who is first."""
    hook = ctx.hook("door")
    first, nap = ctx.step(work, 1), ctx.sleep(1)
    winner = await ctx.race(first, nap)
    result = await ctx.step(other_work if winner.place else work, 2)
    hook.dispose()
    return [winner.place, result]


def begun() -> Driven:
    """The hook (0), the step (1) and the sleep (2) are created; nothing has happened to them."""
    driven = Driven(forked)
    driven.create()
    return driven


def diverged(driven: Driven, kind: EventType, entity: int | str, **data: Any) -> Nondeterminism:
    with pytest.raises(Nondeterminism) as caught:
        driven.add(kind, entity, **data)
    assert caught.value.position == len(driven.log)
    return caught.value


def with_ordinal(driven: Driven, ordinal: int, kind: str) -> str:
    """The id of the same draw under another kind."""
    return f"{kind}_{driven.id(ordinal).partition('_')[2]}"


@pytest.mark.parametrize(
    "kind",
    [
        T.STEP_CREATED,
        T.STEP_STARTED,
        T.STEP_RETRYING,
        T.STEP_COMPLETED,
        T.STEP_FAILED,
        T.WAIT_CREATED,
        T.WAIT_COMPLETED,
        T.HOOK_CREATED,
        T.HOOK_RECEIVED,
        T.HOOK_DISPOSED,
        T.HOOK_CONFLICT,
    ],
)
def test_an_event_of_an_entity_that_the_code_has_not_created_diverges(kind: EventType) -> None:
    error = diverged(begun(), kind, f"{kind.partition('_')[0]}_nobody")
    assert error.expected == "creates no such entity"
    assert error.actual.startswith(kind)


def test_an_event_of_an_entity_that_the_code_creates_only_later_diverges() -> None:
    """`by then`: the second step would be there after the outcome of the first; the log has it before."""
    driven = begun()
    driven.complete(1)
    later = driven.id(3)
    early = begun()
    diverged(early, T.STEP_CREATED, later, stepName="step//./driven//work")


def test_one_draw_under_two_kinds_diverges_and_is_named() -> None:
    driven = begun()
    error = diverged(driven, T.WAIT_CREATED, with_ordinal(driven, 1, "wait"))
    assert error.expected == f"has step {driven.id(1)} (step//./driven//work)"
    driven = begun()
    assert "wait" in diverged(driven, T.STEP_COMPLETED, with_ordinal(driven, 2, "step")).expected
    driven = begun()
    assert "hook" in diverged(driven, T.STEP_STARTED, with_ordinal(driven, 0, "step")).expected


def test_an_event_of_another_kind_than_its_id_says_diverges() -> None:
    driven = begun()
    diverged(driven, T.WAIT_COMPLETED, driven.id(1))


@pytest.mark.parametrize(
    "kind", [T.STEP_CREATED, T.STEP_STARTED, T.STEP_RETRYING, T.STEP_COMPLETED, T.STEP_FAILED]
)
def test_a_step_of_another_name_diverges(kind: EventType) -> None:
    error = diverged(begun(), kind, 1, stepName="other work")
    assert error.actual.endswith("(other work)")
    assert error.expected.endswith("(step//./driven//work)")


def test_a_step_event_without_a_name_agrees_with_every_name() -> None:
    driven = begun()
    driven.add(T.STEP_STARTED, 1)
    driven.complete(1)
    assert len(driven.replay.allocations) == 4


def test_a_divergence_holds_both_sequences_around_it() -> None:
    driven = begun()
    for _ in range(2 * WINDOW):
        driven.add(T.STEP_STARTED, 1)
    error = diverged(driven, T.STEP_COMPLETED, 1, stepName="stranger")
    assert len(error.around_log) == WINDOW + 1
    assert error.around_log[-1] == f"#{error.position} step_completed {driven.id(1)} (stranger)"
    assert error.around_replay[1] == f"1: step {driven.id(1)} (step//./driven//work)"


def test_the_stale_branch_of_a_race_diverges_at_its_first_event() -> None:
    """A1: the writer had not seen that the step was first, and wrote the branch of the sleep."""
    driven = begun()
    driven.complete(1)
    driven.complete(2)
    error = diverged(driven, T.STEP_CREATED, 3, stepName="other work")
    assert error.actual.endswith("(other work)")


def test_a_log_that_goes_on_behind_the_end_of_the_code_diverges() -> None:
    async def short(ctx: Context) -> str:
        await ctx.step(work)
        return "done"

    driven = Driven(short)
    driven.create()
    driven.complete(0)
    assert driven.value == "done"
    diverged(driven, T.STEP_CREATED, "step_more", stepName="other work")


# a terminal that differs


def ended(value: Any = "done") -> Driven:
    async def flow(ctx: Context) -> Any:
        await ctx.step(work)
        if isinstance(value, Exception):
            raise value
        return value

    driven = Driven(flow)
    driven.create()
    return driven


def test_the_end_that_the_code_comes_to_agrees() -> None:
    for value in ("done", {"a": (1, 2)}, None):
        driven = ended(value)
        driven.complete(0)
        driven.add(T.RUN_COMPLETED, None, **driven.replay.outcome.data)  # type: ignore[union-attr]
    driven = ended(ValueError("at 0x7f00"))
    driven.complete(0)
    error = {"name": "ValueError", "message": "at 0x7fff, in another process"}
    driven.add(T.RUN_FAILED, None, errorCode=USER_ERROR, error=error)


def test_another_end_diverges() -> None:
    early = ended()
    with pytest.raises(Nondeterminism, match="the code still waits"):
        early.add(T.RUN_COMPLETED, None, output="done")
    for driven, kind, data in (
        (ended("done"), T.RUN_COMPLETED, {"output": "something else"}),
        (ended("done"), T.RUN_FAILED, {"errorCode": USER_ERROR, "error": {"name": "ValueError", "message": ""}}),
        (ended(ValueError()), T.RUN_COMPLETED, {"output": None}),
        (ended(ValueError()), T.RUN_FAILED, {"errorCode": USER_ERROR, "error": {"name": "KeyError"}}),
    ):
        driven.complete(0)
        with pytest.raises(Nondeterminism) as caught:
            driven.add(kind, None, **data)
        assert caught.value.position == 5


def test_an_end_that_others_made_says_nothing_of_the_code() -> None:
    ended().add(T.RUN_CANCELLED, None)
    ended().add(T.RUN_FAILED, None, errorCode="CORRUPTED_EVENT_LOG")


# inert


def test_what_comes_after_an_outcome_is_inert() -> None:
    driven = begun()
    driven.complete(1, "first")
    drawn = len(driven.replay.allocations)
    driven.create()
    driven.add(T.STEP_FAILED, 1, error={"name": "ValueError", "message": "late"})
    driven.complete(1, "second")
    driven.add(T.STEP_CREATED, 1, stepName="step//./driven//work")
    driven.add(T.STEP_STARTED, 1)
    driven.add(T.STEP_RETRYING, 1)
    driven.complete(2)
    driven.complete(2)
    driven.add(T.WAIT_CREATED, 2)
    driven.add(T.RUN_STARTED)
    driven.add(T.ATTR_SET, None, changes={})
    assert len(driven.replay.allocations) == drawn == 4
    driven.complete(3, "result")
    assert driven.value == [0, "result"]


def test_a_delivery_to_a_hook_that_the_log_has_disposed_of_is_inert() -> None:
    async def flow(ctx: Context) -> Any:
        hook = ctx.hook()
        hook.dispose()
        return list(await ctx.race(hook, ctx.sleep(1)))

    driven = Driven(flow)
    driven.create()
    driven.add(T.HOOK_DISPOSED, 0)
    driven.receive(0, "late")
    driven.complete(1)
    assert driven.value == [1, None]


def test_an_outcome_is_consumed_whether_or_not_anybody_awaits_it() -> None:
    async def flow(ctx: Context) -> Any:
        promise = ctx.step(work)
        await ctx.sleep(1)
        await ctx.sleep(1)
        return await promise

    driven = Driven(flow)
    driven.create()
    driven.complete(0, "early")
    driven.complete(1)
    driven.create()
    driven.complete(2)
    assert driven.value == "early"


# what a workflow comes to


def test_a_disposal_is_wanted_once_the_log_has_the_hook_and_until_it_has_the_disposal() -> None:
    async def flow(ctx: Context) -> None:
        ctx.hook("door").dispose()
        await ctx.sleep(1)

    driven = Driven(flow)
    assert driven.replay.disposals == []
    driven.create()
    assert [made.ordinal for made in driven.replay.disposals] == [0]
    driven.add(T.HOOK_DISPOSED, 0)
    assert driven.replay.disposals == []
    driven = Driven(flow)
    driven.add(T.HOOK_CONFLICT, 0, token="door")
    assert driven.replay.disposals == [], "it never had the token"


def test_a_workflow_that_nothing_can_wake_is_stuck() -> None:
    async def flow(ctx: Context) -> None:
        hook = ctx.hook()
        hook.dispose()
        await hook

    driven = Driven(flow)
    assert driven.waits
    driven.create()
    assert driven.waits, "the disposal is still to be written"
    driven.add(T.HOOK_DISPOSED, 0)
    assert isinstance(driven.error, StuckWorkflow)


def test_a_workflow_that_waits_for_a_taken_token_beside_an_open_sleep_is_not_stuck() -> None:
    async def flow(ctx: Context) -> Any:
        hook = ctx.hook()
        nap = ctx.sleep(1)
        ctx.gather(hook)
        await nap
        await ctx.hook("other")

    driven = Driven(flow)
    driven.add(T.HOOK_CONFLICT, 0)
    driven.create()
    assert driven.waits
    driven.complete(1)
    driven.create()
    assert driven.waits


def test_an_error_of_the_workflow_is_its_end() -> None:
    driven = ended(FatalError("enough"))
    driven.complete(0)
    outcome = driven.replay.outcome
    assert isinstance(outcome, Raised)
    assert outcome.data == {"errorCode": USER_ERROR, "error": {"name": "FatalError", "message": "enough"}}


def test_an_error_whose_text_no_store_can_keep_is_an_end_all_the_same() -> None:
    driven = ended(FileNotFoundError("a name \udcff"))
    driven.complete(0)
    outcome = driven.replay.outcome
    assert outcome is not None
    assert outcome.data["error"] == {"name": "FileNotFoundError", "message": "a name \\udcff"}


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}, "half a pair \ud800"])
def test_a_result_that_is_no_json_is_an_error_of_the_workflow(value: Any) -> None:
    driven = ended(value)
    driven.complete(0)
    assert isinstance(driven.error, UsageError)
    assert "what a workflow returns" in str(driven.error)


def test_arguments_that_the_workflow_does_not_take_are_an_error_of_the_workflow() -> None:
    async def flow(_ctx: Context, one: int) -> int:
        return one

    assert Driven(flow, 7).value == 7
    assert Driven(flow, one=8).value == 8
    assert isinstance(Driven(flow).error, TypeError)
    assert isinstance(Driven(flow, 1, 2).error, TypeError)


def test_a_workflow_that_is_no_coroutine_is_an_error_of_the_workflow() -> None:
    def flow(_ctx: Context) -> int:
        return 7

    assert isinstance(Driven(flow).error, TypeError)


def test_nothing_runs_before_the_run_has_started() -> None:
    driven = begun()
    driven.replay = type(driven.replay)(driven.workflow, driven.log[0].run_id)
    driven.replay.deliver(driven.log[0])
    assert (driven.replay.allocations, driven.replay.outcome) == ([], None)

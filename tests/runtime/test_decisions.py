"""What a tick writes, in which order, under which fence; and how often it decides again."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from driven import other_work, work
from lives import START, TOKEN, Life, data_of, done, fence_of

from auditor.errors import HookConflict
from auditor.model.events import EventType
from auditor.model.ids import milliseconds
from auditor.runtime import Context, FencePolicy, cancel, start, step, workflow
from auditor.runtime.decisions import decide
from auditor.runtime.history import History
from auditor.runtime.registry import workflow_of
from auditor.runtime.replayer import Replay
from auditor.runtime.tick import BACKOFF_SECONDS, CORRUPTED, MAX_CONFLICTS, Result, Ticked
from auditor.world import NewEvent, tail
from auditor.world.draft import MAX_EVENTS

T = EventType


@step
async def echo(value: Any) -> Any:
    return value


@workflow
async def forked(ctx: Context) -> list[Any]:
    """A hook and a sleep race, and each has a branch of its own."""
    door = ctx.hook(TOKEN)
    nap = ctx.sleep(0.01)
    winner = await ctx.race(door, nap)
    if winner.place == 0:
        return [winner.value, await ctx.step(echo, "opened")]
    ctx.sleep(3600)
    return [await ctx.step(work), await ctx.step(other_work)]


@workflow
async def many(ctx: Context, number: int) -> int:
    naps = await ctx.gather(*(ctx.sleep(0.001) for _ in range(number)))
    return len(naps)


# the order


def test_a_run_is_started_first_and_what_it_wants_then_is_one_batch_by_ordinal() -> None:
    life = Life(forked)
    assert life.tick() == Ticked(Result.DONE)
    log = life.log()
    assert life.types() == ["run_created", "run_started", "hook_created", "wait_created"]
    assert log[1].request_id != log[2].request_id == log[3].request_id
    assert [event.site for event in log[1:]] == ["start", "suspension", "suspension"]
    assert {event.tick_id for event in log[1:]} == {log[1].tick_id}


def test_elapsed_waits_come_before_what_the_replay_wants_the_earliest_first() -> None:
    @workflow(name="three naps")
    async def three_naps(ctx: Context) -> None:
        naps = [ctx.sleep(0.003), ctx.sleep(0.001), ctx.sleep(0.002)]
        await ctx.gather(*naps)
        await ctx.step(echo, 1)

    life = Life(three_naps)
    life.tick()
    life.later(50)
    life.tick()
    log = life.log()
    created = [event.correlation_id for event in log if event.event_type == T.WAIT_CREATED]
    over = [event.correlation_id for event in log if event.event_type == T.WAIT_COMPLETED]
    assert over == [created[1], created[2], created[0]]
    assert life.types()[5:] == ["wait_completed", "wait_completed", "wait_completed", "step_created"]
    assert len({event.request_id for event in log[5:8]}) == 1, "those that are over together are one batch"


def test_the_terminal_event_comes_last_and_after_it_nothing() -> None:
    life = Life(forked)
    life.tick()
    done(life.signal("hello"))
    life.tick()
    life.steps()
    life.tick()
    assert life.result() == ["hello", "opened"]
    before = life.log()
    life.later(10_000)
    assert life.tick() == Ticked(Result.DONE)
    assert life.log() == before


def test_a_wait_is_due_at_the_time_that_the_world_has_written() -> None:
    history = History()
    life = Life(forked)
    life.tick()
    history.merge(life.log())
    wait = str(life.log()[3].correlation_id)
    assert [history.elapsed(START + ms) for ms in (9, 10, 11)] == [[], [wait], [wait]]
    history.merge(life.log())
    assert len(history.events) == 4, "an event that is known is not another one"


def test_more_than_a_batch_is_several_batches() -> None:
    life = Life(many, MAX_EVENTS + 10)
    life.tick()
    life.later(10)
    life.tick()
    sizes = [len(kinds) for site, kinds, _ in life.meddled.sent if site in ("suspension", "elapsed waits")]
    assert sizes == [MAX_EVENTS, 10] * 2
    assert life.result() == MAX_EVENTS + 10


def test_deciding_is_a_function_of_what_is_known() -> None:
    """The same history gives the same decision, whoever asks, and asking changes nothing."""
    life = Life(forked)
    for _ in range(3):
        life.tick()
        history = History()
        history.merge(life.log())
        with Replay(life.workflow, life.run_id) as one, Replay(life.workflow, life.run_id) as other:
            decision = decide(history, one, START + 100)
            assert decision == decide(history, one, START + 100) == decide(history, other, START + 100)
        life.later(4)


# fences


def test_every_decision_is_fenced_with_the_tail_of_its_snapshot_and_of_its_own_appends() -> None:
    life = Life(forked)
    life.tick()
    life.later(10)
    life.tick()
    log = life.log()
    requests = [event.request_id for event in log]
    for event in log[1:]:
        before = log[requests.index(event.request_id) - 1].event_id
        assert fence_of(event) == {"kind": "tail", "value": before}
        assert event.tail_at_commit == before
    assert life.refusals() == []


def test_an_event_that_says_nothing_to_the_run_moves_the_tail_as_well() -> None:
    life = Life(forked)
    life.tick()
    done(life.noise())
    life.later(10)
    assert life.tick().result is Result.DONE
    assert life.refusals() == []


@pytest.mark.parametrize(
    ("policy", "fenced"), [(FencePolicy.OFF, set()), (FencePolicy.WAIT_COMPLETED_ONLY, {"wait_completed"})]
)
def test_the_other_policies_send_no_fence_and_one_event_at_a_time(policy: FencePolicy, fenced: set[str]) -> None:
    life = Life(forked, policy=policy)
    life.tick()
    life.later(10)
    life.tick()
    decisions = [(kinds, fence) for _, kinds, fence in life.meddled.sent]
    assert all(len(kinds) == 1 for kinds, _ in decisions)
    assert {kinds[0] for kinds, fence in decisions if fence is not None} == fenced
    assert {kinds[0] for kinds, _ in decisions} >= {"run_started", "hook_created", "step_created"}
    assert not policy.batches


@pytest.mark.parametrize("kind", [kind for kind in T if kind is not T.WAIT_COMPLETED])
def test_what_a_policy_fences(kind: EventType) -> None:
    assert FencePolicy.FULL.fence(kind, "evnt_1") == tail("evnt_1")
    assert FencePolicy.FULL.fence(kind, None) == tail(None)
    assert FencePolicy.OFF.fence(kind, "evnt_1") is None
    assert FencePolicy.WAIT_COMPLETED_ONLY.fence(kind, "evnt_1") is None
    wait_completed = FencePolicy.WAIT_COMPLETED_ONLY.fence(T.WAIT_COMPLETED, "evnt_1")
    assert wait_completed == tail("evnt_1")


# deciding again


def test_a_signal_that_comes_first_makes_the_other_branch_disappear() -> None:
    """The issue that the fence was made for: the stale branch is decided on, refused, and never sent again."""
    life = Life(forked)
    life.tick()
    life.later(10)
    # The wait is completed, and before its branch is written somebody knocks: the log says wait first.
    life.meddled.before(1, lambda _events: life.signal("too late"))
    life.tick()
    assert life.types()[4:] == ["wait_completed", "hook_received", "wait_created", "step_created"]
    # And here the signal comes before the wait is completed: the log says hook first.
    life = Life(forked)
    life.tick()
    life.later(10)
    life.meddled.before(0, lambda _events: life.signal("in time"))
    life.tick()
    assert life.types()[4:] == ["hook_received", "wait_completed", "step_created"]
    (made,) = [event for event in life.log() if event.event_type == T.STEP_CREATED]
    assert data_of(made)["stepName"].endswith("//echo")
    life.steps()
    life.tick()
    assert life.result() == ["in time", "opened"]
    life.must_be_sound()


def test_what_was_decided_on_an_old_snapshot_is_never_in_the_log() -> None:
    """The step that was decided on would still be wanted; but with the signal it is one of two, in one batch."""

    @workflow(name="two doors")
    async def two_doors(ctx: Context) -> Any:
        async def behind(token: str) -> Any:
            return await ctx.step(echo, await ctx.hook(token))

        return await ctx.gather(behind("left"), behind("right"))

    life = Life(two_doors)
    life.tick()
    done(life.signal("a", "left"))
    sent = len(life.meddled.sent)
    life.meddled.before(0, lambda _events: life.signal("b", "right"))
    life.tick()
    attempts = [kinds for _, kinds, _ in life.meddled.sent[sent:]]
    assert attempts == [["step_created"], ["step_created", "step_created"]], "decided anew"
    requests = [event.request_id for event in life.log() if event.event_type == T.STEP_CREATED]
    assert len(requests) == 2
    assert requests[0] == requests[1] != life.refusals()[0].request_id
    assert life.refused() == [("suspension", "step_created", "FENCE_CONFLICT")]


def test_a_conflict_that_ends_the_run_is_the_end_of_the_tick() -> None:
    life = Life(forked)
    life.meddled.before(1, lambda _events: cancel(life.world, life.run_id))
    assert life.tick() == Ticked(Result.DONE)
    assert life.types() == ["run_created", "run_started", "run_cancelled"]


def test_a_tick_decides_again_five_times_and_waits_longer_each_time() -> None:
    life = Life(forked)
    for place in range(MAX_CONFLICTS):
        life.meddled.before(place, lambda _events: life.noise())
    assert life.tick() == Ticked(Result.DONE)
    # At once after the first conflict, which brings what was missing; then it waits, and reads again.
    assert life.pauses == [BACKOFF_SECONDS * number for number in (1, 2, 3, 4)]
    assert [event.write_attempt for event in life.log() if event.tick_id] == [6, 6, 6]
    totals = life.ticker.metrics.totals()
    assert totals["fence_conflicts{site=start}"] == totals["fence_retries{site=start}"] == MAX_CONFLICTS
    assert "fence_retries_exhausted{site=start}" not in totals
    assert totals["appends{site=start}"] == totals["appends{site=suspension}"] == 1


def test_the_sixth_conflict_gives_the_tick_back(caplog: pytest.LogCaptureFixture) -> None:
    """Counted over all sites of the tick; nothing is lost by it: the next tick begins anew."""
    caplog.set_level(logging.INFO, "auditor.runtime.tick")
    life = Life(forked)
    for place in (0, 1, 3, 4, 5, 6):
        life.meddled.before(place, lambda _events: life.noise())
    assert life.tick() == Ticked(Result.CONFLICTS)
    assert len(life.pauses) == MAX_CONFLICTS - 1
    assert "hook_created" not in life.types()
    totals = life.ticker.metrics.totals()
    assert totals["fence_retries_exhausted{site=suspension}"] == totals["ticks{result=conflicts}"] == 1
    said = [record for record in caplog.records if record.message == "fence conflict"]
    assert [(record.site, record.attempt, record.missing) for record in said] == [  # type: ignore[attr-defined]
        ("start", 1, 1),
        ("start", 2, 1),
        *(("suspension", number, 1) for number in (3, 4, 5, 6)),
    ]
    assert {(record.run_id, record.expected != record.actual) for record in said} == {(life.run_id, True)}  # type: ignore[attr-defined]
    assert "retries exhausted" in [record.message for record in caplog.records]
    assert life.tick() == Ticked(Result.DONE)


def test_a_tick_that_misses_too_much_to_be_told_reads_the_log_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.world.memory.store.MAX_MISSING", 3)
    life = Life(forked)

    async def flood() -> None:
        for _ in range(10):
            await life.noise()

    life.meddled.before(1, lambda _events: flood())
    assert life.tick() == Ticked(Result.DONE)
    assert life.types()[-2:] == ["hook_created", "wait_created"]
    assert life.pauses == [0]


def test_the_pause_is_jittered() -> None:
    life = Life(forked)
    asked: list[float] = []
    life.ticker.jitter = lambda longest: asked.append(longest) or longest / 2  # type: ignore[func-returns-value]
    for place in (0, 1):
        life.meddled.before(place, lambda _events: life.noise())
    life.tick()
    assert (asked, life.pauses) == ([BACKOFF_SECONDS], [BACKOFF_SECONDS / 2])


# divergence


def test_the_fourth_divergence_in_a_row_fails_the_run() -> None:
    life = Life(forked)
    life.tick()
    done(life.somebody(NewEvent(T.STEP_CREATED, "step_nobody", {"stepName": "stranger"})))
    before = life.log()
    for times in (1, 2, 3):
        assert life.tick(times - 1) == Ticked(Result.DIVERGED, times)
        assert life.log() == before
    assert life.tick(3) == Ticked(Result.CORRUPTED, 4)
    last = life.log()[-1]
    assert (last.event_type, last.site) == ("run_failed", "divergence")
    assert data_of(last)["errorCode"] == CORRUPTED == "CORRUPTED_EVENT_LOG"
    assert data_of(last)["error"]["name"] == "Nondeterminism"
    assert "step_nobody" in data_of(last)["error"]["message"]
    assert fence_of(last) == {"kind": "tail", "value": before[-1].event_id}
    totals = life.ticker.metrics.totals()
    assert totals["divergences"] == 4
    assert (totals["ticks{result=diverged}"], totals["ticks{result=corrupted}"]) == (3, 1)
    run = done(life.world.run(life.run_id))
    assert run is not None
    assert (run.status, run.error_code) == ("failed", CORRUPTED)


def test_elapsed_waits_are_completed_also_in_a_run_that_diverges() -> None:
    """They come before the replay: a wait is never left open because of what the code says."""
    life = Life(forked)
    life.tick()
    done(life.somebody(NewEvent(T.STEP_CREATED, "step_nobody", {"stepName": "stranger"})))
    life.later(10)
    assert life.tick() == Ticked(Result.DIVERGED, 1)
    assert life.types()[-1] == T.WAIT_COMPLETED


# hooks and their tokens


@workflow
async def knocker(ctx: Context) -> str:
    try:
        return str(await ctx.hook(TOKEN))
    except HookConflict as error:
        return f"taken by {error.holder}"


def holds_the_token(life: Life) -> None:
    """Another run of this world has a hook with the token."""
    done(start(life.world, knocker, run_id="wrun_first"))
    events = done(life.world.events("wrun_first")).events
    done(life.ticker.tick(workflow_of(knocker), "wrun_first", events))
    assert done(life.world.hook_by_token(TOKEN)) is not None


def test_a_taken_token_is_told_in_the_log_and_raised_where_it_is_awaited() -> None:
    life = Life(knocker)
    holds_the_token(life)
    life.tick()
    assert life.result() == "taken by wrun_first"
    assert life.types() == ["run_created", "run_started", "hook_conflict", "run_completed"]
    life.must_be_sound()


@workflow
async def hasty(ctx: Context) -> str:
    """It lets go of a hook before the log has it."""
    ctx.hook(TOKEN).dispose()
    await ctx.sleep(0.001)
    return "done"


def test_a_hook_that_is_let_go_of_before_the_log_has_it() -> None:
    life = Life(hasty)
    life.play()
    assert life.types()[2:5] == ["hook_created", "hook_disposed", "wait_created"]
    life.must_be_sound()


def test_a_hook_that_is_let_go_of_before_the_log_says_that_its_token_was_taken() -> None:
    """There is nothing to dispose of then; to ask for it would be a divergence."""
    life = Life(hasty)
    holds_the_token(life)
    life.play()
    assert life.result() == "done"
    assert life.types()[2:4] == ["hook_conflict", "wait_created"]
    assert life.refusals() == []
    life.must_be_sound()


@pytest.mark.parametrize("at_once", [True, False])
def test_a_token_that_a_workflow_has_let_go_of_can_be_asked_for_again(at_once: bool) -> None:
    """Also within one tick: disposals come first, or the run would be in conflict with itself."""

    @workflow(name=f"again {at_once}")
    async def again(ctx: Context) -> str:
        first = ctx.hook(TOKEN)
        if not at_once:
            await ctx.sleep(0.001)
        first.dispose()
        second = ctx.hook(TOKEN)
        return str(await second)

    life = Life(again)
    life.tick()
    life.later(5)
    life.tick()
    done(life.signal("hello"))
    life.play()
    assert life.result() == "hello"
    assert T.HOOK_CONFLICT not in life.types()
    life.must_be_sound()


def test_a_sleep_is_counted_from_the_last_event_that_was_seen() -> None:
    life = Life(forked)
    life.later(5)
    life.tick()
    wait = life.log()[3]
    assert done(life.world.entities(life.run_id, "wait"))[0].resume_at == START + 15
    assert (milliseconds(wait.event_id) or 0) >= START + 5


# histories with holes


def test_a_history_knows_up_to_where_nothing_is_missing() -> None:
    life = Life(forked)
    life.tick()
    for _ in range(3):
        done(life.noise())
    log = life.log()
    assert len(log) >= 6
    for known, unbroken in (
        ([], 0),
        ([1, 2, 3], 3),
        ([1, 2, 4], 2),
        ([1, 2, 4, 3], 4),
        ([1, 2, 6, 4], 2),
        ([2, 3], 0),
        ([1, 3, 2], 3),
    ):
        history = History()
        history.merge(log[position - 1] for position in known)
        assert history.unbroken == unbroken
        assert history.tail == (log[known[-1] - 1].event_id if known else None)

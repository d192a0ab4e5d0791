"""Every refusal at every place that writes: the event that causes it really happens just before the write arrives.

One workflow passes all sites of a tick and of a step in its life. Each of its writes is disturbed in each way, and
the run has to come to the same end, with every entity created and ended once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import pytest
from lives import START, TOKEN, Life, data_of, done, fence_of

from auditor.errors import NotFound, StoreUnavailable, TooEarly
from auditor.model.events import EventType
from auditor.runtime import Context, FencePolicy, RetryableError, cancel, current_attempt, step, workflow
from auditor.runtime.steps import OUTCOME_TRIES, StepResult
from auditor.runtime.tick import CORRUPTED, MAX_CONFLICTS, Result, Ticked
from auditor.world import NewEvent
from auditor.world.memory import MemoryWorld

T = EventType


@step
async def add(one: int, other: int) -> int:
    """It succeeds at the second attempt, so that there is a retry to disturb."""
    if current_attempt().attempt == 1:
        raise RetryableError("not yet", retry_after=0.005)
    return one + other


@workflow
async def whole(ctx: Context) -> int:
    """A life that passes every site; no signal changes what it returns."""
    door = ctx.hook(TOKEN)
    sums = await ctx.gather(ctx.step(add, 1, 2), ctx.sleep(0.01), ctx.sleep(0.02))
    await ctx.race(door, ctx.sleep(0.03))
    door.dispose()
    return await ctx.step(add, sums[0], 4)


RESULT = 7
DECISIONS = {
    "start run_started",
    "suspension hook_created",
    "suspension step_created",
    "suspension wait_created",
    "suspension hook_disposed",
    "elapsed waits wait_completed",
    "terminal run_completed",
}
STEPS = {"step step_started", "step step_retrying", "step step_completed"}

Trouble = Callable[[Life, Sequence[NewEvent]], Awaitable[object] | object]


def undisturbed(policy: FencePolicy = FencePolicy.FULL) -> Life:
    life = Life(whole, policy=policy)
    life.play()
    return life


def test_the_life_passes_every_site() -> None:
    life = undisturbed()
    assert {f"{site} {kind}" for site, kinds, _ in life.meddled.sent for kind in kinds} == DECISIONS | STEPS
    assert life.result() == RESULT
    assert life.refused() == []
    life.must_be_sound()


async def noise(life: Life, _events: Sequence[NewEvent]) -> None:
    await life.noise()


async def signal(life: Life, _events: Sequence[NewEvent]) -> None:
    if await life.world.hook_by_token(TOKEN) is not None:
        await life.signal()


async def somebody_ticks(life: Life, _events: Sequence[NewEvent]) -> None:
    await life.somebody_ticks()


async def cancelled(life: Life, _events: Sequence[NewEvent]) -> None:
    await cancel(life.world, life.run_id, "enough")


def silence(_life: Life, _events: Sequence[NewEvent]) -> None:
    raise StoreUnavailable("no answer", outcome_unknown=True)


async def outcome_of_another(life: Life, events: Sequence[NewEvent]) -> None:
    """Somebody else has the result of the step first; of anything but a step nothing happens."""
    (event,) = events[:1]
    if event.event_type in (T.STEP_STARTED, T.STEP_RETRYING, T.STEP_COMPLETED):
        first = next(one for one in life.log() if one.event_type == T.STEP_CREATED)
        result = 3 if event.correlation_id == first.correlation_id else RESULT
        await life.somebody(NewEvent(T.STEP_COMPLETED, event.correlation_id, {"result": result}))


async def retry_of_another(life: Life, events: Sequence[NewEvent]) -> None:
    """Somebody else says that the step may not be tried yet; of anything but a start nothing happens."""
    (event,) = events[:1]
    if event.event_type is T.STEP_STARTED:
        data = {"retryAfter": life.clock.ms + 7}
        await life.somebody(NewEvent(T.STEP_RETRYING, event.correlation_id, data))


def disturbed(trouble: Trouble, policy: FencePolicy = FencePolicy.FULL, *, behind: bool = False) -> list[Life]:
    """A life for each write of the undisturbed one: this write is the one that is disturbed."""
    lives = []
    for place in range(len(undisturbed(policy).meddled.sent)):
        life = Life(whole, policy=policy)
        (life.meddled.after if behind else life.meddled.before)(
            place, lambda events, life=life: trouble(life, events)
        )
        life.play()
        lives.append(life)
    return lives


def codes(lives: Sequence[Life]) -> dict[str, set[str]]:
    """By site and event, the codes of the refusals that there were; those that met the meddler are left out."""
    found = defaultdict(set)
    for life in lives:
        for row in life.refusals():
            if row.writer_id != "somebody":
                found[f"{row.site} {row.event_type}"].add(row.code)
    return dict(found)


def must_have_come_to_the_same(lives: Sequence[Life]) -> None:
    for life in lives:
        assert life.result() == RESULT
        life.must_be_sound()
        assert life.count(T.WAIT_COMPLETED) == life.count(T.WAIT_CREATED) == 3


@pytest.mark.parametrize("trouble", [noise, somebody_ticks])
def test_a_stale_decision_is_refused_at_every_site_and_made_again(trouble: Trouble) -> None:
    lives = disturbed(trouble)
    assert codes(lives) == {site: {"FENCE_CONFLICT"} for site in DECISIONS}
    must_have_come_to_the_same(lives)


def test_a_signal_refuses_every_decision_that_has_not_seen_it_and_no_report_of_a_step() -> None:
    lives = disturbed(signal)
    # Before the hook is there, and when it is gone, no signal can come.
    closed = {"start run_started", "suspension hook_created", "terminal run_completed"}
    assert codes(lives) == {site: {"FENCE_CONFLICT"} for site in DECISIONS - closed}
    for life in lives:
        assert life.result() == RESULT
        life.must_be_sound()


def test_a_cancelled_run_gets_nothing_more_from_any_site() -> None:
    lives = disturbed(cancelled)
    expected = {site: {"FENCE_CONFLICT"} for site in DECISIONS} | {site: {"RUN_TERMINAL"} for site in STEPS}
    assert codes(lives) == expected
    for life in lives:
        assert life.types()[-1] == T.RUN_CANCELLED
        # A fence conflict tells of the end; nobody asks a third time.
        assert len(life.refusals()) <= 4, life.refused()
        assert life.tick() == Ticked(Result.DONE)


def test_without_a_fence_a_cancelled_run_is_run_terminal_at_every_site() -> None:
    lives = disturbed(cancelled, FencePolicy.OFF)
    assert codes(lives) == {site: {"RUN_TERMINAL"} for site in DECISIONS | STEPS}
    for life in lives:
        assert life.types()[-1] == T.RUN_CANCELLED


def test_without_a_fence_what_another_tick_did_is_an_entity_conflict_that_is_taken_for_done() -> None:
    """Also of the start: a tick that is told `already started` must not ask for ever."""
    lives = disturbed(somebody_ticks, FencePolicy.OFF)
    found = codes(lives)
    assert found.pop("terminal run_completed") == {"RUN_TERMINAL"}
    assert found == {site: {"ENTITY_CONFLICT"} for site in DECISIONS - {"terminal run_completed"}}
    for life in lives:
        assert life.result() == RESULT


@pytest.mark.parametrize("behind", [False, True])
def test_a_store_that_does_not_answer_costs_a_delivery_and_nothing_else(behind: bool) -> None:
    """`behind`: the write is in the log, and only its answer is lost."""
    lives = disturbed(silence, behind=behind)
    for life in lives:
        assert life.result() == RESULT
        life.must_be_sound()
        assert life.refused() == []


def test_of_a_step_that_has_an_outcome_nobody_wants_another() -> None:
    lives = disturbed(outcome_of_another)
    assert codes(lives) == {site: {"ENTITY_CONFLICT"} for site in STEPS}
    must_have_come_to_the_same(lives)


def test_a_step_that_may_not_be_tried_yet_is_tried_later() -> None:
    lives = disturbed(retry_of_another)
    assert codes(lives) == {"step step_started": {"TOO_EARLY"}}
    must_have_come_to_the_same(lives)


def test_a_run_that_the_world_does_not_know_is_not_found_at_every_site() -> None:
    sent = undisturbed().meddled.sent
    for place, (site, kinds, _) in enumerate(sent):
        life = Life(whole)
        known, empty = life.meddled.world, MemoryWorld(clock=life.clock)
        raised = []

        def gone(_events: Sequence[NewEvent], life: Life = life, empty: MemoryWorld = empty) -> None:
            life.meddled.world = empty

        life.meddled.before(place, gone)
        while not life.ended and life.meddled.world is known:
            try:
                life.tick()
                for delivery in life.deliveries():
                    life.execute(delivery)
                    done(life.world.queue.ack(delivery))
                life.later(10)
            except NotFound as error:
                raised.append(error)
        assert [error.reason for error in raised] == ["no_such_run"], (site, kinds)
        life.meddled.world = known
        life.later(60_000)
        life.play()
        assert life.result() == RESULT


def begun(policy: FencePolicy = FencePolicy.FULL) -> Life:
    """A life whose first sleeps are not over."""
    life = Life(whole, policy=policy)
    life.tick()
    return life


def test_a_wait_that_is_not_over_by_the_clock_of_the_store_is_too_early() -> None:
    """A ticker whose idea of the time is ahead writes nothing, and a later tick completes the wait."""
    life = begun()
    life.meddled.ahead = 60_000
    with pytest.raises(TooEarly) as caught:
        life.tick()
    assert caught.value.retry_at == START + 10
    assert life.count(T.WAIT_COMPLETED) == 0
    assert life.refused() == [("elapsed waits", "wait_completed", "TOO_EARLY")] * 2
    life.meddled.ahead = 0
    life.play()
    must_have_come_to_the_same([life])


def holes() -> list[tuple[str, int]]:
    """The decisions in the log of an undisturbed life that its end does not hide: what they are, and where."""
    log = undisturbed().log()
    return [
        (f"{event.site} {event.event_type}", event.position)
        for event in log
        if event.site in ("start", "suspension", "elapsed waits") and event.position > 1
    ]


def test_an_entity_conflict_under_the_right_tail_is_a_divergence_at_every_site() -> None:
    """A read with a hole: the ticker knows the tail and not one decision before it. That is nobody's race."""
    for what, position in holes():
        must_diverge_over(what, position)


def must_diverge_over(what: str, position: int) -> None:
    life = Life(whole)
    life.play(until=position)
    done(life.noise())
    life.meddled.hidden = {position}
    assert life.tick() == Ticked(Result.DIVERGED, 1)
    (refusal,) = [row for row in life.refusals() if f"{row.site} {row.event_type}" == what][:1]
    assert refusal.code == "ENTITY_CONFLICT"
    assert fence_of(refusal) == {"kind": "tail", "value": refusal.tail_at_refusal}
    life.meddled.hidden = set()
    life.play()
    must_have_come_to_the_same([life])


def diverging(policy: FencePolicy = FencePolicy.FULL) -> Life:
    """A life whose log holds a step that its code does not make; its next divergence is one too many."""
    life = begun(policy)
    done(life.somebody(NewEvent(T.STEP_CREATED, "step_nobody", {"stepName": "stranger"})))
    return life


def test_the_end_of_a_corrupted_run_is_fenced_as_well() -> None:
    life = diverging()
    life.meddled.before(0, lambda _events: life.noise())
    assert life.tick(3) == Ticked(Result.DIVERGED, 3), "someone may have repaired the log; look at it again"
    assert life.refused() == [("divergence", "run_failed", "FENCE_CONFLICT")]
    assert not life.ended
    assert life.tick(3) == Ticked(Result.CORRUPTED, 4)
    assert data_of(life.log()[-1])["errorCode"] == CORRUPTED


def test_a_corrupted_run_that_was_cancelled_meanwhile_stays_cancelled() -> None:
    for policy, code, ticked in (
        (FencePolicy.FULL, "FENCE_CONFLICT", Ticked(Result.DIVERGED, 3)),
        (FencePolicy.OFF, "RUN_TERMINAL", Ticked(Result.DONE)),
    ):
        life = diverging(policy)
        life.meddled.before(0, lambda _events, life=life: cancel(life.world, life.run_id))
        assert life.tick(3) == ticked
        assert life.refused() == [("divergence", "run_failed", code)]
        assert life.tick(3) == Ticked(Result.DONE)
        assert life.types()[-1] == T.RUN_CANCELLED


@pytest.mark.parametrize("behind", [False, True])
def test_a_corrupted_run_is_ended_once_whatever_the_store_says(behind: bool) -> None:
    life = diverging()
    (life.meddled.after if behind else life.meddled.before)(0, lambda events: silence(life, events))
    with pytest.raises(StoreUnavailable):
        life.tick(3)
    assert life.ended is behind
    assert life.tick(3).result is (Result.DONE if behind else Result.CORRUPTED)
    assert life.count(T.RUN_FAILED) == 1


def test_a_step_that_is_given_up_is_over_if_somebody_else_was_faster() -> None:
    """The site that gives a step up is refused like those of a living attempt."""
    for event, expected in ((T.STEP_COMPLETED, "ENTITY_CONFLICT"), (T.RUN_CANCELLED, "RUN_TERMINAL")):
        life = begun()
        (delivery,) = life.deliveries()
        for _ in range(4):
            done(life.somebody(NewEvent(T.STEP_STARTED, delivery.correlation_id)))
        entity = None if event is T.RUN_CANCELLED else delivery.correlation_id
        life.meddled.before(
            0, lambda _e, life=life, event=event, entity=entity: life.somebody(NewEvent(event, entity))
        )
        assert life.execute(delivery) is StepResult.GONE
        assert life.refused() == [("step", "step_failed", expected)]


def test_an_outcome_is_sent_until_the_store_answers_and_is_in_the_log_once() -> None:
    """What the step did is done: it is not run again because an answer was lost."""
    life = begun()
    (delivery,) = life.deliveries()
    for place in range(1, OUTCOME_TRIES):
        side = life.meddled.after if place % 2 else life.meddled.before
        side(place, lambda events: silence(life, events))
    assert life.execute(delivery) is StepResult.RETRYING
    assert life.count(T.STEP_STARTED) == life.count(T.STEP_RETRYING) == 1
    assert life.pauses == [0.05 * 2**tried for tried in range(1, OUTCOME_TRIES)]


def test_a_store_that_never_answers_sends_the_step_back_to_the_queue() -> None:
    life = begun()
    (delivery,) = life.deliveries()
    for place in range(1, OUTCOME_TRIES + 1):
        life.meddled.before(place, lambda events: silence(life, events))
    with pytest.raises(StoreUnavailable):
        life.execute(delivery)
    assert life.types()[-1] == T.STEP_STARTED


@workflow
async def sleepers(ctx: Context, number: int) -> str:
    """Sleeps side by side and a hook that is told of things all the while."""
    ctx.hook(TOKEN)
    await ctx.gather(*(ctx.sleep(0.001 * place) for place in range(number)))
    return "awake"


@pytest.mark.parametrize("policy", [FencePolicy.FULL, FencePolicy.WAIT_COMPLETED_ONLY])
@pytest.mark.parametrize("at_once", [True, False])
def test_no_wait_completed_goes_missing_when_signals_arrive_before_each_of_them(
    policy: FencePolicy, at_once: bool
) -> None:
    """The follow-up bug of upstream: a conflict of the fence was taken for `already completed`.

    `at_once`: all sleeps are over when the first tick looks at them.
    """
    number = 12
    life = Life(sleepers, number, policy=policy)
    life.tick()
    signals = 0

    async def arrives(events: Sequence[NewEvent]) -> None:
        nonlocal signals
        if events[0].event_type is T.WAIT_COMPLETED:
            await life.signal(signals)
            signals += 1

    for _ in range(10 * number):
        life.later(50 if at_once else 1)
        # Every other write: the one between gets through, or no tick would ever come to an end.
        for place in range(0, 3 * number, 2):
            life.meddled.before(place, arrives)
        life.tick()
        if life.ended:
            break
    assert life.result() == "awake"
    assert life.count(T.WAIT_CREATED) == life.count(T.WAIT_COMPLETED) == number
    assert life.count(T.HOOK_RECEIVED) == signals > 0
    conflicts = [code for site, _, code in life.refused() if site == "elapsed waits"]
    assert conflicts
    assert set(conflicts) == {"FENCE_CONFLICT"}
    if not (at_once and policy is FencePolicy.FULL):
        assert signals >= number - MAX_CONFLICTS, "a signal came before each of them"
    life.must_be_sound()

"""The shadow: for every way to go wrong a case in which it says so, and the right one beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from by_hand import OUTSIDE, START, ByHand, T
from simulations import played

from auditor.errors import EntityConflict, FenceConflict
from auditor.model.rows import Event
from auditor.runtime import Context, FencePolicy, workflow
from auditor.runtime.registry import workflow_of
from auditor.runtime.tick import CORRUPTED
from auditor.simulate.faults.base import Fault
from auditor.simulate.faults.forcing import relinked, without_fence
from auditor.simulate.faults.storing import lost, saying, with_more
from auditor.simulate.logs import Log
from auditor.simulate.play import play
from auditor.simulate.records import Record, records_of
from auditor.simulate.scenarios import SCENARIOS, broken
from auditor.simulate.shadow import LONGEST_REST_MS, Effect, Shadow
from auditor.world import NewEvent, tail
from auditor.world.decision import Accepted, Decision, Repeated
from auditor.world.draft import Request

FULL, OFF = FencePolicy.FULL, FencePolicy.OFF

BROKEN = "step//./simulate//broken"
"""The name of a step that is tried twice."""

Shown = tuple[str | None, str]
"""The type of the event, or of the entity, in which an effect shows, and what it says."""


@workflow(name="workflow//./tests//tries")
async def tries(ctx: Context, _token: str, _size: int) -> None:
    await ctx.step(broken)


def shown(effects: Sequence[Effect]) -> list[Shown]:
    return [
        (effect.event_type or (effect.correlation_id or effect.record).split("_")[0], effect.what)
        for effect in effects
    ]


@pytest.fixture
def run() -> ByHand:
    """A run that waits for its hook and its sleep, which is over."""
    return ByHand().suspended()


def open_wait(run: ByHand) -> str:
    return next(str(event.correlation_id) for event in run.log if event.event_type == T.WAIT_CREATED)


# What a store answers -------------------------------------------------------------------------------------------


def completion(run: ByHand, after: str | None = None) -> Request:
    """A tick says that nobody came, knowing the log up to some event, by default all of it."""
    event = NewEvent(T.WAIT_COMPLETED, open_wait(run))
    return run.request(event, fence=tail(run.tail if after is None else after), tick="tick")


def judged(run: ByHand, request: Request, decision: Decision) -> list[Effect]:
    shadow = Shadow()
    shadow.judge(run.state, request, run.now, decision)
    return shadow.effects


def test_a_store_that_accepts_what_it_should_refuse(run: ByHand) -> None:
    stale = completion(run, run.log[1].event_id)
    forced = without_fence(run.state, stale, run.now, run.draw)
    assert isinstance(forced, Accepted)
    (effect,) = judged(run, stale, forced)
    assert effect.what == "the store accepts wait_completed, a correct one answers FENCE_CONFLICT (stale_snapshot)"
    assert (effect.event_id, effect.position) == (forced.events[0].event_id, 5)


def test_a_store_that_accepts_without_a_look_what_it_may_accept(run: ByHand) -> None:
    fresh = completion(run)
    assert judged(run, fresh, without_fence(run.state, fresh, run.now, run.draw)) == []


def test_a_store_that_refuses_what_it_should_accept(run: ByHand) -> None:
    fresh, refused = completion(run), FenceConflict("no", expected=run.tail, actual="evnt_other")
    (effect,) = judged(run, fresh, refused)
    assert effect.what == "the store answers FENCE_CONFLICT (stale_snapshot), a correct one accepts wait_completed"
    assert (effect.record, effect.event_type, effect.correlation_id) == (
        "refusal",
        "wait_completed",
        open_wait(run),
    )
    stale = completion(run, run.log[1].event_id)
    assert judged(run, stale, refused) == []


def test_a_store_that_answers_with_another_code(run: ByHand) -> None:
    known = run.tail
    run.tick()
    stale = completion(run, known)
    said_done = EntityConflict("the wait is completed", reason="already_completed")
    (effect,) = judged(run, stale, said_done)
    assert effect.what == (
        "the store answers ENTITY_CONFLICT (already_completed), "
        "a correct one answers FENCE_CONFLICT (stale_snapshot)"
    )
    assert judged(run, stale, run.answer(stale)) == []


def test_of_a_batch_only_the_events_that_a_correct_store_would_not_accept() -> None:
    run = ByHand(SCENARIOS["door"].workflow)
    run.tick()
    request = run.request(NewEvent(T.STEP_CREATED, "step_1", {"stepName": "a"}), NewEvent(T.ATTR_SET, "attr_1"))
    correct = run.answer(request)
    assert isinstance(correct, Accepted)
    first, second = correct.events
    wrong = relinked(correct, [first, saying(second, {"changes": {}})])
    assert [effect.event_id for effect in judged(run, request, wrong)] == [second.event_id]


def test_a_store_that_repeats_an_answer_to_what_it_was_never_asked(run: ByHand) -> None:
    fresh = completion(run)
    assert shown(judged(run, fresh, Repeated(5, 5))) == [
        ("wait_completed", "the store repeats an earlier answer, a correct one accepts wait_completed")
    ]


# What a store keeps ---------------------------------------------------------------------------------------------


def kept(accepted: Accepted, stored: Accepted) -> list[Effect]:
    shadow = Shadow()
    shadow.compare(accepted, stored)
    return shadow.effects


def noted(run: ByHand) -> Accepted:
    return run.accepted(NewEvent(T.WAIT_COMPLETED, open_wait(run)), fence=tail(run.tail), tick="tick")


def test_what_is_stored_as_it_was_accepted(run: ByHand) -> None:
    accepted = noted(run)
    assert kept(accepted, accepted) == []
    assert kept(accepted, accepted._replace(events=tuple(accepted.events))) == []


def test_an_event_that_is_stored_otherwise_than_it_was_accepted(run: ByHand) -> None:
    accepted = noted(run)
    (event,) = accepted.events
    assert shown(kept(accepted, relinked(accepted, [saying(event, {"resumeAt": "2001-01-01"})]))) == [
        ("wait_completed", "wait_completed was accepted and not stored so")
    ]


def test_an_event_that_was_never_accepted(run: ByHand) -> None:
    accepted = noted(run)
    more = with_more(accepted, accepted.events, run.draw)
    (effect,) = kept(accepted, more)
    assert effect.what == "wait_completed was stored and never accepted"
    assert effect.event_id == more.events[1].event_id


def test_an_append_that_is_lost(run: ByHand) -> None:
    accepted = noted(run)
    assert run.state.run is not None
    assert shown(kept(accepted, lost(accepted, run.state.run))) == [
        ("wait_completed", "wait_completed was accepted and not stored so"),
        ("wait", "the row of a wait was not stored as it was accepted"),
    ]


def test_a_row_that_is_lost(run: ByHand) -> None:
    accepted = noted(run)
    stored = accepted._replace(change=replace(accepted.change, updated={}))
    assert shown(kept(accepted, stored)) == [("wait", "the row of a wait was not stored as it was accepted")]


def test_a_run_that_has_another_status(run: ByHand) -> None:
    accepted = run.accepted(NewEvent(T.RUN_CANCELLED), fence=OUTSIDE)
    stored = accepted._replace(run=accepted.run._replace(status="running"))
    assert shown(kept(accepted, stored)) == [("export", "the run has another status")]


# How a writer conducts itself -----------------------------------------------------------------------------------


def watched(run: ByHand, *requests: Request) -> list[Effect]:
    shadow = Shadow()
    for request in requests:
        shadow.watch(request, run.answer(request))
    return shadow.effects


def test_a_writer_that_sends_again_what_was_refused(run: ByHand) -> None:
    stale = run.log[1].event_id
    (effect,) = watched(run, completion(run, stale), completion(run, stale))
    assert effect.what == "a writer sends again what was refused"
    assert (effect.record, effect.event_type) == ("refusal", "wait_completed")


def test_a_decision_that_was_refused_and_is_sent_under_a_newer_fence(run: ByHand) -> None:
    refused, fresh = completion(run, run.log[1].event_id), completion(run)
    again = fresh._replace(append=fresh.append._replace(request_id=refused.append.request_id))
    assert shown(watched(run, refused, again)) == [
        ("wait_completed", "a decision that was refused is sent again, not made again")
    ]


def test_a_writer_that_decides_again_after_a_refusal(run: ByHand) -> None:
    assert watched(run, completion(run, run.log[1].event_id), completion(run)) == []


def test_two_writers_that_are_refused_the_same(run: ByHand) -> None:
    first, second = (completion(run, run.log[1].event_id) for _ in range(2))
    writer = replace(second.append.writer, tick_id="another tick")
    assert watched(run, first, second._replace(append=second.append._replace(writer=writer))) == []


# What stands in a log -------------------------------------------------------------------------------------------


def read(run: ByHand, policy: FencePolicy = FULL, log: Sequence[Event] | None = None) -> list[Effect]:
    shadow = Shadow()
    shadow.read_log(run.log if log is None else log, run.workflow, policy)
    return shadow.effects


def test_a_decision_that_a_replay_would_not_make(run: ByHand) -> None:
    known = list(run.log)
    run.knock()
    known += run.tick(known, OFF)
    (wrong,) = run.tick(known, OFF)
    (effect,) = read(run, OFF)
    assert effect.event_id == wrong.event_id
    assert effect.event_type == "wait_created"
    assert effect.what.startswith("a replay has step step_")
    assert effect.what.endswith(f"here, not wait_created of {wrong.correlation_id}")


def test_the_decision_that_a_replay_makes(run: ByHand) -> None:
    run.knock()
    run.tick(policy=OFF)
    (right,) = run.tick(policy=OFF)
    assert right.event_type == "step_created"
    assert read(run, OFF) == []


def test_a_run_that_is_given_up_because_of_it(run: ByHand) -> None:
    known = list(run.log)
    run.knock()
    known += run.tick(known, OFF)
    run.tick(known, OFF)
    run.write(NewEvent(T.RUN_FAILED, data={"errorCode": CORRUPTED}), tick="tick")
    assert [event_type for event_type, _ in shown(read(run, OFF))] == ["wait_created", "run_failed"]
    assert read(run, OFF)[1].what == "the run is given up"


def test_a_run_that_is_given_up_for_no_reason(run: ByHand) -> None:
    run.write(NewEvent(T.RUN_FAILED, data={"errorCode": CORRUPTED}), fence=tail(run.tail), tick="tick")
    assert shown(read(run)) == [("run_failed", "a correct runtime does not give this run up")]


def test_a_fence_that_is_missing(run: ByHand) -> None:
    known = run.tail
    run.tick(policy=OFF)
    assert shown(read(run, FULL)) == [("wait_completed", f"a correct writer fences it with {known}")]


def test_no_fence_where_none_is_asked_for(run: ByHand) -> None:
    run.tick()
    assert read(run, FULL) == []
    unfenced = [event._replace(fence=None) for event in run.log]
    assert read(run, OFF, unfenced) == []


def test_a_fence_where_none_is_asked_for_is_no_harm(run: ByHand) -> None:
    run.tick()
    assert read(run, OFF) == []


def test_a_fence_that_names_an_older_tail(run: ByHand) -> None:
    known = run.tail
    (event,) = run.tick()
    older = event._replace(fence=tail(run.log[0].event_id).text())
    assert shown(read(run, log=[*run.log[:-1], older])) == [
        ("wait_completed", f"a correct writer fences it with {known}")
    ]


def test_a_signal_with_a_fence(run: ByHand) -> None:
    run.knock(tail(run.tail))
    assert shown(read(run)) == [("hook_received", "a correct caller sends a signal without a fence")]


@pytest.mark.parametrize("fence", [OUTSIDE, None])
def test_a_signal_without_one(run: ByHand, fence: Any) -> None:
    run.knock(fence)
    assert read(run) == []


def test_a_rest_that_nobody_asked_for(run: ByHand) -> None:
    last = run.now - 8
    run.now = last + LONGEST_REST_MS
    run.knock()
    assert read(run) == []
    run.now += LONGEST_REST_MS + 1
    run.knock()
    assert shown(read(run)) == [("hook_received", "a correct system does not rest so long")]


def test_a_step_that_is_tried_too_often() -> None:
    run = ByHand(workflow_of(tries))
    run.tick()
    run.tick()
    run.of_step(T.STEP_STARTED, T.STEP_STARTED, stepName=BROKEN)
    assert read(run) == []
    run.of_step(T.STEP_STARTED, stepName=BROKEN)
    assert shown(read(run)) == [("step_started", "a step is tried 2 times at most")]


def test_an_id_that_is_older_than_the_tail(run: ByHand) -> None:
    (event,) = run.tick()
    older = event._replace(event_id=run.log[1].event_id[:-1] + "0")
    assert read(run) == []
    assert shown(read(run, log=[*run.log[:-1], older])) == [("wait_completed", "its id is older than the tail")]


# What is left when everybody rests ------------------------------------------------------------------------------


def left(run: ByHand, *waking: str) -> list[Effect]:
    shadow = Shadow()
    shadow.look_for_stranded(run.log, run.workflow, run.now, waking)
    return shadow.effects


def test_a_decision_that_nobody_will_make(run: ByHand) -> None:
    assert shown(left(run)) == [
        ("wait_created", "nobody will write wait_completed behind it"),
        ("wait_completed", "nobody will write wait_completed"),
    ]
    assert left(run, "a message") == []


def test_a_wait_that_nobody_will_wake(run: ByHand) -> None:
    run.now = START
    (effect,) = left(run)
    assert (effect.what, effect.correlation_id) == ("nobody will wake this wait", open_wait(run))
    assert left(run, "a message") == []


def test_a_step_that_nobody_will_run() -> None:
    run = ByHand(workflow_of(tries))
    run.tick()
    run.tick()
    assert shown(left(run)) == [("step", "nobody will run this step")]
    assert left(run, "a message") == []


def test_a_run_that_has_ended_needs_nobody(run: ByHand) -> None:
    run.write(NewEvent(T.RUN_CANCELLED), fence=OUTSIDE)
    assert left(run) == []


def acknowledged(run: ByHand, *signals: Event) -> list[Effect]:
    shadow = Shadow()
    shadow.look_for_signals(run.log[0].run_id, run.log, signals)
    return shadow.effects


def test_an_acknowledged_signal_that_is_in_the_log_once(run: ByHand) -> None:
    assert acknowledged(run, run.knock()) == []


@pytest.mark.parametrize(("times", "expected"), [(0, "in the log 0 times"), (2, "in the log 2 times")])
def test_an_acknowledged_signal_that_is_not_in_the_log_once(run: ByHand, times: int, expected: str) -> None:
    signal = run.knock()
    run.log[-1:] = [signal] * times
    (effect,) = acknowledged(run, signal)
    assert effect.what.endswith(expected)
    assert effect.correlation_id == signal.correlation_id


# What is exported -----------------------------------------------------------------------------------------------


Export = Callable[[list[Record]], list[Record]]


def exported(now: Export, before: Export = lambda _: []) -> tuple[list[Record], list[Effect]]:
    """The events of a run, and what the truth says of it when it is exported like this, and was before."""
    overrides = {
        "exported": lambda _, records: now(records),
        "exported_before": lambda _, records: before(records),
    }
    simulation = play(SCENARIOS["door"], 1, type("ByHand", (Fault,), overrides))
    log = Log(type(simulation.fault))
    log.add(simulation)
    (truth,) = log.truth
    (run_id,) = simulation.runs
    whole = records_of(simulation.world, run_id)
    return [record for record in whole if record["record"] == "event"], list(truth.effects)


def all_of_it(records: list[Record]) -> list[Record]:
    return records


def only(*positions: int) -> Export:
    return lambda records: [record for record in records if record.get("position") in positions]


def all_but(position: int) -> Export:
    return lambda records: [record for record in records if record.get("position") != position]


def test_an_export_of_all_that_there_is() -> None:
    assert exported(all_of_it)[1] == []


def test_an_export_that_lacks_an_event() -> None:
    events, effects = exported(all_but(3))
    assert [(effect.event_id, effect.what) for effect in effects] == [
        (events[2]["eventId"], "is not exported as it was"),
        (None, "a record is not in the export"),
    ]
    assert effects[1].record == "export"


def test_an_export_in_which_an_event_was_edited() -> None:
    def edited(records: list[Record]) -> list[Record]:
        return [{**record, "specVersion": 99} if record.get("position") == 3 else record for record in records]

    events, effects = exported(edited)
    assert [(effect.event_id, effect.what) for effect in effects] == [
        (events[2]["eventId"], "is not exported as it was"),
        (events[2]["eventId"], "was exported and never was"),
    ]


def test_an_export_that_has_an_event_twice() -> None:
    events, effects = exported(lambda records: records + [one for one in records if one.get("position") == 3])
    assert [(effect.event_id, effect.what) for effect in effects] == [
        (events[2]["eventId"], "was exported and never was")
    ]


def test_an_export_that_counts_what_it_has_says_nothing_more_by_it() -> None:
    def cut(records: list[Record]) -> list[Record]:
        return [{**one, "events": 2} if one["record"] == "head" else one for one in all_but(3)(records)]

    assert exported(cut)[1] == exported(all_but(3))[1]


def test_an_earlier_export_that_ends_sooner() -> None:
    assert exported(all_of_it, only(1, 2, 3))[1] == []


def test_an_export_with_an_event_in_front_of_what_was_exported_before() -> None:
    events, effects = exported(all_of_it, only(1, 2, 4))
    assert [(effect.event_id, effect.what) for effect in effects] == [
        (events[2]["eventId"], "was put in behind a place that an earlier export had passed")
    ]


# Nothing is wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENARIOS)
def test_without_a_fault_there_is_no_effect(name: str) -> None:
    for seed in range(20):
        simulation = played(name, seed)
        assert (simulation.effects, simulation.divergences) == ([], 0), seed

"""The queue: durable, at least once, with delays, leases and dead letters."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from acts import PAST
from stores import LONG, Harness

from auditor.errors import LeaseLost
from auditor.world import Delivery, Message, MessageKind
from auditor.world.base import BaseWorld
from auditor.world.protocol import MAX_DELIVERIES

RUN, STEP = MessageKind.RUN, MessageKind.STEP
MINUTE = 60_000


def message(key: str, at: int = PAST, kind: MessageKind = RUN, run_id: str = "run-1") -> Message:
    return Message(kind, run_id, key, at, "step_1" if kind is STEP else None)


async def send(world: BaseWorld, *keys: str) -> None:
    """Send messages that are due, the first of them the longest."""
    for number, key in enumerate(keys):
        await world.queue.send(message(key, PAST + number))


async def receive(world: BaseWorld, limit: int = 100, lease_ms: int = MINUTE) -> dict[str, Delivery]:
    return {each.key: each for each in await world.queue.receive(limit=limit, lease_ms=lease_ms)}


async def test_an_empty_queue_delivers_nothing(world: BaseWorld) -> None:
    assert await world.queue.receive() == []
    assert await world.queue.next_due() is None
    assert await world.queue.depth() == {"waiting": 0, "due": 0, "leased": 0, "dead": 0}
    assert await world.queue.dead_letters() == []


async def test_a_message_is_delivered_as_it_was_sent(world: BaseWorld) -> None:
    await world.queue.send(message("step:step_1", kind=STEP))
    before = await world.now()
    (got,) = await world.queue.receive(lease_ms=MINUTE)
    assert (got.kind, got.run_id, got.correlation_id, got.key) == (STEP, "run-1", "step_1", "step:step_1")
    assert (got.attempt, got.memo) == (1, None)
    assert before + MINUTE <= got.lease_until <= await world.now() + MINUTE


async def test_what_is_leased_is_not_delivered_again_and_what_is_done_is_gone(world: BaseWorld) -> None:
    await send(world, "a")
    (got,) = await world.queue.receive()
    assert await world.queue.receive() == []
    await world.queue.ack(got)
    assert await world.queue.receive() == []
    assert await world.queue.next_due() is None


async def test_the_longest_due_comes_first_and_no_more_than_asked_for(world: BaseWorld) -> None:
    for key, at in (("c", 3_000), ("a", 1_000), ("d", 4_000), ("b", 2_000)):
        await world.queue.send(message(key, at))
    assert [each.key for each in await world.queue.receive(limit=3)] == ["a", "b", "c"]
    assert [each.key for each in await world.queue.receive(limit=3)] == ["d"]
    assert [each.key for each in await world.queue.receive(limit=3)] == []


async def test_messages_that_are_due_at_one_time_come_in_the_order_in_which_they_were_sent(
    world: BaseWorld,
) -> None:
    for key in "cab":
        await world.queue.send(message(key))
    assert [each.key for each in await world.queue.receive(limit=3)] == ["c", "a", "b"]


async def test_a_worker_gets_the_kinds_it_asked_for(world: BaseWorld) -> None:
    await world.queue.send(message("r", 1_000))
    await world.queue.send(message("s", 2_000, STEP))
    assert [each.key for each in await world.queue.receive([STEP], limit=9)] == ["s"]
    assert await world.queue.receive([STEP], limit=9) == []
    assert [each.key for each in await world.queue.receive([RUN], limit=9)] == ["r"]
    assert await world.queue.receive([], limit=9) == []


async def test_a_delayed_message_is_delivered_when_it_is_due(harness: Harness) -> None:
    world = harness.world
    soon = await harness.later(30)
    await world.queue.send(message("late", await harness.later()))
    await world.queue.send(message("soon", soon))
    assert await world.queue.next_due() == soon
    await harness.advance(50)
    assert set(await receive(world)) == {"soon"}


async def test_a_delayed_message_is_not_delivered_a_millisecond_too_early(timed: Harness) -> None:
    await timed.world.queue.send(message("a", await timed.later(10)))
    await timed.advance(9)
    assert await timed.world.queue.receive() == []
    await timed.advance(1)
    assert set(await receive(timed.world)) == {"a"}


async def test_a_message_is_due_also_by_a_clock_that_was_set_back(timed: Harness) -> None:
    """What was sent at once was sent by the clock of the world, which does not go back."""
    world = timed.world
    assert timed.clock is not None
    await world.queue.send(message("first"))
    await world.queue.ack((await receive(world))["first"])
    await world.queue.send(message("a", await world.now()))
    timed.clock.ms -= LONG
    assert (await world.queue.depth())["due"] == 1
    assert set(await receive(world)) == {"a"}


async def test_waiting_messages_with_one_key_are_one_and_due_at_the_earlier_time(harness: Harness) -> None:
    world = harness.world
    late = await harness.later()
    await world.queue.send(message("a", late))
    await world.queue.send(message("a", late + 1))
    assert await world.queue.next_due() == late
    await world.queue.send(message("a", late - 1))
    assert await world.queue.next_due() == late - 1
    await world.queue.send(message("a"))
    assert (await world.queue.depth())["waiting"] == 1
    assert len(await world.queue.receive(limit=9)) == 1


async def test_a_key_names_a_message_within_its_run(world: BaseWorld) -> None:
    for run_id in ("run-1", "run-2"):
        await world.queue.send(message("a", run_id=run_id))
    assert {each.run_id for each in await world.queue.receive(limit=9)} == {"run-1", "run-2"}


async def test_a_message_is_never_lost_in_a_leased_one(world: BaseWorld) -> None:
    await send(world, "a")
    (first,) = await world.queue.receive()
    await send(world, "a")
    (second,) = await world.queue.receive()
    assert second.message_id != first.message_id
    await world.queue.ack(first)
    await world.queue.ack(second)
    assert (await world.queue.depth())["leased"] == 0


async def test_a_lease_that_runs_out_is_a_new_delivery(harness: Harness) -> None:
    world = harness.world
    await send(world, "a")
    first = (await receive(world, lease_ms=20))["a"]
    await harness.advance(40)
    second = (await receive(world))["a"]
    assert (first.attempt, second.attempt) == (1, 2)
    assert second.message_id == first.message_id
    assert second.lease != first.lease


async def test_whoever_has_lost_the_lease_is_told(harness: Harness) -> None:
    world = harness.world
    await send(world, "a")
    first = (await receive(world, lease_ms=20))["a"]
    await harness.advance(40)
    second = (await receive(world))["a"]
    for late in (world.queue.ack(first), world.queue.nack(first), world.queue.extend(first, MINUTE)):
        with pytest.raises(LeaseLost, match=first.message_id):
            await late
    await world.queue.ack(second)
    for again in (world.queue.ack(second), world.queue.nack(second), world.queue.extend(second, MINUTE)):
        with pytest.raises(LeaseLost):
            await again


async def test_a_late_answer_counts_while_nobody_else_was_given_the_message(harness: Harness) -> None:
    world = harness.world
    await send(world, "a")
    got = (await receive(world, lease_ms=10))["a"]
    await harness.advance(30)
    await world.queue.ack(got)
    assert await receive(world) == {}


async def test_a_forged_lease_is_no_lease(world: BaseWorld) -> None:
    await send(world, "a")
    got = (await receive(world))["a"]
    with pytest.raises(LeaseLost):
        await world.queue.ack(replace(got, lease="0" * 16))
    with pytest.raises(LeaseLost):
        await world.queue.ack(replace(got, message_id="999999"))
    await world.queue.ack(got)


async def test_a_lease_can_be_held_for_longer(harness: Harness) -> None:
    world = harness.world
    await send(world, "a", "b")
    got = await receive(world, lease_ms=200)
    held = await world.queue.extend(got["a"], MINUTE)
    assert held.lease_until > got["a"].lease_until
    assert replace(held, lease_until=0) == replace(got["a"], lease_until=0)
    await world.queue.extend(got["b"], 1)
    await harness.advance(250)
    assert set(await receive(world)) == {"b"}
    await world.queue.ack(held)


async def test_a_message_that_is_given_back_is_delivered_again_with_the_memo(world: BaseWorld) -> None:
    await send(world, "a")
    for attempt, memo in ((1, None), (2, "1 divergence"), (3, "2 divergences"), (4, None)):
        got = (await receive(world))["a"]
        assert (got.attempt, got.memo) == (attempt, memo)
        await world.queue.nack(got, memo={1: "1 divergence", 2: "2 divergences"}.get(attempt))


async def test_a_message_can_be_given_back_with_a_delay(harness: Harness) -> None:
    world = harness.world
    await send(world, "a", "b")
    got = await receive(world)
    await world.queue.nack(got["a"], delay_ms=MINUTE)
    await world.queue.nack(got["b"], delay_ms=20)
    assert await world.queue.depth() == {"waiting": 2, "due": 0, "leased": 0, "dead": 0}
    await harness.advance(40)
    assert set(await receive(world)) == {"b"}


async def test_a_message_that_is_given_back_joins_the_one_that_waits(harness: Harness) -> None:
    world = harness.world
    await send(world, "a")
    for _ in range(2):
        await world.queue.nack((await receive(world))["a"])
    held = (await receive(world))["a"]
    await world.queue.send(message("a", await harness.later()))
    await world.queue.nack(held, memo="note")
    assert (await world.queue.depth())["waiting"] == 1
    both = (await receive(world))["a"]
    assert (both.attempt, both.memo) == (4, "note")
    await world.queue.ack(both)
    assert await world.queue.next_due() is None


async def test_of_two_that_join_the_earlier_time_holds(world: BaseWorld) -> None:
    await send(world, "a")
    held = (await receive(world))["a"]
    await send(world, "a")
    await world.queue.nack(held, delay_ms=MINUTE)
    assert set(await receive(world)) == {"a"}


async def test_a_message_that_was_delivered_too_often_is_a_dead_letter(harness: Harness) -> None:
    world = harness.world
    await send(world, "a", "b")
    letter = await _worn_out(world, "a")
    assert await receive(world) == {}
    assert await world.queue.depth() == {"waiting": 0, "due": 0, "leased": 1, "dead": 1}
    (dead,) = await world.queue.dead_letters()
    assert (dead.message_id, dead.run_id, dead.kind) == (letter.message_id, "run-1", RUN)
    assert (dead.attempt, dead.memo) == (MAX_DELIVERIES, f"memo {MAX_DELIVERIES}")
    assert dead.died_at <= await world.now()
    with pytest.raises(LeaseLost):
        await world.queue.ack(letter)


async def test_a_dead_letter_can_be_sent_again_as_if_for_the_first_time(world: BaseWorld) -> None:
    await send(world, "a")
    letter = await _worn_out(world, "a")
    assert await receive(world) == {}
    assert not await world.queue.redrive("999999")
    assert not await world.queue.redrive("no number")
    assert await world.queue.redrive(letter.message_id)
    assert not await world.queue.redrive(letter.message_id)
    got = (await receive(world))["a"]
    assert (got.attempt, got.memo) == (1, None)
    assert await world.queue.dead_letters() == []


async def test_a_message_that_lives_cannot_be_redriven(world: BaseWorld) -> None:
    await send(world, "a", "b")
    got = (await receive(world, limit=1))["a"]
    assert not await world.queue.redrive(got.message_id)
    await world.queue.ack(got)
    assert not await world.queue.redrive(got.message_id)


async def test_a_dead_letter_does_not_hold_back_a_new_message_of_its_key(world: BaseWorld) -> None:
    await send(world, "a")
    letter = await _worn_out(world, "a")
    assert await receive(world) == {}
    await send(world, "a")
    assert await world.queue.redrive(letter.message_id)
    assert await world.queue.depth() == {"waiting": 1, "due": 1, "leased": 0, "dead": 0}
    assert (await receive(world))["a"].attempt == 1


async def test_next_due_is_also_when_a_lease_runs_out(harness: Harness) -> None:
    world = harness.world
    await send(world, "a")
    got = (await receive(world))["a"]
    assert await world.queue.next_due() == got.lease_until
    soon = await harness.later(5_000)
    await world.queue.send(message("b", soon))
    assert await world.queue.next_due() == soon


async def test_depth_counts_by_state(harness: Harness) -> None:
    world = harness.world
    await send(world, "a", "b", "c")
    await world.queue.send(message("late", await harness.later()))
    await receive(world, limit=1)
    assert await world.queue.depth() == {"waiting": 3, "due": 2, "leased": 1, "dead": 0}


async def test_of_workers_at_once_each_message_goes_to_one(world: BaseWorld) -> None:
    await send(world, *[f"m{number:02}" for number in range(30)])
    got = await asyncio.gather(*(world.queue.receive(limit=4) for _ in range(10)))
    keys = [each.key for deliveries in got for each in deliveries]
    assert sorted(keys) == [f"m{number:02}" for number in range(30)]
    await asyncio.gather(*(world.queue.ack(each) for deliveries in got for each in deliveries))
    assert await world.queue.next_due() is None


async def test_of_answers_at_once_one_counts(world: BaseWorld) -> None:
    await send(world, "a")
    got = (await receive(world))["a"]
    answers = [world.queue.ack(got), world.queue.nack(got), world.queue.ack(got), world.queue.nack(got)]
    done = await asyncio.gather(*answers, return_exceptions=True)
    assert [type(result) for result in done].count(LeaseLost) == 3


async def _worn_out(world: BaseWorld, key: str) -> Delivery:
    """Deliver a message as often as that is done; its last delivery."""
    last = None
    for number in range(1, MAX_DELIVERIES + 1):
        last = (await receive(world))[key]
        assert last.attempt == number
        await world.queue.nack(last, memo=f"memo {number}")
    assert last is not None
    return last

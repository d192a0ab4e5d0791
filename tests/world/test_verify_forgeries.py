"""What `verify` finds where the chain was computed anew over an edit, and what it must never take for a fault."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from acts import WRITER, begun, created, delivery, hook, step, wait
from proofs import recomputed
from stores import Clock, Harness, in_sqlite
from stories import Told, tell

from auditor.errors import Refused
from auditor.model.events import EventType as T
from auditor.model.rows import Event
from auditor.world import Fence, NewEvent, as_of, state_updated_at, tail, unfenced
from auditor.world.base import BaseWorld
from auditor.world.memory import MemoryWorld
from auditor.world.verify import verify

Edit = Callable[[Event], dict[str, Any]]


@dataclass(frozen=True)
class Forger:
    """Edits the events of a run in the file of its world, and makes the chain and the head fit again."""

    harness: Harness
    told: Told
    path: Path

    async def forge(self, run_id: str, which: Callable[[Event], bool], edit: Edit) -> int:
        """Edit the first event that `which` says; its position."""
        log = list((await self.harness.world.events(run_id)).events)
        at = next(n for n, event in enumerate(log) if which(event))
        log[at] = log[at]._replace(**edit(log[at]))
        hashes = recomputed(log)
        with closing(sqlite3.connect(self.path)) as con:
            changed = [name for name in Event._fields if name not in ("run_id", "position", "prev_hash", "hash")]
            sets = ", ".join(f'"{name}" = ?' for name in (*changed, "prev_hash", "hash"))
            for event, before, after in zip(log, [None, *hashes], hashes, strict=False):
                values = [getattr(event, name) for name in changed]
                con.execute(
                    f'UPDATE event SET {sets} WHERE run_id = ? AND "position" = ?',
                    (*values, before, after, run_id, event.position),
                )
            con.execute(
                "UPDATE run SET tail = ?, hash = ? WHERE run_id = ?", (log[-1].event_id, hashes[-1], run_id)
            )
            con.commit()
        return log[at].position

    async def faults(self) -> list[tuple[str, int | None]]:
        return [(fault.kind.value, fault.position) for fault in (await verify(self.harness.world)).faults]


@pytest.fixture
async def forger(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Forger]:
    async with in_sqlite(sqlite_template, tmp_path).opened() as harness:
        told = await tell(harness)
        (path,) = tmp_path.glob("*.db")
        yield Forger(harness, told, path)


def fenced(kind: str, /, **changes: Any) -> tuple[Callable[[Event], bool], Edit]:
    """The last event under a fence of this kind, and an edit of that fence."""
    return (
        lambda event: event.position > 2 and f'"kind":"{kind}"' in (event.fence or ""),
        lambda event: {"fence": json.dumps(json.loads(event.fence or "{}") | changes)},
    )


FENCES = {
    "a tail fence that names another event": ("order", *fenced("tail", value="none")),
    "an as_of fence that was resolved to another event": ("sleeping", *fenced("as_of", resolved="none")),
    "an as_of fence of a time before the tail": ("sleeping", *fenced("as_of", value="5")),
    "an as_of fence of no time": ("sleeping", *fenced("as_of", value="soon")),
    "a state_updated_at fence older than a step outcome": ("sleeping", *fenced("state_updated_at", value="5")),
    "a fence that no world judges": ("order", *fenced("tail", kind="count", value="3")),
}


@pytest.mark.parametrize("name", FENCES)
async def test_a_fence_that_cannot_have_held_is_named(forger: Forger, name: str) -> None:
    run, which, edit = FENCES[name]
    position = await forger.forge(getattr(forger.told, run), which, edit)
    assert await forger.faults() == [("fence", position)]


async def test_an_id_below_the_one_before_it_is_named(forger: Forger) -> None:
    low = {"event_id": "evnt_" + "0" * 9 + "1" + "0" * 16}
    position = await forger.forge(
        forger.told.order, lambda event: event.event_type == T.RUN_COMPLETED, lambda _: low
    )
    assert await forger.faults() == [("id-order", position)]


async def test_a_member_of_a_batch_with_another_request_is_named(forger: Forger) -> None:
    position = await forger.forge(
        forger.told.order, lambda event: event.event_type == T.HOOK_CREATED, lambda _: {"request_id": "req_other"}
    )
    assert await forger.faults() == [("request", position)]


async def test_a_second_outcome_is_named_and_the_row_of_its_step_is_not(forger: Forger) -> None:
    log = (await forger.harness.world.events(forger.told.order)).events
    failed = next(event for event in log if event.event_type == T.STEP_FAILED)
    await forger.forge(
        forger.told.order,
        lambda event: event.correlation_id == failed.correlation_id and event.event_type == T.STEP_STARTED,
        lambda _: {"event_type": "step_completed"},
    )
    assert await forger.faults() == [("lifecycle", failed.position)]


@pytest.mark.parametrize(
    ("was", "becomes"), [(T.RUN_CREATED, "run_started"), (T.RUN_STARTED, "run_created"), (T.HOOK_DISPOSED, "oops")]
)
async def test_an_event_that_no_world_takes_there_is_named(forger: Forger, was: T, becomes: str) -> None:
    position = await forger.forge(
        forger.told.order, lambda event: event.event_type == was, lambda _: {"event_type": becomes}
    )
    # What the log then comes to is not what the rows say; that is a fault of its own.
    assert ("lifecycle", position) in await forger.faults()


async def test_data_that_is_no_json_is_named_even_where_its_digest_fits(forger: Forger) -> None:
    text = "no JSON"
    sha = hashlib.sha256(text.encode()).hexdigest()
    position = await forger.forge(
        forger.told.sleeping,
        lambda event: event.event_type == T.WAIT_CREATED,
        lambda _: {"data": text, "data_sha256": sha},
    )
    assert await forger.faults() == [("lifecycle", position)]


@pytest.mark.parametrize(
    ("sql", "faults"),
    [
        ("DELETE FROM event WHERE run_id = :order", ["head"]),
        ("DELETE FROM event WHERE run_id = :order; DELETE FROM run WHERE run_id = :order", ["head"]),
        ("INSERT INTO entity SELECT run_id, kind, 'step_x', status, 1, 1, 1, 1, 1, 1, 'x', 1, 'x', 1 FROM entity "
         "WHERE run_id = :order LIMIT 1", ["entity"]),
        ("UPDATE entity SET token = 'another' WHERE run_id = :waiting", ["entity"]),
        ("UPDATE entity SET resume_at = resume_at + 1 WHERE run_id = :sleeping AND kind = 'wait'", ["entity"]),
        ("UPDATE run SET marker = 5 WHERE run_id = :sleeping", ["run"]),
        ("UPDATE run SET hash = NULL WHERE run_id = :sleeping", ["head"]),
        ("UPDATE event SET hash = 'x' WHERE run_id = :order AND \"position\" = 5", ["chain"]),
        ("UPDATE event SET prev_hash = NULL WHERE run_id = :order AND \"position\" = 5", ["chain"]),
        ("UPDATE event SET fence = 'x' WHERE run_id = :order AND \"position\" = 5", ["column"]),
        ("UPDATE event SET event_id = x'00ff' WHERE run_id = :order AND \"position\" = 5", ["column"]),
        ("UPDATE event SET event_id = 'x' WHERE run_id = :order AND \"position\" = 5", ["chain"]),
        ("UPDATE run SET version = 'many' WHERE run_id = :order", ["head"]),
    ],
)  # fmt: skip
async def test_whatever_was_edited_is_a_fault_and_no_traceback(
    forger: Forger, sql: str, faults: list[str]
) -> None:
    with closing(sqlite3.connect(forger.path)) as con:
        for statement in sql.split("; "):
            assert con.execute(statement, vars(forger.told)).rowcount > 0
        con.commit()
    assert [kind for kind, _ in await forger.faults()] == faults


async def test_the_token_of_a_hook_is_not_in_what_is_said_of_it(forger: Forger) -> None:
    with closing(sqlite3.connect(forger.path)) as con:
        con.execute("UPDATE entity SET token = 'a-secret' WHERE run_id = :waiting", vars(forger.told))
        con.commit()
    (fault,) = (await verify(forger.harness.world)).faults
    assert "another token than the log" in fault.because
    assert "secret" not in fault.because


# No false alarm -----------------------------------------------------------------------------------------------


async def test_requests_of_one_name_are_no_batch(world: BaseWorld) -> None:
    run = await begun(world)
    for number in range(3):
        await run.append(step(T.STEP_CREATED, f"step_{number}"), request_id="req_again")
    assert (await verify(world)).faults == []  # type: ignore[arg-type]


async def test_appends_that_share_a_commit_are_no_batch(world: BaseWorld) -> None:
    run = await begun(world)
    await asyncio.gather(*(run.append(step(T.STEP_CREATED, f"step_{number}")) for number in range(20)))
    assert (await verify(world)).faults == []  # type: ignore[arg-type]


async def test_every_stage_of_a_run_that_is_worked_on_is_sound(harness: Harness) -> None:
    world: Any = harness.world
    run = await begun(world, hook(T.HOOK_CREATED))
    jobs: list[list[NewEvent]] = [
        [step(T.STEP_CREATED)],
        [step(T.STEP_STARTED), step(T.STEP_RETRYING)],
        [step(T.STEP_STARTED), step(T.STEP_COMPLETED)],
        [],  # the tick that the outcome asked for; what is left is the hook
        [step(T.STEP_CREATED, "step_2")],
    ]
    for job in jobs:
        messages = await world.queue.receive(limit=9)
        if not messages:
            await run.append(delivery())
            messages = await world.queue.receive(limit=9)
        (message,) = messages
        assert (await verify(world)).faults == []
        for event in job:
            await run.append(event, fence=await run.tail())
            assert (await verify(world)).faults == []
        await world.queue.ack(message)
        assert (await verify(world)).faults == []
    (dispatch,) = await world.queue.receive(limit=9)
    await world.queue.ack(dispatch)  # a worker that forgets its step
    (fault,) = (await verify(world)).faults
    assert (fault.kind.value, fault.run_id) == ("outbox", run.id)


def fence_of(pick: random.Random, events: tuple[Event, ...], now: int) -> Fence | None:
    known = events[: len(events) - pick.choice([0, 0, 0, 1])]
    last = known[-1].event_id if known else None
    marker = max((0, *(int(event.created_at) for event in known)))
    return pick.choice([None, unfenced("a test"), tail(last), as_of(now), as_of(0), state_updated_at(marker)])


@pytest.mark.parametrize("seed", range(40))
async def test_nothing_that_a_world_takes_is_a_fault(seed: int) -> None:
    pick, clock = random.Random(seed), Clock()
    world: Any = MemoryWorld(clock=clock)
    run_id, events, accepted = "wrun_walk", (), 0
    kinds = [kind for kind in T if kind not in (T.RUN_CREATED, T.HOOK_CONFLICT, T.NOOP)]
    for _ in range(80):
        clock.ms += pick.choice([0, 0, 1, 7])
        drafts = [_any(pick.choice(kinds), pick, clock.ms) for _ in range(pick.choice([1, 1, 2, 3]))]
        if not events:
            drafts = [created(), *drafts][: pick.choice([1, 2])]
        try:
            await world.append(run_id, drafts, fence_of(pick, events, clock.ms), writer=WRITER)
        except Refused:
            continue
        accepted += 1
        events = (await world.events(run_id)).events
        assert (await verify(world)).faults == []
    assert accepted > 0


def _any(kind: T, pick: random.Random, now: int) -> NewEvent:
    """An event that may be accepted; a run seldom ends."""
    name = pick.choice("ab")
    if kind in (T.RUN_COMPLETED, T.RUN_FAILED, T.RUN_CANCELLED) and pick.random() < 0.9:
        kind = T.ATTR_SET
    match kind.value.partition("_")[0]:
        case "step":
            return step(kind, f"step_{name}", **({"retryAfter": now + 3} if kind is T.STEP_RETRYING else {}))
        case "wait":
            return wait(kind, f"wait_{name}", now + 3 if kind is T.WAIT_CREATED else None)
        case "hook":
            return hook(kind, f"hook_{name}", token=pick.choice("xy"))
    return NewEvent(kind, None, {"errorCode": "E"} if kind is T.RUN_FAILED else None)

"""A world in PostgreSQL, beyond the contract: several processes with memories of their own, and group commits."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from acts import CANCELLED, TOKEN, WRITER, OneRun, T, attribute, begun, data_of, delivery, dumped, hook, step
from proofs import must_be_sound

from auditor.errors import (
    AuditorError,
    EntityConflict,
    FenceConflict,
    NotFound,
    Refused,
    RunTerminal,
    StoreUnavailable,
)
from auditor.world import Appended, Fence, NewEvent, Writer, as_of, tail, unfenced
from auditor.world.decision import Accepted
from auditor.world.postgres import PostgresWorld
from auditor.world.postgres import committer as committing

if TYPE_CHECKING:
    from postgres import Server

OWN = 20
"""Events that each writer wants in the log, however often it is refused."""


@dataclass
class Two:
    """Two worlds of one database, as two processes have them: neither knows what the other one remembers."""

    server: Server
    database: str
    here: PostgresWorld
    there: PostgresWorld

    def sql(self, query: str) -> str:
        return self.server.psql(query, self.database)

    async def run(self, *events: NewEvent) -> tuple[OneRun, OneRun]:
        """One run, remembered by both."""
        here = await begun(self.here, *events)
        there = OneRun(self.there, here.id)
        await there.append(attribute(seen=1))
        await here.append(attribute(seen=2))
        return here, there


@pytest.fixture
async def two(server: Server, template_database: str) -> AsyncIterator[Two]:
    name = "two_processes"
    server.psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    server.psql(f'CREATE DATABASE "{name}" TEMPLATE "{template_database}"')
    server.psql(f"ALTER DATABASE \"{name}\" SET log_statement = 'all'")
    async with AsyncExitStack() as stack:
        worlds = [await stack.enter_async_context(await PostgresWorld.open(server.url(name))) for _ in range(2)]
        yield Two(server, name, *worlds)


async def insist(world: PostgresWorld, runs: list[str], name: str, seed: int) -> int:
    """A writer that decides anew until all of its events are in, some unfenced; how often it was refused."""
    chance, refused = random.Random(seed), 0
    for number in range(OWN):
        run = OneRun(world, runs[number % len(runs)])
        fence: Fence = unfenced("a signal") if chance.random() < 0.3 else await run.tail()
        while True:
            try:
                await run.append(attribute(by=name, n=number), fence=fence, writer=Writer(name))
                break
            except FenceConflict as conflict:
                refused += 1
                missing = conflict.missing or ()
                fence = tail(missing[-1].event_id)
    return refused


async def test_two_processes_on_shared_runs_lose_nothing(two: Two) -> None:
    runs = [(await begun(two.here)).id for _ in range(3)]
    names = [f"writer-{number}" for number in range(6)]
    writers = [insist((two.here, two.there)[number % 2], runs, name, number) for number, name in enumerate(names)]
    refused = sum(await asyncio.gather(*writers))
    assert refused > 0, "nobody was in anybody's way"
    for place, run_id in enumerate(runs):
        run = OneRun(two.there, run_id)
        log = await run.log()
        must_be_sound(log)
        said = Counter((data_of(event)["changes"]["by"], data_of(event)["changes"]["n"]) for event in log[2:])
        assert said == Counter((name, n) for name in names for n in range(OWN) if n % 3 == place)
        row = await run.row()
        assert (row.version, row.tail, row.hash) == (len(log), log[-1].event_id, log[-1].hash)
        assert await OneRun(two.here, run_id).log() == log
    journal = await dumped(two.here, "refusal")
    assert len(journal) == refused
    assert {row[6] for row in journal} == {"FENCE_CONFLICT"}
    assert [row[0] for row in sorted(journal)] == sorted({row[0] for row in journal})


async def test_a_key_that_another_process_has_used_is_a_repetition(two: Two) -> None:
    here, there = await two.run()
    first = await there.append(attribute(n=1), idempotency_key="key")
    again = await here.append(attribute(n=1), idempotency_key="key")
    assert (again.repeated, again.events) == (True, first.events)


async def test_a_delivery_that_another_process_took_is_a_repetition(two: Two) -> None:
    here, there = await two.run(hook(T.HOOK_CREATED))
    first = await there.append(delivery(resume_id="resume"))
    again = await here.append(delivery(resume_id="resume"))
    assert (again.repeated, again.events) == (True, first.events)


async def test_a_fresh_fence_is_accepted_however_old_the_memory_is(two: Two) -> None:
    here, there = await two.run()
    last = await there.append(attribute(n=1))
    done = await here.append(attribute(n=2), fence=tail(last.tail))
    assert done.events[0].tail_at_commit == last.tail
    last = await there.append(attribute(n=3))
    assert (await here.append(attribute(n=4), fence=as_of((await there.read()).as_of))).events
    assert await here.refusals() == []


async def test_a_stale_fence_is_refused_though_the_memory_agrees_with_it(two: Two) -> None:
    here, there = await two.run()
    fence = await here.tail()
    missed = await there.append(attribute(n=1))
    refused = await here.refused(FenceConflict, attribute(n=2), fence=fence)
    assert refused.missing == missed.events


MEANWHILE: dict[str, tuple[tuple[NewEvent, ...], NewEvent, NewEvent, type[Refused] | None]] = {
    "the step was created": ((), step(T.STEP_CREATED), step(T.STEP_CREATED), EntityConflict),
    "the step has come to its end": (
        (step(T.STEP_CREATED),),
        step(T.STEP_COMPLETED),
        step(T.STEP_COMPLETED),
        EntityConflict,
    ),
    "a step was created that can be started": ((), step(T.STEP_CREATED), step(T.STEP_STARTED), None),
    "the hook was disposed": ((hook(T.HOOK_CREATED),), hook(T.HOOK_DISPOSED), delivery(), NotFound),
    "a hook was created": ((), hook(T.HOOK_CREATED), delivery(), None),
    "the run has ended": ((), CANCELLED, attribute(), RunTerminal),
}


@pytest.mark.parametrize(("before", "there", "here", "kind"), MEANWHILE.values(), ids=MEANWHILE.keys())
async def test_what_another_process_did_meanwhile_is_seen(
    two: Two, before: tuple[NewEvent, ...], there: NewEvent, here: NewEvent, kind: type[Refused] | None
) -> None:
    mine, other = await two.run(*before)
    await other.append(there)
    if kind is None:
        await mine.append(here)
    else:
        await mine.refused(kind, here)
    must_be_sound(await mine.log())


async def test_a_run_that_another_process_created_is_not_created_again(two: Two) -> None:
    here = await begun(two.here)
    await OneRun(two.there, here.id).refused(EntityConflict, NewEvent(T.RUN_CREATED, data={"workflowName": "x"}))


Commit = Callable[[Accepted, int], Coroutine[Any, Any, int | None]]


async def test_a_hook_conflict_relies_on_a_token_that_is_still_held(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder lets go after the conflict was decided and before it is committed: so it is decided again."""
    holder = await begun(two.there, hook(T.HOOK_CREATED))
    run = await begun(two.here)
    commit: Commit = two.here._committer.commit
    decided: list[bool] = []

    async def late(accepted: Accepted, now: int) -> int | None:
        conflict = bool(accepted.change.held)
        if conflict and True not in decided:
            await holder.append(hook(T.HOOK_DISPOSED))
        decided.append(conflict)
        return await commit(accepted, now)

    monkeypatch.setattr(two.here._committer, "commit", late)
    (event,) = (await run.append(hook(T.HOOK_CREATED))).events
    # Blindly granted, then refused by the key of the table; then the conflict; then granted, for it is free.
    assert decided == [False, True, False]
    assert event.event_type == "hook_created"
    found = await two.there.hook_by_token(TOKEN)
    assert found is not None
    assert found.run_id == run.id


async def test_a_token_is_granted_once_in_two_processes(two: Two) -> None:
    runs = [await begun(world) for world in (two.here, two.there) for _ in range(4)]
    await asyncio.gather(*(run.append(hook(T.HOOK_CREATED)) for run in runs))
    got = Counter([(await run.types())[-1] for run in runs])
    assert got == {"hook_created": 1, "hook_conflict": 7}


class Statements:
    """The statements that the server was sent since this was made, by its log."""

    def __init__(self, two: Two) -> None:
        self.log = two.server.folder / "log"
        self.start = self.log.stat().st_size

    def __len__(self) -> int:
        said = self.log.read_bytes()[self.start :].decode().splitlines()
        return sum("LOG:  statement:" in line or "LOG:  execute " in line for line in said)


async def test_one_append_is_one_statement(two: Two) -> None:
    run = await begun(two.here, step(T.STEP_CREATED))
    for event in (attribute(), step(T.STEP_STARTED), step(T.STEP_COMPLETED), CANCELLED):
        fence, sent = await run.tail(), Statements(two)
        await run.append(event, fence=fence, idempotency_key=f"key-{event.event_type}")
        assert len(sent) == 1


async def test_appends_at_once_on_different_runs_share_transactions(two: Two) -> None:
    runs = [await begun(two.here) for _ in range(64)]
    fences, sent = [await run.tail() for run in runs], Statements(two)
    await asyncio.gather(*(run.append(attribute(), fence=fence) for run, fence in zip(runs, fences, strict=True)))
    statements = len(sent)
    assert statements < 64
    # A row keeps the number of the transaction that inserted it.
    transactions = int(two.sql('SELECT count(DISTINCT xmin::text) FROM auditor.event WHERE "position" = 3'))
    assert transactions == statements
    for run in runs:
        must_be_sound(await run.log())


async def test_one_that_is_too_late_takes_nobody_of_its_group_with_it(two: Two) -> None:
    runs = [await begun(two.here) for _ in range(8)]
    fences = [await run.tail() for run in runs]
    missed = await OneRun(two.there, runs[3].id).append(attribute(by="another"))
    answers = await asyncio.gather(
        *(run.append(attribute(), fence=fence) for run, fence in zip(runs, fences, strict=True)),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [FenceConflict if n == 3 else Appended for n in range(8)]
    assert (await runs[3].log())[-1:] == missed.events


async def test_closing_answers_what_was_asked_and_takes_no_more(server: Server, two: Two) -> None:
    world = await PostgresWorld.open(server.url(two.database))
    runs = [await begun(world) for _ in range(8)]
    asked = [asyncio.ensure_future(run.append(attribute())) for run in runs]
    await asyncio.sleep(0)
    await world.close()
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(answer, Appended | StoreUnavailable), answer
    for call in (runs[0].append(attribute()), world.run(runs[0].id), world.queue.receive()):
        with pytest.raises(AuditorError, match="closed"):
            await call


async def test_nobody_is_told_of_what_was_refused_in_another_process(two: Two) -> None:
    here, there = await two.run()
    await there.refused(FenceConflict, attribute(), fence=tail(None))
    done = await two.here.append(here.id, [attribute()], await here.tail(), writer=WRITER, since=0)
    assert [event.event_type for event in done.since] == await there.types()


async def test_nobody_is_left_waiting_who_asks_at_the_moment_the_others_are_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the order of wake-ups matters here, so the server answers at once, and always in the same order."""

    async def answered(_con: object, group: Any) -> tuple[dict[str, int], int]:
        return {decided.accepted.run.run_id: 1 for decided in group}, 0

    async def once(work: Callable[[object], Coroutine[Any, Any, Any]]) -> Any:
        return await work(None)

    monkeypatch.setattr(committing, "commit", answered)
    committer = committing.Committer(SimpleNamespace(once=once), lambda _ms: None)  # type: ignore[arg-type]

    async def ask_again_and_again(run_id: str) -> None:
        decided = SimpleNamespace(run=SimpleNamespace(run_id=run_id), change=SimpleNamespace(held={}))
        for _ in range(5):
            assert await committer.commit(decided, 0) == 1  # type: ignore[arg-type]

    async with asyncio.timeout(5):
        await asyncio.gather(*(ask_again_and_again(f"run {number}") for number in range(3)))
    await committer.close()

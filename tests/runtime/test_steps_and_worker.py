"""Whole runs on a real world: workers, steps that fail, die or are cancelled, and what the outside asks."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from lives import Clock, data_of, done, must_be_sound

from auditor.errors import (
    FatalError,
    FenceConflict,
    InvalidEvent,
    NotFound,
    RetryableError,
    RunTerminal,
    StoreUnavailable,
    UsageError,
    WorkflowCancelled,
    WorkflowFailed,
)
from auditor.model.events import EventType
from auditor.model.rows import Event
from auditor.runtime import (
    Attempt,
    Context,
    FencePolicy,
    Metrics,
    StepFailed,
    Worker,
    cancel,
    current_attempt,
    registry,
    result,
    resume_hook,
    run,
    start,
    step,
    workflow,
)
from auditor.runtime import worker as workers
from auditor.runtime.registry import workflow_at, workflow_of
from auditor.runtime.steps import Executor
from auditor.runtime.tick import Result, Ticker
from auditor.world import MessageKind, NewEvent, World, Writer, create_world, unfenced
from auditor.world.memory import MemoryWorld
from auditor.world.sqlite import SqliteWorld

T = EventType
SOON = 20
"""Seconds that a result may take on a machine that is busy."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "world.db"
    asyncio.run(create_world(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def world(template: Path, tmp_path: Path) -> AsyncIterator[SqliteWorld]:
    shutil.copy(template, tmp_path / "world.db")
    async with SqliteWorld(tmp_path / "world.db", synchronous="OFF") as opened:
        yield opened


calls: Counter[str] = Counter()
"""How often a step was called, by what the test gave it to count under."""


@pytest.fixture(autouse=True)
def _nothing_was_called() -> None:
    calls.clear()


async def _has(world: World, run_id: str, kind: str) -> bool:
    return kind in await types_of(world, run_id)


async def log_of(world: World, run_id: str) -> tuple[Event, ...]:
    return (await world.events(run_id)).events


async def types_of(world: World, run_id: str, kind: str = "") -> list[str]:
    return [event.event_type for event in await log_of(world, run_id) if event.event_type.startswith(kind)]


async def until(asked: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SOON):
        while not await asked():
            await asyncio.sleep(0.01)


# steps


@step(retry_after=0.01)
async def third_time(name: str) -> int:
    calls[name] += 1
    if calls[name] < 3:
        raise RetryableError("not yet", retry_after=0.02)
    return calls[name]


@step(max_attempts=3, retry_after=0.001)
async def hopeless(name: str) -> None:
    calls[name] += 1
    raise ValueError(f"attempt {current_attempt().attempt}")


@step
async def fatal(name: str) -> None:
    calls[name] += 1
    raise FatalError("no use")


@step
async def wordless(name: str) -> object:
    """Its result cannot be kept."""
    calls[name] += 1
    raise FatalError("half a \ud800 pair")


@step
def in_a_thread(name: str) -> list[Any]:
    time.sleep(0.02)
    attempt = current_attempt()
    return [threading.current_thread() is threading.main_thread(), name, list(attempt), attempt.idempotency_key]


@step(max_attempts=1)
async def no_json() -> object:
    return object()


@workflow
async def tries(ctx: Context, what: str) -> Any:
    function = {"third": third_time, "hopeless": hopeless, "fatal": fatal, "wordless": wordless}[what]
    try:
        return await ctx.step(function, what)
    except StepFailed as error:
        return [error.name, str(error)]


async def test_a_step_that_says_when_is_tried_again_then(world: SqliteWorld) -> None:
    assert await run(world, tries, "third") == 3
    (row,) = await world.runs()
    log = await log_of(world, row.run_id)
    assert await types_of(world, row.run_id, "step_") == [
        "step_created",
        "step_started",
        "step_retrying",
        "step_started",
        "step_retrying",
        "step_started",
        "step_completed",
    ]
    times = [event.created_at for event in log if event.event_type in (T.STEP_RETRYING, T.STEP_STARTED)]
    assert times[2] - times[1] >= 20
    assert times[4] - times[3] >= 20
    must_be_sound(workflow_of(tries), log)


async def test_a_step_fails_for_good_after_its_attempts(world: SqliteWorld) -> None:
    assert await run(world, tries, "hopeless") == ["ValueError", "attempt 3"]
    assert calls["hopeless"] == 3
    (row,) = await world.runs()
    assert (await types_of(world, row.run_id, "step_")).count("step_retrying") == 2


async def test_a_fatal_error_is_not_tried_again(world: SqliteWorld) -> None:
    assert await run(world, tries, "fatal") == ["FatalError", "no use"]
    assert await run(world, tries, "wordless") == ["FatalError", "half a \\ud800 pair"]
    assert calls == {"fatal": 1, "wordless": 1}


@workflow
async def threaded(ctx: Context, name: str) -> Any:
    return [ctx.run_id, await ctx.gather(ctx.step(in_a_thread, name), ctx.step(in_a_thread, name))]


async def test_a_step_that_is_no_coroutine_runs_in_a_thread_and_knows_its_attempt(world: SqliteWorld) -> None:
    run_id, (one, other) = await run(world, threaded, "x")
    created = [event.correlation_id for event in await log_of(world, run_id) if event.event_type == T.STEP_CREATED]
    for found, entity in ((one, created[0]), (other, created[1])):
        assert found == [False, "x", [run_id, entity, 1], f"{run_id}:{entity}"]
    with pytest.raises(LookupError):
        current_attempt()


@workflow
async def worthless(ctx: Context) -> Any:
    return await ctx.step(no_json)


async def test_a_result_that_is_no_json_is_an_error_of_the_step(world: SqliteWorld) -> None:
    with pytest.raises(
        WorkflowFailed, match=r"StepFailed: the result of the step .*no_json must be JSON"
    ) as caught:
        await run(world, worthless)
    assert caught.value.code == "USER_ERROR"


@workflow
async def keyed(ctx: Context) -> Any:
    return await ctx.step(key_of_attempt)


@step(retry_after=0.001)
async def key_of_attempt() -> list[Any]:
    attempt: Attempt = current_attempt()
    calls[attempt.idempotency_key] += 1
    if attempt.attempt < 3:
        raise ValueError
    return [attempt.idempotency_key, attempt.attempt]


async def test_the_idempotency_key_is_the_same_at_every_attempt(world: SqliteWorld) -> None:
    key, attempt = await run(world, keyed)
    assert attempt == 3
    assert calls == {key: 3}


@step(max_attempts=2)
async def mortal() -> str:
    calls["mortal"] += 1
    return "alive"


@workflow
async def dies(ctx: Context) -> Any:
    try:
        return await ctx.step(mortal)
    except StepFailed as error:
        return [error.name, str(error)]


async def ticked(world: World, run_id: str, flow: Callable[..., Any]) -> None:
    """One tick by somebody."""
    events = await log_of(world, run_id)
    await Ticker(world, asyncio.sleep, "somebody").tick(workflow_of(flow), run_id, events)


@pytest.mark.parametrize(
    ("deaths", "expected", "attempts"),
    [(1, "alive", [1, 2]), (2, ["FatalError", "no outcome after 2 attempts"], [1, 2])],
)
async def test_a_worker_that_dies_between_start_and_outcome(
    world: SqliteWorld, deaths: int, expected: object, attempts: list[int]
) -> None:
    """The step is started again, but nobody dies over it more often than it may be tried."""
    run_id = await start(world, dies)
    await ticked(world, run_id, dies)
    entity = (await log_of(world, run_id))[-1].correlation_id
    for _ in range(deaths):
        started = NewEvent(T.STEP_STARTED, entity)
        await world.append(run_id, [started], unfenced("a worker that died"), writer=Writer("dead"))
    async with Worker(world):
        assert await result(world, run_id, SOON) == expected
    assert calls["mortal"] == (expected == "alive")
    starts = [event for event in await log_of(world, run_id) if event.event_type == T.STEP_STARTED]
    assert [data_of(event)["attempt"] for event in starts] == attempts


@step
async def lasting(seconds: float) -> str:
    calls["begun"] += 1
    await asyncio.sleep(seconds)
    calls["ended"] += 1
    return "lasted"


@workflow
async def patient(ctx: Context, seconds: float) -> Any:
    return await ctx.step(lasting, seconds)


async def begun() -> bool:
    return calls["begun"] > 0


async def test_a_run_that_is_cancelled_while_a_step_runs_takes_no_outcome(world: SqliteWorld) -> None:
    metrics = Metrics()
    async with Worker(world, metrics=metrics):
        run_id = await start(world, patient, 0.1)
        await until(begun)
        await cancel(world, run_id, "enough")
        with pytest.raises(WorkflowCancelled):
            await result(world, run_id, SOON)
        assert calls["ended"] == 0
    assert calls["ended"] == 1, "a worker that stops waits for the step"
    assert metrics.totals()["steps{result=gone}"] == 1
    log = await log_of(world, run_id)
    assert log[-1].event_type == T.RUN_CANCELLED
    assert data_of(log[-1]) == {"cancelReason": "enough"}
    with pytest.raises(RunTerminal):
        await cancel(world, run_id)
    with pytest.raises(NotFound):
        await cancel(world, "wrun_nobody")


async def test_a_step_that_takes_longer_than_its_lease_is_run_once(world: SqliteWorld) -> None:
    async with Worker(world, lease_ms=150), Worker(world, lease_ms=150):
        assert await result(world, await start(world, patient, 0.6), SOON) == "lasted"
    assert calls == {"begun": 1, "ended": 1}


async def test_a_step_whose_lease_is_lost_at_its_end_has_one_outcome() -> None:
    """The message was given to somebody else while it ran: both run it, the first outcome stands, nobody fails."""
    clock = Clock()
    world = MemoryWorld(clock=clock)
    taken: list[Any] = []

    async def loses_its_lease() -> str:
        clock.ms += 10 * workers.LEASE_MS
        taken.extend(await world.queue.receive([MessageKind.STEP]))
        return "first"

    made = step(name="loses its lease")(loses_its_lease)

    async def flow(ctx: Context) -> Any:
        return await ctx.step(made)

    metrics = Metrics()
    async with Worker(world, metrics=metrics):
        run_id = await start(world, workflow(name="lossy")(flow))
        assert await result(world, run_id, SOON) == "first"
    (again,) = taken
    executor = Executor(world, asyncio.sleep, "the other one")
    assert await executor.execute(registry.step_of(made), again, await log_of(world, run_id)) == "gone"
    await world.queue.ack(again)
    assert (await world.queue.depth())["dead"] == 0
    assert not any(key.startswith("failures") for key in metrics.totals())


async def test_a_tick_whose_lease_is_lost_at_its_end_is_ticked_by_somebody_else_as_well() -> None:
    clock = Clock()
    world = MemoryWorld(clock=clock)
    taken: list[Any] = []

    @workflow(name="taken away")
    async def flow(ctx: Context) -> str:
        if not taken:
            clock.ms += 10 * workers.LEASE_MS
            taken.extend(done(world.queue.receive([MessageKind.RUN])))
        await ctx.sleep(0.001)
        return "done"

    metrics = Metrics()
    run_id = await start(world, flow)
    async with Worker(world, metrics=metrics):
        await until(lambda: _has(world, run_id, "wait_created"))
        clock.ms += 10
        assert await result(world, run_id, SOON) == "done"
    (again,) = taken
    other = Ticker(world, asyncio.sleep, "other")
    ticked_again = await other.tick(workflow_of(flow), run_id, await log_of(world, run_id))
    assert ticked_again.result is Result.DONE
    await world.queue.ack(again)
    must_be_sound(workflow_of(flow), await log_of(world, run_id))
    assert not any(key.startswith("failures") for key in metrics.totals())


# workers


@workflow
async def orders(ctx: Context, number: int) -> list[Any]:
    """Everything at once: a hook beside a sleep, steps side by side, and steps one after another."""
    door = ctx.hook(f"door {ctx.run_id}")
    story: list[Any] = []
    for place in range(number):
        winner = await ctx.race(door, ctx.sleep(0.03))
        story.append(winner.value if winner.place == 0 else await ctx.step(doubled, place))
    door.dispose()
    return [*story, *await ctx.gather(*(ctx.step(doubled, place) for place in range(number)))]


@step
async def doubled(number: int) -> int:
    return 2 * number


@pytest.mark.parametrize("serialise", [True, False])
async def test_several_workers_and_signals_on_one_world(world: SqliteWorld, serialise: bool) -> None:
    """With and without the lease of a run: every run completes, and no acknowledged signal is lost."""
    told: list[tuple[str, str]] = []

    async def knocks(run_id: str, name: str) -> None:
        for place in range(4):
            await asyncio.sleep(0.01 * place)
            try:
                await resume_hook(world, f"door {run_id}", f"{name}{place}")
            except (NotFound, RunTerminal):
                continue
            told.append((run_id, f"{name}{place}"))

    async with (
        Worker(world, serialise=serialise),
        Worker(world, serialise=serialise),
        Worker(world, serialise=serialise),
    ):
        runs = [await start(world, orders, 3) for _ in range(6)]
        await asyncio.gather(*(knocks(run_id, name) for run_id in runs for name in "ab"))
        for run_id in runs:
            await result(world, run_id, SOON)
    payloads = {run_id: [] for run_id in runs}
    for run_id in runs:
        log = await log_of(world, run_id)
        must_be_sound(workflow_of(orders), log)
        payloads[run_id] = [data_of(event)["payload"] for event in log if event.event_type == T.HOOK_RECEIVED]
    assert told
    assert Counter(told) == Counter((run_id, payload) for run_id in runs for payload in payloads[run_id])


async def test_what_nobody_here_knows_is_left_for_another_worker(
    world: SqliteWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "UNKNOWN_DELAY_MS", 50)
    known, steps = workflow_of(orders), dict(registry._steps)
    metrics = Metrics()
    run_id = await start(world, orders, 1)
    async with Worker(world, metrics=metrics):
        monkeypatch.delitem(registry._workflows, known.name)
        await until(lambda: _counted(metrics, "failures{error=unknown workflow}"))
        assert await types_of(world, run_id) == ["run_created"]
        monkeypatch.setitem(registry._workflows, known.name, known)
        name = registry.step_of(doubled).name
        monkeypatch.delitem(registry._steps, name)
        await until(lambda: _counted(metrics, "failures{error=unknown step}"))
        assert "step_started" not in await types_of(world, run_id)
        monkeypatch.setitem(registry._steps, name, steps[name])
        assert await result(world, run_id, SOON) == [0, 0]


async def _counted(metrics: Metrics, name: str) -> bool:
    return metrics.totals().get(name, 0) > 0


async def test_a_worker_that_stops_waits_for_what_is_under_way(world: SqliteWorld) -> None:
    worker = Worker(world)
    working = asyncio.create_task(worker.run())
    run_id = await start(world, patient, 0.2)
    await until(begun)
    worker.stop()
    await working
    assert calls["ended"] == 1
    assert "step_completed" in await types_of(world, run_id)
    assert (await world.queue.depth())["leased"] == 0
    async with Worker(world):
        assert await result(world, run_id, SOON) == "lasted"


async def test_a_worker_counts_what_it_does(world: SqliteWorld) -> None:
    metrics = Metrics()
    async with Worker(world, metrics=metrics):
        assert await result(world, await start(world, tries, "third"), SOON) == 3
    totals = metrics.totals()
    assert (
        totals["appends{site=start}"]
        == totals["appends{site=suspension}"]
        == totals["appends{site=terminal}"]
        == 1
    )
    assert totals["steps{result=retrying}"] == 2
    assert totals["steps{result=completed}"] == 1
    assert totals["ticks{result=done}"] >= 2
    assert totals["divergences"] == 0
    assert metrics.registry.get_sample_value("auditor_worker_running", {"kind": "run"}) == 0
    assert metrics.registry.get_sample_value("auditor_worker_running", {"kind": "step"}) == 0


async def test_a_run_whose_log_its_code_does_not_replay_is_failed_by_the_worker(world: SqliteWorld) -> None:
    """The count of divergences travels with the message of the run: the fourth delivery is the end."""
    metrics = Metrics()
    run_id = await start(world, patient, 0)
    await ticked(world, run_id, patient)
    stranger = NewEvent(T.STEP_CREATED, "step_nobody", {"stepName": "stranger"})
    await world.append(run_id, [stranger], unfenced("corruption"), writer=Writer("vandal"))
    async with Worker(world, metrics=metrics):
        with pytest.raises(WorkflowFailed, match="diverged 4 times in a row") as caught:
            await result(world, run_id, SOON)
    assert caught.value.code == "CORRUPTED_EVENT_LOG"
    assert metrics.totals()["ticks{result=corrupted}"] == 1
    assert (await types_of(world, run_id, "run_")).count("run_failed") == 1


async def test_a_worker_outlives_a_store_that_does_not_answer(
    world: SqliteWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "FAILURE_DELAY_MS", 20)
    metrics = Metrics()
    silent = {"receive": 2, "append": 3}

    def faulty(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        async def called(*args: Any, **kwargs: Any) -> Any:
            if name in silent and silent[name] > 0:
                silent[name] -= 1
                raise StoreUnavailable("no answer")
            return await call(*args, **kwargs)

        return called

    run_id = await start(world, orders, 1)
    monkeypatch.setattr(world, "append", faulty("append", world.append))
    monkeypatch.setattr(world.queue, "receive", faulty("receive", world.queue.receive))
    async with Worker(world, metrics=metrics):
        assert await result(world, run_id, SOON) == [0, 0]
    assert silent == {"receive": 0, "append": 0}
    assert metrics.totals()["failures{error=StoreUnavailable}"] == 5
    must_be_sound(workflow_of(orders), await log_of(world, run_id))


# from outside


@workflow
async def doorman(ctx: Context) -> list[Any]:
    door = ctx.hook("door")
    return [await door, await door]


async def waiting(world: World) -> str:
    """A run that waits for two payloads."""
    run_id = await start(world, doorman)
    await ticked(world, run_id, doorman)
    return run_id


async def test_a_delivery_with_as_of_is_refused_if_something_happened_since(world: SqliteWorld) -> None:
    run_id = await waiting(world)
    read = await world.events(run_id)
    await resume_hook(world, "door", 1, as_of=read.as_of)
    with pytest.raises(FenceConflict) as caught:
        await resume_hook(world, "door", 2, as_of=read.as_of)
    assert [data_of(event)["payload"] for event in caught.value.missing or ()] == [1]
    await resume_hook(world, "door", 2)
    async with Worker(world):
        assert await result(world, run_id, SOON) == [1, 2]


async def test_a_delivery_that_is_repeated_under_its_resume_id_is_one(world: SqliteWorld) -> None:
    run_id = await waiting(world)
    first = await resume_hook(world, "door", 1, resume_id="r1")
    again = await resume_hook(world, "door", 1, resume_id="r1")
    assert (again.events, first.repeated, again.repeated) == (first.events, False, True)
    other = await resume_hook(world, "door", 1)
    assert other.events[0].position == first.events[0].position + 1
    assert (await types_of(world, run_id, "hook_received")) == ["hook_received"] * 2


async def test_a_delivery_that_nobody_can_take_is_told_so(world: SqliteWorld) -> None:
    with pytest.raises(NotFound, match="no open hook holds this token"):
        await resume_hook(world, "door", 1)
    with pytest.raises(UsageError):
        await resume_hook(world, "door", object())
    run_id = await waiting(world)
    await cancel(world, run_id)
    with pytest.raises(NotFound):
        await resume_hook(world, "door", 1)


async def test_started_twice_with_one_id_it_is_one_run(world: SqliteWorld) -> None:
    assert await start(world, patient, 0, run_id="wrun_mine") == "wrun_mine"
    assert await start(world, patient, 0, run_id="wrun_mine") == "wrun_mine"
    assert await types_of(world, "wrun_mine") == ["run_created"]
    with pytest.raises(InvalidEvent):
        await start(world, patient, 1, run_id="wrun_mine")
    async with Worker(world):
        assert await result(world, "wrun_mine", SOON) == "lasted"
    assert await start(world, patient, 0, run_id="wrun_mine") == "wrun_mine"
    assert calls["begun"] == 1


async def test_only_what_was_declared_can_be_started(world: SqliteWorld) -> None:
    with pytest.raises(UsageError, match="is no workflow; write @workflow above it"):
        await start(world, doubled, 1)
    with pytest.raises(UsageError, match="an argument of"):
        await start(world, patient, object())
    assert await world.runs() == []


async def test_a_result_that_is_not_there_yet(world: SqliteWorld) -> None:
    run_id = await start(world, patient, 0)
    with pytest.raises(TimeoutError):
        await result(world, run_id, 0.05)
    with pytest.raises(NotFound):
        await result(world, "wrun_nobody")


async def test_a_run_that_does_not_fit_its_workflow_fails_and_does_not_hang(world: SqliteWorld) -> None:
    with pytest.raises(WorkflowFailed, match="TypeError"):
        async with asyncio.timeout(SOON):
            await run(world, patient, 1, 2, 3)


@pytest.mark.parametrize("policy", list(FencePolicy))
async def test_a_worker_alone_completes_runs_under_every_policy(world: SqliteWorld, policy: FencePolicy) -> None:
    async with Worker(world, policy=policy):
        assert await result(world, await start(world, orders, 2), SOON) == [0, 2, 0, 2]


# declarations


def test_a_declaration_names_module_and_function() -> None:
    assert registry.step_of(doubled).name == "step//./test_steps_and_worker//doubled"
    assert workflow_of(patient).name == "workflow//./test_steps_and_worker//patient"
    assert registry.step_named("step//./test_steps_and_worker//doubled") is registry.step_of(doubled)
    assert workflow_at("test_steps_and_worker:patient") is workflow_of(patient)
    for place in ("patient", "no_such_module:x", "test_steps_and_worker:nobody", "test_steps_and_worker:doubled"):
        with pytest.raises(UsageError):
            workflow_at(place)
    with pytest.raises(UsageError, match="at least once"):
        step(max_attempts=0)(print)

"""One request, and a process that dies at its first point, its second, and so on until one survives.

A point is a statement; or a byte of the write-ahead log in the middle of its commit; or a page of the file in the
middle of the checkpoint behind it. At the last two the kernel ends the process in the midst of a write.

After each death another process sends the same request again, as a client does that was not answered. Every death
has a run of its own in one world. Runs in a `crash.lab.laboratory`.
"""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crash import flow, lab
from crash.evidence import facts, judge, whole_or_absent
from crash.journal import History, Intent, Journal, read
from crash.points import AFTER, BEGUN, OUTSIDE, watch

from auditor.errors import Refused
from auditor.world import NewEvent, Writer, new_run_id, open_world, tail, unfenced
from auditor.world.base import BaseWorld

T = flow.T
MANY = 60
"""More deaths than any request has points."""

SOME_BYTES = 2_753
SOME_PAGES = 6 * 4_096 + 100
"""From one death to the next: three in every two pages of the log, and one in every six pages of the file."""

PAST = 1_000
KEY = "the key"

CREATED = (flow.created(),)
BATCH = (
    NewEvent(T.RUN_STARTED),
    NewEvent(T.HOOK_CREATED, "hook_1", {"token": ""}),
    NewEvent(T.STEP_CREATED, "step_1", {"stepName": "charge"}),
    NewEvent(T.STEP_CREATED, "step_2", {"stepName": "ship"}),
    NewEvent(T.WAIT_CREATED, "wait_1", {"resumeAt": PAST}),
)


@dataclass(frozen=True)
class Scene:
    """What a run has been through, and the request at which its writer dies."""

    before: tuple[tuple[NewEvent, ...], ...]
    request: tuple[NewEvent, ...]
    fenced: bool = True
    stale: bool = False
    key: str | None = KEY


SCENES = {
    "a new run": Scene((), CREATED),
    "a batch": Scene((CREATED,), BATCH),
    "a stale batch": Scene(
        (CREATED, BATCH), (NewEvent(T.STEP_CREATED, "step_3", {"stepName": "bill"}),), stale=True
    ),
    "a signal": Scene(
        (CREATED, BATCH),
        (NewEvent(T.HOOK_RECEIVED, "hook_1", {"payload": 1}, resume_id="delivery 1"),),
        fenced=False,
        key=None,
    ),
    "an outcome": Scene((CREATED, BATCH), (NewEvent(T.STEP_COMPLETED, "step_1", {"result": 1}),), fenced=False),
    "the end of a wait": Scene((CREATED, BATCH), (NewEvent(T.WAIT_COMPLETED, "wait_1"),)),
    "the end of a run": Scene((CREATED, BATCH), (NewEvent(T.RUN_COMPLETED),)),
}


def deaths(url: str, folder: str, scene: str, at: str = "statement") -> list[dict[str, Any]]:
    """Where each writer of the scene died, whether its events are there, and what the next one was told."""
    told = []
    code, intents = lab.answer(lambda: asyncio.run(_prepared(url, Path(folder), SCENES[scene])))
    assert code == 0
    history = read(Path(folder))
    for intent in (Intent(**intent) for intent in intents):
        history.intents[intent.request] = intent
        point = DIES_AT[at](len(told), lambda intent=intent: _asked(url, intent))
        there = whole_or_absent(facts(url), intent)
        history = _sent_again(url, intent, history)
        judge(facts(url), history)
        told.append({"point": point, "there": there, "refused": history.refused.get(intent.request)})
        if point is None:
            return told
    raise AssertionError("the request has more points than anybody thought")


async def _prepared(url: str, folder: Path, scene: Scene) -> list[dict[str, Any]]:
    """Enough runs that have come to the scene; for each the request that is going to be made."""
    journal = Journal(folder / "prepared.journal")
    async with await open_world(url) as world:
        return [asdict(await _one(world, journal, scene)) for _ in range(MANY)]


async def _one(world: BaseWorld, journal: Journal, scene: Scene) -> Intent:
    run, last, first = new_run_id(), None, None
    for number, batch in enumerate(scene.before):
        intent = Intent.of(f"{run}/{number}", run, _own(batch, run), tail(last), None)
        journal.wants(intent)
        appended = await _append(world, intent)
        journal.done(intent.request, appended)
        last, first = appended.tail, first or appended.tail
    fence = tail(first if scene.stale else last) if scene.fenced else unfenced("from outside")
    return Intent.of(f"{run}/dies", run, _own(scene.request, run), fence, scene.key)


def _own(batch: tuple[NewEvent, ...], run: str) -> Iterator[NewEvent]:
    """The events of a batch, with a token that no other run has."""
    for event in batch:
        data = {"token": run} if event.event_type is T.HOOK_CREATED else event.data
        yield NewEvent(event.event_type, event.correlation_id, data, event.resume_id)


def _append(world: BaseWorld, intent: Intent) -> Awaitable[Any]:
    return world.append(
        intent.run,
        intent.sent,
        intent.condition,
        writer=Writer("writer"),
        idempotency_key=intent.key,
        request_id=intent.request,
    )


def die_at(number: int, work: Callable[[], Awaitable[object]]) -> str | None:
    """Let a child do some work and die at the point of this number; the point, or None if it was done before."""
    reading, writing = lab.pipe()

    def live() -> None:
        passed = 0

        def dies(point: str) -> None:
            nonlocal passed
            if point == OUTSIDE:
                return
            if passed == number:
                writing.write(point.encode())
                lab.die()
            passed += 1

        watch(dies)
        asyncio.run(work())

    pid = lab.fork(live)
    writing.close()
    with reading:
        point = reading.read().decode()
    code = lab.ended(pid)
    assert code == (-signal.SIGKILL if point else 0)
    return point or None


def die_writing(number: int, work: Callable[[], Awaitable[object]]) -> str | None:
    """Likewise, but in the middle of the commit: at a byte of the write-ahead log, which was empty before."""
    return _die_at_size(number * SOME_BYTES, work, BEGUN, AFTER)


def die_moving(number: int, work: Callable[[], Awaitable[object]]) -> str | None:
    """Likewise, but after the commit: at a page of the file, when what is in the log is moved there."""
    return _die_at_size(number * SOME_PAGES, work, AFTER, None)


def _die_at_size(size: int, work: Callable[[], Awaitable[object]], since: str, until: str | None) -> str | None:
    """Let a child do some work, and end it when it makes a file longer than this between two points."""

    def passed(point: str) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        if point in (since, until):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size if point == since else most, most))

    def live() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        watch(passed)
        asyncio.run(work())

    code = lab.ended(lab.fork(live))
    assert code in (0, -signal.SIGXFSZ)
    return f"byte {size}" if code else None


DIES_AT = {"statement": die_at, "byte": die_writing, "page": die_moving}


async def _asked(url: str, intent: Intent) -> None:
    async with await open_world(url) as world:
        try:
            await _append(world, intent)
        except Refused:
            return


def _sent_again(url: str, intent: Intent, history: History) -> History:
    """What the one who sends the request again is told; it is sent twice, the second time as a repetition."""

    async def request() -> dict[str, Any]:
        async with await open_world(url) as world:
            try:
                first = await _append(world, intent)
            except Refused as refused:
                return {"refused": intent.request, "code": refused.code}
            second = await _append(world, intent)
            assert second.repeated
            assert second.events == first.events
            return {"done": intent.request, "events": [[e.position, e.event_id] for e in first.events]}

    code, told = lab.answer(lambda: asyncio.run(request()))
    assert code == 0
    if "done" in told:
        history.acknowledged[intent.request] = [(at, event) for at, event in told["events"]]
    else:
        history.refused[intent.request] = told["code"]
    return history

"""Scripts of several writers on shared runs, how they are played, and what must hold of the log afterwards.

The judge reads events, rows and answers; it uses no code of the world.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from acts import COMPLETED, OneRun, T, attribute, begun, delivery, hook, of_run, step, wait
from hypothesis import strategies as st
from proofs import must_be_sound
from ulid import ULID

from auditor.errors import InvalidEvent, Refused
from auditor.model.rows import Event, Refusal
from auditor.world import Appended, Fence, NewEvent, Snapshot, Writer, as_of, state_updated_at, tail, unfenced
from auditor.world.base import BaseWorld

FENCES = ("tail", "as_of", "state_updated_at", "unfenced", "none")
WRITES = ("decision", "signal", "outcome", "batch", "end")
NEWER = {"hook_received", "run_cancelled", "step_completed", "step_failed"}
"""What makes the state of a `state_updated_at` fence old: signals and outcomes."""


@dataclass(frozen=True)
class Act:
    """One thing that a writer does: it reads a run anew (`what` is "read"), or it writes to it."""

    what: str
    run: int
    entity: int
    fence: str
    key: str | None
    resume_id: str | None
    times: int

    def events(self) -> tuple[NewEvent, ...]:
        name = str(self.entity)
        match self.what:
            case "signal":
                return (delivery("hook_0", self.resume_id, n=self.entity % 2),)
            case "outcome":
                return (step(T.STEP_COMPLETED, f"step_{name}"),)
            case "batch":
                made = step(T.STEP_CREATED, f"step_{name}"), wait(T.WAIT_CREATED, f"wait_{name}")
                return (*made, attribute(n=self.entity))
            case "end":
                return (COMPLETED if self.entity % 2 else of_run(T.RUN_CANCELLED),)
        return (step(T.STEP_CREATED, f"step_{name}") if self.entity % 2 else attribute(n=self.entity),)


@dataclass
class Sent:
    """A request, and what became of it."""

    run_id: str
    request_id: str
    events: tuple[NewEvent, ...]
    fence: Fence | None
    key: str | None
    answer: Appended | Refused


@dataclass
class Story:
    """What happened: the runs, where the writers found them, and every request that was sent."""

    runs: list[OneRun]
    sent: list[Sent] = field(default_factory=list)

    def seen(self) -> Counter[str]:
        """How many answers there were of each kind."""
        answers = [one.answer for one in self.sent]
        return Counter(
            one.code if isinstance(one, Refused) else "repeated" if one.repeated else "accepted" for one in answers
        )


def few(names: str) -> st.SearchStrategy[str | None]:
    """No name, or one of few, so that writers meet."""
    return st.none() | st.sampled_from([f"{names}-{number}" for number in range(3)])


ACTS = st.builds(
    Act,
    what=st.sampled_from(["read", "read", "decision", "decision", "signal", "outcome", "batch"])
    | st.sampled_from(["read", "decision", "signal", "outcome", "batch", "end"]),
    run=st.integers(0, 1),
    entity=st.integers(0, 5),
    fence=st.sampled_from(FENCES),
    key=few("key"),
    resume_id=few("resume"),
    times=st.sampled_from([1, 1, 2]),
)
SCRIPTS = st.lists(st.lists(ACTS, min_size=1, max_size=8), min_size=2, max_size=5)
"""Per writer, what it does."""

Script = Sequence[Sequence[Act]]


async def two_runs(world: BaseWorld) -> Story:
    """Two runs with a hook and steps that can have an outcome."""
    runs = []
    for _ in range(2):
        run = await begun(world)
        steps = [step(T.STEP_CREATED, f"step_{number}") for number in range(3)]
        await run.append(hook(T.HOOK_CREATED, "hook_0", token=run.id), *steps)
        runs.append(run)
    return Story(runs)


async def play(story: Story, number: int, acts: Iterable[Act]) -> None:
    """One writer: it decides on the snapshots that it has, however old they are."""
    snapshots = [await run.read() for run in story.runs]
    for place, act in enumerate(acts):
        run = story.runs[act.run]
        if act.what == "read":
            snapshots[act.run] = await run.read()
            continue
        fence = _fence(act.fence, snapshots[act.run])
        for time in range(1, act.times + 1):
            request_id = f"req-{number}-{place}-{time}"
            writer = Writer(f"writer-{number}", site="script", attempt=time)
            answer: Appended | Refused
            try:
                answer = await run.world.append(
                    run.id, act.events(), fence, writer=writer, idempotency_key=act.key, request_id=request_id
                )
            except Refused as refused:
                answer = refused
            story.sent.append(Sent(run.id, request_id, act.events(), fence, act.key, answer))


def _fence(kind: str, snapshot: Snapshot) -> Fence | None:
    made = {
        "tail": tail(snapshot.tail),
        "as_of": as_of(snapshot.as_of),
        "state_updated_at": state_updated_at(_ms(snapshot.tail or "")),
        "unfenced": unfenced("a script"),
    }
    return made.get(kind)


class Turns:
    """The scheduling points of a memory world: one writer at a time goes on, whichever the seed says."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._gates: list[asyncio.Future[None]] = []
        self._playing = False

    async def point(self, _when: str, _what: str) -> None:
        if self._playing:
            gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._gates.append(gate)
            await gate

    async def play(self, writers: Iterable[Coroutine[Any, Any, None]]) -> None:
        self._playing = True
        tasks = [asyncio.create_task(writer) for writer in writers]
        while left := [task for task in tasks if not task.done()]:
            if len(self._gates) < len(left):
                await asyncio.sleep(0)
            else:
                self._gates.pop(self._random.randrange(len(self._gates))).set_result(None)
                await asyncio.sleep(0)
        self._playing = False
        for task in tasks:
            task.result()


async def must_hold(story: Story) -> None:
    """Whatever the writers did and in whichever order: each run tells one history, and each answer was true."""
    for run in story.runs:
        log = await run.log()
        sent = [one for one in story.sent if one.run_id == run.id]
        must_be_sound(log)
        _weak_fences_must_hold(log)
        _names_must_be_used_once(log, sent)
        _answers_must_be_true(log, sent)
        _journal_must_be_complete(log, await run.refusals(), sent)
        await _row_must_be_that_of(run, log)


def _ms(event_id: str) -> int:
    return ULID.from_str(event_id.removeprefix("evnt_")).milliseconds


def _weak_fences_must_hold(log: Sequence[Event]) -> None:
    for event in log:
        fence = json.loads(event.fence) if event.fence is not None else {"kind": None}
        before = [one for one in log if one.request_id != event.request_id and one.position < event.position]
        if fence["kind"] == "as_of":
            older = [one.event_id for one in before if _ms(one.event_id) < int(fence["value"])]
            assert fence["resolved"] == (older[-1] if older else "none")
            assert len(older) == len(before), "an event stands between the snapshot and the append"
        if fence["kind"] == "state_updated_at":
            newest = max((_ms(one.event_id) for one in before if one.event_type in NEWER), default=0)
            assert newest <= int(fence["value"]), "a signal stands between the state and the append"


def _names_must_be_used_once(log: Sequence[Event], sent: Sequence[Sent]) -> None:
    assert max(Counter(event.resume_id for event in log if event.resume_id).values(), default=0) <= 1
    first: dict[str, Appended] = {}
    for one in sent:
        if one.key is not None and isinstance(one.answer, Appended) and not one.answer.repeated:
            # A repeated resume id is no use of the key.
            assert first.setdefault(one.key, one.answer) is one.answer, f"{one.key} was accepted twice"
    for one in sent:
        if isinstance(one.answer, Appended) and one.answer.repeated:
            resumed = {event.resume_id for event in one.events if event.resume_id is not None}
            known = first.get(one.key or "")
            assert (known is not None and one.answer.events == known.events) or (
                resumed == {event.resume_id for event in one.answer.events}
            )


def _answers_must_be_true(log: Sequence[Event], sent: Sequence[Sent]) -> None:
    by_request: dict[str, list[Event]] = {}
    for event in log:
        by_request.setdefault(event.request_id, []).append(event)
    for one in sent:
        events = tuple(by_request.get(one.request_id, ()))
        if isinstance(one.answer, Refused):
            assert events == (), "a refused request left something in the log"
        elif one.answer.repeated:
            assert events == ()
            assert set(one.answer.events) <= set(log)
        else:
            assert one.answer.events == events
            assert [(event.event_type, event.correlation_id) for event in events] == [
                (event.event_type, event.correlation_id) for event in one.events
            ]
    strangers = by_request.keys() - {one.request_id for one in sent}
    # Those that set the scene: run_created with run_started, then the hook with its steps.
    assert len(strangers) == 2, "an event that nobody was told of"


def _journal_must_be_complete(log: Sequence[Event], rows: Sequence[Refusal], sent: Sequence[Sent]) -> None:
    expected: Counter[tuple[str, str, str]] = Counter()
    for one in sent:
        # What no state could accept is nobody's race, and is not kept.
        if isinstance(one.answer, Refused) and not isinstance(one.answer, InvalidEvent):
            expected.update((one.request_id, event.event_type, one.answer.code) for event in one.events)
    assert Counter((row.request_id, row.event_type, row.code) for row in rows) == expected
    place = {event.event_id: event.position for event in log}
    for row in rows:
        known = log[: place[row.tail_at_refusal]]
        fence = json.loads(row.fence) if row.fence is not None else {"kind": None, "value": None}
        if row.code == "FENCE_CONFLICT":
            assert fence["kind"] in ("tail", "as_of")
            assert row.actual == row.tail_at_refusal
            assert row.expected != row.tail_at_refusal, "the fence held, and was refused"
            if fence["kind"] == "tail":
                assert row.expected == fence["value"]
            else:
                older = [event.event_id for event in known if _ms(event.event_id) < int(fence["value"])]
                assert row.expected == (older[-1] if older else "none")
        elif row.code == "PRECONDITION_FAILED":
            assert fence["kind"] == "state_updated_at"
            assert max(_ms(event.event_id) for event in known if event.event_type in NEWER) > int(fence["value"])
        elif row.code == "ENTITY_CONFLICT" and fence["kind"] == "tail":
            assert fence["value"] == row.tail_at_refusal, "a stale writer was told of entities"


async def _row_must_be_that_of(run: OneRun, log: Sequence[Event]) -> None:
    row, last = await run.row(), log[-1]
    assert (row.version, row.tail, row.hash) == (len(log), last.event_id, last.hash)
    assert row.updated_at == last.created_at
    ended = {"run_completed": "completed", "run_cancelled": "cancelled"}
    assert row.status == ended.get(last.event_type, "running")
    assert not any(event.event_type in ended for event in log[:-1]), "the log went on behind its end"
    assert row.marker == max((_ms(event.event_id) for event in log if event.event_type in NEWER), default=0)

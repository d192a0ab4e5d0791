"""One run under any sequence of appends is what a second, plain telling of the documents says it is."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from acts import OneRun, T, begun, created, dumped, hook, nowhere, of_run
from hypothesis import given, settings
from hypothesis import strategies as st
from proofs import must_be_sound
from reference import No, Run, ms_of
from stores import Clock

from auditor.errors import Divergence, Refused
from auditor.world import Appended, Fence, NewEvent, as_of, state_updated_at, tail, unfenced
from auditor.world.memory import MemoryWorld

R = TypeVar("R")
TOKENS = ("free", "of a rival", "another")
NAMES = ("a", "b")
MOMENTS = (None, -1_000, 5, 20)
"""When something is due, from now."""


def done(call: Coroutine[Any, Any, R]) -> R:
    """The result of a call on a memory world that nobody schedules: it never waits."""
    try:
        call.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the call has waited for something")


def shaped(kind: T, name: str, moment: int | None, word: str, other: bool, now: int) -> NewEvent:
    """An event of one type; `other` makes it say something that may contradict its entity."""
    at = None if moment is None else now + moment
    data: dict[str, Any] = {}
    match kind:
        case T.RUN_CREATED:
            data = {"workflowName": "order"}
        case T.RUN_FAILED:
            data = {"errorCode": word}
        case T.STEP_CREATED:
            data = {"stepName": "charge"}
        case T.STEP_STARTED | T.STEP_COMPLETED if other:
            data = {"stepName": "refund"}
        case T.STEP_RETRYING if at is not None:
            data = {"retryAfter": at}
        case T.WAIT_CREATED:
            data = {"resumeAt": now if at is None else at}
        case T.WAIT_COMPLETED if other:
            data = {"resumeAt": now}
        case T.HOOK_CREATED:
            data = {"token": word} | ({} if at is None else {"tokenRetentionUntil": max(at, 0)})
    named = name if kind.split("_")[0] in ("step", "wait", "hook") else None
    resume_id = f"resume-{name}" if kind is T.HOOK_RECEIVED and other else None
    return NewEvent(kind, named, data or None, resume_id=resume_id)


COMMON = [
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
    T.ATTR_SET,
    T.RUN_STARTED,
]
RARE = [T.RUN_CREATED, T.RUN_COMPLETED, T.RUN_FAILED, T.RUN_CANCELLED, T.HOOK_CONFLICT]
CODES = [
    "ENTITY_CONFLICT",
    "FENCE_CONFLICT",
    "INVALID_EVENT",
    "NOT_FOUND",
    "PRECONDITION_FAILED",
    "RUN_TERMINAL",
    "TOO_EARLY",
]
FENCES = ("none", "unfenced", "tail", "as_of", "state")


class Walk:
    """The world and the reference side by side, on a way through all appends that a seed says."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = Clock()
        self.world = MemoryWorld(clock=self.clock)
        rival = done(begun(self.world, hook(T.HOOK_CREATED, token="of a rival")))
        self.run: OneRun = nowhere(self.world)
        self.model = Run(self.run.id, tokens={"of a rival": (rival.id, "hook_1", None)})
        self.refusals = 0
        self.last: tuple[tuple[NewEvent, ...], str | None] | None = None
        self.seen: Counter[str] = Counter()

    def go(self, steps: int) -> None:
        ways = [self.anything, self.anything, self.bring_about, self.bring_about, self.bring_about, self.again]
        for _ in range(steps):
            self.clock.ms += self.random.choice([0, 0, 1, 5, 30])
            self.random.choice(ways)()
            self.rows_are_the_fold_of_the_log()
            self.tokens_are_held_by_whom_the_fold_says()
            assert len(done(self.run.refusals())) == self.refusals
        if self.model.row is not None:
            log = done(self.run.log())
            assert list(log) == self.model.log
            must_be_sound(log)
        self.a_stranger_gets_what_is_free()

    def anything(self) -> None:
        """One to three events, whatever they are, under a fence of now or of a while ago."""
        pick = self.random
        if self.model.row is None and pick.random() < 0.7:
            self._append((created(), of_run(T.RUN_STARTED))[: pick.choice([1, 2])], None, None)
            return
        kinds = [pick.choice(RARE if pick.random() < 0.03 else COMMON) for _ in range(pick.choice([1, 2, 2, 3]))]
        events = [self._shaped(kind, other=pick.random() < 0.2) for kind in kinds]
        if pick.random() < 0.04:
            events[-1] = of_run(pick.choice([T.RUN_COMPLETED, T.RUN_FAILED, T.RUN_CANCELLED]), errorCode="E")
        key = pick.choice(["key-1", "key-2", None, None, None])
        self._append(
            tuple(events), self._fence(pick.choice([*FENCES, "future"]), pick.choice([0, 0, 0, 1, 3])), key
        )

    def bring_about(self) -> None:
        """One of the events that get a certain answer now: of those drawn blindly few get any but two of them."""
        wanted = self.random.choice(["accepted", "accepted", *CODES])
        stale = {"FENCE_CONFLICT": "tail", "PRECONDITION_FAILED": "state"}.get(wanted)
        fence = self._fence(stale or self.random.choice(FENCES), 1 if stale else 0)
        key = self.random.choice([None, None, "key-1", "key-3"])
        found = []
        for kind in COMMON:
            events = (self._shaped(kind),)
            expected = self._expected(events, fence, key, self.clock.ms)
            if (expected.code if isinstance(expected, No) else "accepted") == wanted:
                found.append(events)
        if found:
            self._append(self.random.choice(found), fence, key)

    def again(self) -> None:
        """What was accepted last, once more; under its key it is the same again, without it is decided anew."""
        if self.last is not None:
            self._append(self.last[0], None, self.last[1])

    def _shaped(self, kind: T, *, other: bool = False) -> NewEvent:
        pick = self.random.choice
        return shaped(kind, pick(NAMES), pick(MOMENTS), pick(TOKENS), other=other, now=self.clock.ms)

    def _fence(self, kind: str, behind: int) -> Fence | None:
        """The fence of a writer whose snapshot lacks the last `behind` events."""
        known = self.model.log[: len(self.model.log) - behind]
        last = known[-1].event_id if known else None
        made = {
            "unfenced": unfenced("a model"),
            "tail": tail(last),
            "as_of": as_of(ms_of(last) + 1),
            "state": state_updated_at(max(ms_of(last), 0)),
            "future": as_of(self.clock.ms + 1_000_000),
        }
        return made.get(kind)

    def _append(self, events: tuple[NewEvent, ...], fence: Fence | None, key: str | None) -> None:
        now = self.clock.ms
        # A commit is never older than the one before it; nothing sets this clock back.
        self.model.tokens = {
            token: taken for token, taken in self.model.tokens.items() if taken[2] is None or taken[2] > now
        }
        expected = self._expected(events, fence, key, now)
        before = self._everything()
        answer = self._answer(events, fence, key)
        if isinstance(answer, Refused):
            assert isinstance(expected, No), (answer, expected)
            assert (answer.code, isinstance(answer, Divergence)) == (expected.code, expected.diverged), answer
            assert self._everything() == before, "a refusal changed something"
            kept = self.model.row is not None and answer.code != "INVALID_EVENT"
            self.refusals += len(events) if kept else 0
            self.seen.update([answer.code, *(["diverged"] if expected.diverged else [])])
            return
        assert not isinstance(expected, No), (expected.code, answer)
        if isinstance(expected, tuple):
            assert (answer.repeated, answer.events) == (True, expected)
            assert self._everything() == before, "a repetition changed something"
            self.seen["repeated"] += 1
            return
        assert not answer.repeated
        assert [event.event_type for event in answer.events] == expected
        assert {event.created_at for event in answer.events} == {now}
        self.model.take(events, now)
        self.model.logged(answer.events, key, events)
        self.last = events, key
        self.seen.update([*expected, "accepted"])

    def _expected(self, events: tuple[NewEvent, ...], fence: Fence | None, key: str | None, now: int) -> Any:
        try:
            return self.model.judged(events, fence, key, now)
        except No as no:
            return no

    def _answer(self, events: tuple[NewEvent, ...], fence: Fence | None, key: str | None) -> Appended | Refused:
        try:
            return done(self.run.append(*events, fence=fence, idempotency_key=key))
        except Refused as refused:
            return refused

    def _everything(self) -> list[Any]:
        """All that a refusal must leave as it was: everything but the journal."""
        return [done(dumped(self.world, table)) for table in ("run", "event", "entity", "message")]

    def rows_are_the_fold_of_the_log(self) -> None:
        row = done(self.world.run(self.run.id))
        if self.model.row is None:
            assert row is None
            return
        assert row is not None
        own = {"run_id": self.run.id, "deployment_id": None, "core_version": None, "spec_version": 3}
        assert row._asdict() == self.model.row | own
        entities = [one._asdict() for one in done(self.world.entities(self.run.id))]
        assert entities == [self.model.entities[key] for key in sorted(self.model.entities)]

    def tokens_are_held_by_whom_the_fold_says(self) -> None:
        for token in TOKENS:
            holder = done(self.world.hook_by_token(token))
            run_id, name, until = self.model.tokens.get(token, (None, None, None))
            expected = None if until is not None or run_id is None else (run_id, name)
            assert (None if holder is None else (holder.run_id, holder.correlation_id)) == expected

    def a_stranger_gets_what_is_free(self) -> None:
        stranger = done(begun(self.world))
        for token in TOKENS:
            until = self.model.tokens.get(token, (None, None, 0))[2]
            taken = token in self.model.tokens and (until is None or until > self.clock.ms)
            (event,) = done(stranger.append(hook(T.HOOK_CREATED, token, token))).events
            assert event.event_type == ("hook_conflict" if taken else "hook_created")


def test_one_run_under_any_appends_is_what_the_reference_says() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=120, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 100) | st.just(100) | st.just(99))
    def walk(seed: int, steps: int) -> None:
        way = Walk(seed)
        way.go(steps)
        seen.update(way.seen)

    walk()
    every = {*COMMON, *RARE, "accepted", "repeated", "diverged", *CODES}
    assert seen.keys() >= every, every - seen.keys()

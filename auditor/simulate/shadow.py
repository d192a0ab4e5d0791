"""The shadow: a correct core beside the one that may be faulty. It alone says whether a fault took effect.

It knows what the store would have answered, what a replay of the log would have decided, what a correct writer
would have sent, and what there was to export. The audit has no part in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from auditor.errors import FenceConflict, Nondeterminism
from auditor.model.events import ROLE, EventType, WriteRole
from auditor.model.rows import NONE, Event
from auditor.runtime.decisions import decide as decide_writes
from auditor.runtime.history import History
from auditor.runtime.policy import FencePolicy
from auditor.runtime.registry import Workflow, step_named
from auditor.runtime.replayer import Replay
from auditor.runtime.tick import CORRUPTED
from auditor.runtime.values import data_of
from auditor.world.decision import Accepted, Decision, Repeated, RunState, decide
from auditor.world.draft import Request

T = EventType

LONGEST_REST_MS = 60_000
"""Time without an event that no scenario asks for."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One place where a system came to something else than a correct one.

    `what` says it in a few words. What a witness of it must show is an event, all that is about an entity, a
    refusal of an event of this type, or (`record` is `export`) anything of the run.
    """

    run_id: str
    what: str
    event_id: str | None = None
    correlation_id: str | None = None
    event_type: str | None = None
    position: int | None = None
    record: str = "event"


class Shadow:
    """Looks on, and keeps the effects."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self._refused: set[tuple[str | None, ...]] = set()

    def judge(self, state: RunState, request: Request, now: int, decision: Decision) -> None:
        """Compare the answer of a store with the correct one to the same request in the same state."""
        correct = decide(state, request, now, _first_bit)
        if (said := _said(decision)) == (should := _said(correct)):
            return
        what = f"the store {_in_words(decision)}, a correct one {_in_words(correct)}"
        if isinstance(decision, Accepted):
            before = set() if not isinstance(correct, Accepted) else set(should)
            wrong = [event for event, one in zip(decision.events, said, strict=True) if one not in before]
            self.effects += [effect_of(event, what) for event in wrong or decision.events]
        else:
            self.effects += _refusals(request, what)

    def watch(self, request: Request, decision: Decision) -> None:
        """Look at the conduct of a writer: one that was refused decides again; it does not send the same again."""
        append, first = request.append, request.drafts[0]
        if append.writer.tick_id is None or request.tail is None:
            return
        said = (append.writer.tick_id, request.tail, first.event_type, first.correlation_id)
        if isinstance(decision, FenceConflict):
            if said in self._refused:
                self.effects += _refusals(request, "a writer sends again what was refused")
            self._refused |= {said, (append.request_id,)}
        elif isinstance(decision, Accepted) and (append.request_id,) in self._refused:
            self.effects += [
                effect_of(event, "a decision that was refused is sent again, not made again")
                for event in decision.events
            ]

    def compare(self, accepted: Accepted, stored: Accepted) -> None:
        """Compare what is stored with what was accepted."""
        if stored is accepted:
            return
        kept = {event.event_id: event for event in stored.events}
        for event in accepted.events:
            if kept.get(event.event_id) != event:
                self.effects.append(effect_of(event, f"{event.event_type} was accepted and not stored so"))
        was = {event.event_id for event in accepted.events}
        self.effects += [
            effect_of(event, f"{event.event_type} was stored and never accepted")
            for event in stored.events
            if event.event_id not in was
        ]
        # What an accepted request changes in a row of an entity shows in that entity; in the row of a run, in it.
        for rows, others in (
            (accepted.change.created, stored.change.created),
            (accepted.change.updated, stored.change.updated),
        ):
            self.effects += [
                Effect(
                    accepted.run.run_id,
                    f"the row of a {kind} was not stored as it was accepted",
                    correlation_id=correlation_id,
                )
                for (kind, correlation_id), row in rows.items()
                if others.get((kind, correlation_id)) != row
            ]
        if accepted.run.status != stored.run.status:
            self.effects.append(Effect(accepted.run.run_id, "the run has another status", record="export"))

    def read_log(self, log: Sequence[Event], workflow: Workflow, policy: FencePolicy) -> None:
        """Look for decisions that a correct writer, with all of the log before them, would not have made."""
        self._judge_fences(log, policy)
        self._judge_pace(log)
        if not log:
            return
        with Replay(workflow, log[0].run_id) as replay:
            for event in log:
                try:
                    replay.deliver(event)
                except Nondeterminism as wrong:
                    self.effects.append(effect_of(event, f"a replay {wrong.expected} here, not {wrong.actual}"))
                    self.effects += [effect_of(end, "the run is given up") for end in log if _gives_up(end)]
                    return
                if _gives_up(event):
                    self.effects.append(effect_of(event, "a correct runtime does not give this run up"))

    def _judge_pace(self, log: Sequence[Event]) -> None:
        """Look for a rest that nobody asked for, a step that is tried too often, and an id older than the tail."""
        starts: Counter[str] = Counter()
        for before, event in pairwise(log):
            if event.event_id < before.event_id:
                self.effects.append(effect_of(event, "its id is older than the tail"))
            if event.created_at - before.created_at > LONGEST_REST_MS:
                self.effects.append(effect_of(event, "a correct system does not rest so long"))
            if event.event_type == T.STEP_STARTED:
                starts[str(event.correlation_id)] += 1
                step = step_named(str(data_of(event).get("stepName")))
                if step is not None and starts[str(event.correlation_id)] == step.max_attempts + 1:
                    self.effects.append(effect_of(event, f"a step is tried {step.max_attempts} times at most"))

    def _judge_fences(self, log: Sequence[Event], policy: FencePolicy) -> None:
        tail: str | None = None
        request, at_request = None, None
        for event in log:
            if event.request_id != request:
                request, at_request = event.request_id, tail
            tail = event.event_id
            kind = T(event.event_type)
            if ROLE[kind] is WriteRole.SIGNAL and event.fence is not None and '"unfenced"' not in event.fence:
                self.effects.append(effect_of(event, "a correct caller sends a signal without a fence"))
            if event.tick_id is None or ROLE[kind] is not WriteRole.DECISION:
                continue
            correct = policy.fence(kind, at_request)
            if correct is None or event.fence == correct.text():
                continue
            self.effects.append(effect_of(event, f"a correct writer fences it with {correct.value or NONE}"))

    def look_for_stranded(self, log: Sequence[Event], workflow: Workflow, now: int, waking: Iterable[str]) -> None:
        """Look for work that a correct core would still do, and that nothing will wake it for.

        `waking` are the keys of the messages that are left.
        """
        if not log or set(waking):
            return
        history = History()
        history.merge(log)
        if history.is_ended:
            return
        run_id = log[0].run_id
        with Replay(workflow, run_id) as replay:
            try:
                decision = decide_writes(history, replay, now)
            except Nondeterminism:
                return
            if decision is not None:
                self.effects.append(
                    effect_of(log[-1], f"nobody will write {decision.events[0].event_type} behind it")
                )
                self.effects += [
                    Effect(
                        run_id,
                        f"nobody will write {event.event_type}",
                        correlation_id=event.correlation_id,
                        event_type=event.event_type,
                        record="refusal",
                    )
                    for event in decision.events
                ]
                return
            for made in replay.allocations:
                if made.kind == "step" and not made.is_closed:
                    self.effects.append(
                        Effect(run_id, "nobody will run this step", correlation_id=made.correlation_id)
                    )
        for wait in history.elapsed(1 << 60):
            self.effects.append(Effect(run_id, "nobody will wake this wait", correlation_id=wait))

    def look_for_signals(self, run_id: str, log: Sequence[Event], acknowledged: Sequence[Event]) -> None:
        """Look for signals that were acknowledged and are not in the log exactly once."""
        times = Counter(event.resume_id or "" for event in log)
        for event in acknowledged:
            if times[event.resume_id or ""] != 1:
                self.effects.append(
                    Effect(
                        run_id,
                        f"an acknowledged signal is in the log {times[event.resume_id or '']} times",
                        correlation_id=event.correlation_id,
                    )
                )


def effect_of(event: Event, what: str) -> Effect:
    """An effect that shows in this event."""
    return Effect(event.run_id, what, event.event_id, event.correlation_id, event.event_type, event.position)


def _refusals(request: Request, what: str) -> list[Effect]:
    """Effects that show in the refusals of a request."""
    return [
        Effect(
            request.append.run_id,
            what,
            correlation_id=draft.correlation_id,
            event_type=draft.event_type.value,
            record="refusal",
        )
        for draft in request.drafts
    ]


def _gives_up(event: Event) -> bool:
    return event.event_type == T.RUN_FAILED and data_of(event).get("errorCode") == CORRUPTED


def _first_bit(_bits: int) -> int:
    return 0


def _said(decision: Decision) -> tuple[object, ...]:
    """What two decisions are compared by: all but what is drawn."""
    if isinstance(decision, Accepted):
        return tuple(
            (event.event_type, event.correlation_id, event.data, event.fence, event.position)
            for event in decision.events
        )
    if isinstance(decision, Repeated):
        return ("repeated", decision.first, decision.last)
    return ("refused", decision.code, decision.reason)


def _in_words(decision: Decision) -> str:
    if isinstance(decision, Accepted):
        return f"accepts {', '.join(event.event_type for event in decision.events)}"
    if isinstance(decision, Repeated):
        return "repeats an earlier answer"
    return f"answers {decision.code}" + (f" ({decision.reason})" if decision.reason else "")

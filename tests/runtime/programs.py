"""Workflows that nobody wrote: trees of sequences, races, loops, retries and branches, and valid logs of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import strategies as st
from lives import START, run_id

from auditor.errors import FatalError, HookConflict, StepFailed
from auditor.model.events import EntityKind, EventType
from auditor.model.ids import ulid
from auditor.model.rows import Event
from auditor.runtime import Context, Hook, step
from auditor.runtime.registry import Workflow
from auditor.runtime.replayer import CREATIONS, Replay, Returned

T = EventType
Node = tuple[Any, ...]
CREATED = {kind: event for event, kind in CREATIONS.items()}
LONGEST = 45


@step
async def even(number: int, before: int) -> int:
    """One of two names, so that a replay which takes the other branch is told apart by it."""
    if (number + before) % 5 == 4:
        raise FatalError("no")
    return before % 3


@step
async def odd(number: int, before: int) -> int:
    """The other."""
    return 1 + await even(number, before)


LEAVES: st.SearchStrategy[Node] = (
    st.tuples(st.just("step"), st.integers(0, 3))
    | st.tuples(st.just("sleep"), st.integers(0, 20))
    | st.tuples(st.just("hook"), st.integers(0, 2))
    | st.tuples(st.just("dispose"), st.integers(0, 2))
    | st.just(("draw",))
)


def _branches(node: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(node, min_size=2, max_size=4)
    return (
        st.tuples(st.sampled_from(["race", "race", "gather", "seq"]), several)
        | st.tuples(st.sampled_from(["loop", "retry"]), st.integers(1, 3), node)
        | st.tuples(st.just("if"), node, node, node)
        | st.tuples(st.just("alone"), node)
    )


PROGRAMS: st.SearchStrategy[Node] = st.lists(
    st.recursive(LEAVES, _branches, max_leaves=8), min_size=2, max_size=4
).map(lambda nodes: ("seq", [("race", [("hook", 0), ("sleep", 5)]), *nodes, ("step", 1)]))
"""Programs, every one of which begins with the race that it is all about."""


def kinds_in(node: Node) -> Counter[str]:
    """How often each kind of node is in a program."""
    found = Counter([node[0]])
    for part in node[1:]:
        for child in part if isinstance(part, list) else [part]:
            if isinstance(child, tuple):
                found += kinds_in(child)
    return found


class Interpreter:
    """One replay's walk through a program."""

    def __init__(self, ctx: Context, chosen: Callable[[int], int]) -> None:
        self._ctx = ctx
        self._chosen = chosen
        self._hooks: dict[int, Hook] = {}
        self._sum = 0

    async def perform(self, node: Node) -> int:
        """Run a node. What it comes to depends on everything that has happened before it."""
        match node:
            case ("seq", nodes):
                return sum([await self.perform(one) for one in nodes])
            case ("loop", times, body):
                return sum([await self.perform(body) for _ in range(times)])
            case ("retry", times, body):
                for _ in range(times):
                    try:
                        return await self.perform(body)
                    except (StepFailed, HookConflict):
                        self._noted(1)
                return 0
            case ("if", asked, yes, no):
                return await self.perform(yes if await self.perform(asked) % 2 else no)
            case ("alone", body):
                self._ctx.gather(self.perform(body))
                return 0
        return await self._one(node)

    async def _one(self, node: Node) -> int:
        match node:
            case ("draw",):
                drawn = int(self._ctx.random() * 8) + self._ctx.now().microsecond // 1000 % 2
                return self._noted(drawn + self._ctx.uuid().int % 2)
            case ("dispose", number):
                self._hook(number).dispose()
                return 0
            case ("hook", number):
                try:
                    return self._noted(await self._hook(number))
                except HookConflict:
                    return self._noted(5)
            case ("step" | "sleep", _):
                return self._noted(await self._begun(node) or 0)
            case ("race", nodes):
                place, value = await self._ctx.race(*map(self._begun, nodes))
                return self._noted(place + (value or 0))
            case ("gather", nodes):
                return self._noted(sum(value or 0 for value in await self._ctx.gather(*map(self._begun, nodes))))
        raise AssertionError(node)

    def _begun(self, node: Node) -> Any:
        """What a race or a gather takes: a promise, a hook, or the call of a coroutine."""
        match node:
            case ("step", number):
                function = odd if self._chosen(self._sum + number) % 2 else even
                return self._ctx.step(function, number, self._sum)
            case ("sleep", ms):
                return self._ctx.sleep(ms / 1000)
            case ("hook", number):
                return self._hook(number)
        return self.perform(node)

    def _hook(self, number: int) -> Hook:
        known = self._hooks.get(number)
        # A token that was let go of is asked for again.
        if known is None or known.disposed:
            self._hooks[number] = self._ctx.hook(None if number == 0 else f"token {number}")
        return self._hooks[number]

    def _noted(self, value: int) -> int:
        self._sum += value
        return value


def made(program: Node, chosen: Callable[[int], int] = lambda number: number) -> Workflow:
    """The workflow that is a program. `chosen` turns what it knows into the choice of the next step."""

    def function(ctx: Context) -> Coroutine[Any, Any, int]:
        return Interpreter(ctx, chosen).perform(program)

    return Workflow("generated", function)


Drawn = tuple[tuple[str, str, str | None, str], ...]


def drawn(replay: Replay) -> Drawn:
    """All that the creations of a replay would say in the log."""
    return tuple(
        (one.correlation_id, one.kind.value, one.name, json.dumps(one.data)) for one in replay.allocations
    )


class Growing:
    """A log as a world could have it: what is created is what the replay wants, what happens to it is chance."""

    def __init__(self, workflow: Workflow, seed: int) -> None:
        self.log: list[Event] = []
        self.seen: list[Drawn] = [()]
        self.outcomes: list[object] = [None]
        self._chance = random.Random(seed)
        self._ms = START
        self._created: dict[str, str] = {}
        self._replay = Replay(workflow, run_id())

    def grow(self) -> None:
        """Grow until the workflow has ended, or the log is long enough."""
        with self._replay:
            self._add(T.RUN_CREATED, None, {"workflowName": "generated"})
            self._add(T.RUN_STARTED)
            while self._replay.outcome is None and len(self.log) < LONGEST:
                self._happen()
            if isinstance(outcome := self._replay.outcome, Returned):
                self._add(T.RUN_COMPLETED, None, outcome.data)

    def _happen(self) -> None:
        """One thing: a decision of the workflow, or something from outside."""
        replay, chance = self._replay, self._chance
        missing, disposals = replay.missing, replay.disposals
        open_ = [one for one in replay.allocations if one.correlation_id in self._created and not one.is_closed]
        self._ms += chance.choice([0, 0, 1, 3])
        if missing and (not open_ or chance.random() < 0.5):
            for one in missing if chance.random() < 0.7 else missing[:1]:
                taken = one.kind is EntityKind.HOOK and chance.random() < 0.1
                self._created[one.correlation_id] = "taken" if taken else "open"
                self._add(T.HOOK_CONFLICT if taken else CREATED[one.kind], one.correlation_id, one.data)
        elif disposals and chance.random() < 0.5:
            self._add(T.HOOK_DISPOSED, disposals[0].correlation_id)
        elif chance.random() < 0.1 and self._created:
            self._inert(chance.choice(sorted(self._created)))
        elif open_:
            one = chance.choice(open_)
            match one.kind:
                case EntityKind.WAIT:
                    self._add(T.WAIT_COMPLETED, one.correlation_id)
                case EntityKind.HOOK:
                    self._add(T.HOOK_RECEIVED, one.correlation_id, {"payload": chance.randrange(8)})
                case EntityKind.STEP:
                    self._advance(one.correlation_id, str(one.name))

    def _advance(self, step_id: str, name: str) -> None:
        kind = self._chance.choice(
            [T.STEP_STARTED, T.STEP_RETRYING, T.STEP_COMPLETED, T.STEP_COMPLETED, T.STEP_COMPLETED, T.STEP_FAILED]
        )
        error = {"name": "ValueError", "message": "no"}
        more = {T.STEP_COMPLETED: {"result": self._chance.randrange(8)}, T.STEP_FAILED: {"error": error}}
        self._add(kind, step_id, {"stepName": name, **more.get(kind, {})})

    def _inert(self, entity: str) -> None:
        """Something that means nothing to the workflow: another attribute, or a second end of what has ended."""
        one = next(one for one in self._replay.allocations if one.correlation_id == entity)
        if not one.is_closed or one.kind is EntityKind.HOOK:
            self._add(T.ATTR_SET, None, {"changes": {}})
        elif one.kind is EntityKind.WAIT:
            self._add(T.WAIT_COMPLETED, entity)
        else:
            self._add(T.STEP_COMPLETED, entity, {"stepName": one.name, "result": 9})

    def _add(self, kind: EventType, entity: str | None = None, data: dict[str, Any] | None = None) -> None:
        self._take(event_of(len(self.log) + 1, kind, entity, data, self._ms))

    def _take(self, event: Event) -> None:
        self.log.append(event)
        self._replay.deliver(event)
        self.seen.append(drawn(self._replay))
        self.outcomes.append(ended(self._replay))


def ended(replay: Replay) -> object:
    """What the workflow has come to, to be compared."""
    outcome = replay.outcome
    return None if outcome is None else (type(outcome).__name__, json.dumps(outcome.data))


def event_of(
    position: int,
    kind: EventType,
    entity: str | None = None,
    data: dict[str, Any] | None = None,
    created_at: int = START,
) -> Event:
    """A row of a log, as far as a replay looks at it."""
    nothing: dict[str, Any] = dict.fromkeys(Event._fields)
    return Event(
        **nothing
        | {
            "run_id": run_id(),
            "position": position,
            "event_id": f"evnt_{ulid((START << 80) + position)}",
            "event_type": kind.value,
            "correlation_id": entity,
            "created_at": created_at,
            "data": None if data is None else json.dumps(data),
            "tail_at_commit": "",
            "request_id": "",
        }
    )

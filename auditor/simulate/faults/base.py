"""What a fault is: a system without one, of which each fault overrides the part that it breaks."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from auditor.model.rows import Run
from auditor.runtime.client import resume_hook
from auditor.runtime.policy import FencePolicy, Fencing
from auditor.runtime.registry import Workflow
from auditor.runtime.steps import Executor
from auditor.runtime.tick import Store
from auditor.simulate.draws import Draws
from auditor.simulate.records import Record
from auditor.world import Appended, Message, Snapshot, World
from auditor.world.decision import Accepted, Decision, Draw, RunState, decide
from auditor.world.draft import Request


class Crash(BaseException):
    """A worker dies here: nothing that it holds is given back, and nothing is said to anybody."""


class Fault:
    """A system as it should be.

    `rules`: what must name a run in which the fault took effect; whatever else is found there is a consequence.
    `scenarios`: where it is tried. `policy`: what the runtime fences. `dialect`: how the log is exported (see
    `auditor.simulate.dialects`). `core_version`: of the SDK whose replay the log is judged by; None: our own.
    `replays`: the code is replayed on the log, as `auditor replay` does. `controls`: how many simulations without
    the fault stand in the same log for each one with it, for a rule that compares runs. `roots`: how
    many findings above info that fold under no other such a run may have: one, unless two are true and neither
    follows from the other.
    """

    rules: ClassVar[tuple[str, ...]] = ()
    scenarios: ClassVar[tuple[str, ...]] = ("race",)
    policy: ClassVar[FencePolicy] = FencePolicy.FULL
    dialect: ClassVar[str] = "own"
    core_version: ClassVar[str | None] = None
    replays: ClassVar[bool] = False
    controls: ClassVar[int] = 0
    roots: ClassVar[int] = 1
    exported_after_ms: ClassVar[int] = 3_600_000
    """How long after its last event a log is exported; by default what is overdue then is overdue for good."""

    executor: ClassVar[type[Executor]] = Executor
    lease_ms: ClassVar[int] = 2_000
    """How long a message is leased: longer than anybody needs who lives and is not held."""
    hands_back: ClassVar[bool] = True
    """Whether a tick that gave up is given back to the queue."""
    acks_first: ClassVar[bool] = False
    """Whether a worker acknowledges a message before it does what it says."""

    LAST = 3
    """A fault that strikes once strikes at one of its first so many opportunities."""

    def __init__(self, draws: Draws) -> None:
        self.draws = draws
        self._left = 1 + draws.below(self.LAST)

    @classmethod
    def id(cls) -> str:
        """Its name, in kebab case."""
        return re.sub("(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def strikes(self) -> bool:
        """Whether it strikes at this opportunity: once in a run, at one that the seed chose."""
        self._left -= 1
        return self._left == 0

    def client(self, world: World) -> Store:
        """What one worker reads and ticks through; asked for once a worker."""
        return world

    def fencing(self) -> Fencing:
        """How ticks fence what they decide on."""
        return self.policy

    def workflow(self, workflow: Workflow) -> Workflow:
        """The code that one worker runs; asked for once a worker."""
        return workflow

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """The answer of the store to a request."""
        return decide(state, request, now, draw)

    def stored(self, accepted: Accepted, before: Run | None) -> Accepted:
        """What is stored of what was accepted; `before` is the run as it was."""
        return accepted

    def answered(self, request: Request) -> None:
        """The answer to a request is on its way. Raises StoreUnavailable to lose it, Crash to kill who waits."""

    def read(self, snapshot: Snapshot) -> Snapshot:
        """What a reader is given."""
        return snapshot

    def sent(self, message: Message, leased: bool) -> bool:
        """Whether a message is stored; `leased`: one that says the same is being worked on."""
        return True

    async def resume(self, world: World, token: str, payload: Any, resume_id: str) -> Appended:
        """How somebody outside delivers a signal."""
        return await resume_hook(world, token, payload, resume_id=resume_id)

    def exported(self, records: list[Record]) -> list[Record]:
        """The export of a run."""
        return records

    def exported_before(self, records: list[Record]) -> list[Record]:
        """An earlier export of a run that is audited together with the last one; empty: there was none."""
        return []

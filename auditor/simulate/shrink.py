"""From a seed that goes wrong to a short script that goes wrong the same way.

First the scenario is made as small as it can be, then the schedule: runs of moves are left out, the longest first,
and time that passes between them, for as long as an effect is left and does not come later in the log.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from auditor.errors import UsageError
from auditor.runtime.policy import FencePolicy
from auditor.simulate.faults.base import Fault
from auditor.simulate.play import Played, by_seed, play
from auditor.simulate.scenarios import Scenario
from auditor.simulate.schedule import EndlessSimulation, Move
from auditor.simulate.strategies import Script

SEEDS = 12
"""Seeds that are tried with a smaller size."""

NOWHERE = 1 << 30

LONGEST_SCRIPT = 10_000
"""Moves of a script that somebody gives."""

_PART = re.compile(r"(?P<actor>[^*+]+)(?:\+(?P<ms>[0-9]{1,9}))?(?:\*(?P<times>[1-9][0-9]{0,8}))?")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a simulation is made of, but for its schedule. None: as the scenario or the fault has it."""

    scenario: Scenario
    seed: int
    fault: type[Fault] = Fault
    policy: FencePolicy | None = None
    size: int | None = None
    workers: int | None = None

    def play(self, script: Sequence[Move] | None = None) -> Played:
        """Play it, by its seed or by a script. Raises EndlessSimulation."""
        strategy = by_seed if script is None else lambda _draws: Script(script)
        return play(
            self.scenario,
            self.seed,
            self.fault,
            policy=self.policy,
            size=self.size,
            workers=self.workers,
            strategy=strategy,
        )


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A small simulation that goes wrong; `tried` is how many were played to find it."""

    setting: Setting
    script: tuple[Move, ...]
    played: Played
    tried: int


def shrink(setting: Setting, longest: int = 600) -> Shrunk | None:
    """The smallest simulation found, after about `longest` tries or fewer, that goes wrong as this one does.

    A smaller size is tried with a few seeds more: the same seed makes another schedule of it. None if this one
    does not go wrong.
    """
    hunt = _Hunt(longest)
    best = hunt.wrong(setting, None)
    if best is None:
        return None
    hunt.kind = _kind(best)
    whole = setting.scenario.size if setting.size is None else setting.size
    for size, seed in product(range(1, whole), range(setting.seed, setting.seed + SEEDS)):
        smaller = replace(setting, seed=seed, size=size)
        if (played := hunt.wrong(smaller, None)) is not None:
            setting, best = smaller, played
            break
    shortest = hunt.shortest(setting, best)
    return Shrunk(setting, shortest.script, shortest.played, hunt.tried)


@dataclass(frozen=True, slots=True)
class _Wrong:
    script: tuple[Move, ...]
    played: Played


class _Hunt:
    """Tries, and counts them. `kind` is the type of the first event that is to be wrong; None: any."""

    def __init__(self, longest: int) -> None:
        self.tried = 0
        self.kind: str | None = None
        self._longest = longest

    def wrong(self, setting: Setting, script: Sequence[Move] | None) -> Played | None:
        """The simulation, if it goes wrong."""
        self.tried += 1
        try:
            played = setting.play(script)
        except EndlessSimulation:
            return None
        return played if played.effects and self.kind in (None, _kind(played)) else None

    def shortest(self, setting: Setting, played: Played) -> _Wrong:
        """A short script that goes wrong no later in the log."""
        best = _Wrong(tuple(played.moves), played)
        best = self._better(setting, best, tuple(Move(move.actor, 0) for move in best.script))
        size = max(1, len(best.script) // 2)
        while self.tried < self._longest:
            before = len(best.script)
            best = self._without(setting, best, size)
            if size == 1 and len(best.script) == before:
                break
            size = max(1, size // 2)
        return best

    def _without(self, setting: Setting, best: _Wrong, size: int) -> _Wrong:
        """Leave out so many moves at a time, from the end."""
        place = len(best.script) - size
        while place > -size and self.tried < self._longest:
            first = max(0, place)
            best = self._better(setting, best, best.script[:first] + best.script[first + size :])
            place = min(place, len(best.script)) - size
        return best

    def _better(self, setting: Setting, best: _Wrong, script: tuple[Move, ...]) -> _Wrong:
        played = self.wrong(setting, script)
        if played is None or first_effect(played) > first_effect(best.played):
            return best
        return _Wrong(script, played)


def _kind(played: Played) -> str | None:
    first = min(played.effects, key=lambda effect: effect.position or NOWHERE)
    return first.event_type


def first_effect(played: Played) -> int:
    """The position of the first event that is not as it should be; behind the log if none is."""
    places = [effect.position for effect in played.effects if effect.position is not None]
    return min(places, default=1 + max(len(played.log(run_id)) for run_id in played.runs))


def said(script: Sequence[Move]) -> str:
    """A script in a line: who goes on, how often, and how many ms pass before (`worker-0*3 signals-0+12*2`)."""
    parts: list[list[str | int]] = []
    for move in script:
        if parts and parts[-1][0] == move.actor and not move.ms:
            parts[-1][2] = int(parts[-1][2]) + 1
        else:
            parts.append([move.actor, move.ms, 1])
    return " ".join(
        f"{actor}{f'+{ms}' if ms else ''}{f'*{times}' if times != 1 else ''}" for actor, ms, times in parts
    )


def parsed(text: str) -> list[Move]:
    """A script from its line. Raises UsageError if it is none."""
    script: list[Move] = []
    for part in text.split():
        found = _PART.fullmatch(part)
        if found is None:
            raise UsageError(f"{part[:40]!r} is no part of a script; one looks like worker-0*3 or signals-0+12*2")
        actor, ms, times = found["actor"], int(found["ms"] or 0), int(found["times"] or 1)
        if len(script) + times > LONGEST_SCRIPT:
            raise UsageError(f"a script has {LONGEST_SCRIPT} moves at most")
        script += [Move(actor, ms), *[Move(actor, 0)] * (times - 1)]
    return script

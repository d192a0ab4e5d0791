"""Strategies: in which order the actors of a simulation go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from auditor.simulate.draws import Draws
from auditor.simulate.schedule import Actor, Move


class Uniform:
    """Whoever the seed says; now and then a few ms pass."""

    def __init__(self, draws: Draws) -> None:
        self._draws = draws

    def choose(self, ready: Sequence[Actor]) -> Actor:
        """See `Strategy.choose`."""
        return ready[0] if len(ready) == 1 else self._draws.one_of(ready)

    def passes(self) -> int:
        """See `Strategy.passes`."""
        drawn = self._draws.bits(5)
        return 1 + drawn // 2 if drawn < 6 else 0


class Priorities(Uniform):
    """Whoever has the highest priority; at a few moments of the seed the one who goes on falls to the lowest.

    So a writer is held for as long as the others have something to do, which chance alone rarely does. Source:
    Burckhardt et al., A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs (ASPLOS 2010).
    """

    CHANGES = 3
    SPAN = 160
    """Moves among which the changes are drawn."""

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self._priority: dict[str, int] = {}
        self._changes = {draws.below(self.SPAN) for _ in range(self.CHANGES)}
        self._moves = 0
        self._lowest = 0

    def choose(self, ready: Sequence[Actor]) -> Actor:
        """See `Strategy.choose`."""
        chosen = max(ready, key=self._priority_of)
        if self._moves in self._changes:
            self._lowest -= 1
            self._priority[chosen.name] = self._lowest
        self._moves += 1
        return chosen

    def _priority_of(self, actor: Actor) -> int:
        known = self._priority.get(actor.name)
        if known is None:
            known = self._priority[actor.name] = self._draws.bits(30)
        return known


class Hold(Uniform):
    """Hold a writer at a point while the others go on, until something is true or nobody else can.

    `actor` is a name, `when` and `what` name the point, `times` is how often it has to come there first.
    """

    def __init__(
        self,
        draws: Draws,
        *,
        actor: str,
        what: str,
        until: Callable[[], bool],
        when: str = "before",
        times: int = 1,
    ) -> None:
        super().__init__(draws)
        self._actor = actor
        self._point = when, what
        self._until = until
        self._left = times
        self._holding = False
        self._done = False

    def choose(self, ready: Sequence[Actor]) -> Actor:
        """See `Strategy.choose`."""
        if self._holding and self._until():
            self._holding, self._done = False, True
        free = [actor for actor in ready if not (self._holding and actor.name == self._actor)]
        if not free:
            self._holding, self._done = False, True
            free = list(ready)
        chosen = super().choose(free)
        if not self._done and not self._holding and self._comes(chosen):
            self._holding = True
            others = [actor for actor in free if actor is not chosen]
            return super().choose(others) if others else chosen
        return chosen

    def _comes(self, actor: Actor) -> bool:
        if actor.name != self._actor or (actor.at.when, actor.at.what) != self._point:
            return False
        self._left -= 1
        return self._left == 0


class Script:
    """A schedule that is played again: its moves, and behind them whoever went on last, for as long as it can.

    Of a script that was shortened a move may name somebody who cannot go on; it is left out.
    """

    def __init__(self, moves: Sequence[Move]) -> None:
        self._moves = list(moves)
        self._place = 0
        self._last = ""
        self._ms = 0

    def choose(self, ready: Sequence[Actor]) -> Actor:
        """See `Strategy.choose`."""
        by_name = {actor.name: actor for actor in ready}
        self._ms = 0
        while self._place < len(self._moves):
            move = self._moves[self._place]
            self._place += 1
            if move.actor in by_name:
                self._ms, self._last = move.ms, move.actor
                return by_name[move.actor]
        chosen = by_name.get(self._last, ready[0])
        self._last = chosen.name
        return chosen

    def passes(self) -> int:
        """See `Strategy.passes`."""
        return self._ms

"""What a cold replay of one run has come to."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.model.judgement import ReplayOutcome


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a sequence around an event. `marked`: it is the event, or the entity, in question."""

    text: str
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one run.

    diverged: `position` is the first event that the code does not make, `expected` what the code makes of it,
    `actual` what the log says; both names, where both speak of a step. other_terminal: `position` is the event
    that ends the run, `expected` what the code comes to there. `log` and `code` are both sequences around it, that
    of the log also behind it. not_replayed: `reason` says why. reproduced: `reason` says if it was to diverge, and
    did. No payload is in any of these.
    """

    run_id: str
    workflow: str | None
    outcome: ReplayOutcome
    reason: str | None = None
    position: int | None = None
    expected: str | None = None
    actual: str | None = None
    expected_name: str | None = None
    actual_name: str | None = None
    log: tuple[Line, ...] = ()
    code: tuple[Line, ...] = ()

    @property
    def message(self) -> str:
        """The outcome in one sentence."""
        if self.outcome is ReplayOutcome.DIVERGED:
            return f"the replay diverges at #{self.position}: the log has {self.actual}, the code {self.expected}"
        if self.outcome is ReplayOutcome.OTHER_TERMINAL:
            return f"the run ends at #{self.position}: the log has {self.actual}, the code {self.expected}"
        if self.outcome is ReplayOutcome.NOT_REPLAYED:
            return f"it could not be replayed: {self.reason}"
        return "the code makes this history, and comes to the same end"

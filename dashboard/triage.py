"""What people decided about findings: by pattern, so that a decision holds for the next audit, too."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from auditor import Baseline

from .state import State, now_ms

BASELINE_FILE = "triage-baseline.jsonl"
_TRAIL = "triage"


class Chosen(StrEnum):
    """What somebody may decide about a pattern."""

    OPEN = "open"
    RESOLVED = "resolved"
    IGNORED = "ignored"


class Standing(StrEnum):
    """What a finding is in the light of all that was decided; the order is that of the work it makes."""

    REGRESSED = "regressed"
    NEW = "new"
    OPEN = "open"
    KNOWN = "known"
    IGNORED = "ignored"
    RESOLVED = "resolved"
    SUPPRESSED = "suppressed"
    FOLDED = "folded"


MEANING = {
    Standing.REGRESSED: "somebody called it resolved, and a later audit found it again",
    Standing.NEW: "the audit before this one did not have it",
    Standing.OPEN: "nobody has decided about it, or the decision has ended",
    Standing.KNOWN: "it is in the baseline of this audit",
    Standing.IGNORED: "somebody decided to live with it for now",
    Standing.RESOLVED: "somebody calls it resolved since this audit was made",
    Standing.SUPPRESSED: "the configuration of this audit suppresses it",
    Standing.FOLDED: "it is a consequence of another finding",
}

STILL_OPEN = (Standing.REGRESSED, Standing.NEW, Standing.OPEN)
"""What asks for somebody's attention."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What is decided about: a pattern, in words for people, and how many of its findings stand in this audit."""

    pattern: str
    rule: str
    workflow: str | None
    message: str
    findings: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody decides. `until` (the last day) and `ceiling` bound what is ignored.

    `until` None: for good. `ceiling` None: as many findings as there are now.
    """

    state: Chosen
    comment: str = ""
    until: dt.date | None = None
    ceiling: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one pattern; a row of `triage` in `state.sql`, which says what each field is."""

    pattern: str
    rule: str
    workflow: str | None
    message: str
    state: Chosen
    until: dt.date | None
    ceiling: int
    comment: str
    decided_by: str
    decided_at: int
    audit_id: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> Decision:
        """From a row of the table."""
        until = dt.date.fromisoformat(row["until"]) if row["until"] else None
        return cls(**{**row, "state": Chosen(row["state"]), "until": until})

    def is_over(self, today: dt.date) -> bool:
        """The last day on which it is ignored has passed."""
        return self.until is not None and self.until < today

    def standing(self, found: int, made_at: int, today: dt.date) -> Standing:
        """What it makes of `found` findings in an audit made at that time."""
        match self.state:
            case Chosen.RESOLVED:
                return Standing.REGRESSED if made_at > self.decided_at else Standing.RESOLVED
            case Chosen.IGNORED if found <= self.ceiling and not self.is_over(today):
                return Standing.IGNORED
            case _:
                return Standing.OPEN

    def ended(self, found: int, today: dt.date) -> str | None:
        """Why what was ignored is open again; None if it is not."""
        if self.state is not Chosen.IGNORED:
            return None
        if self.is_over(today):
            return f"It was ignored until {self.until}."
        if found > self.ceiling:
            return f"It was ignored up to {self.ceiling:,}, and there are {found:,} now."
        return None


class Triage:
    """Decisions about patterns of findings, kept in `state.sqlite`."""

    def __init__(self, state: State) -> None:
        self.state = state

    def decisions(self) -> dict[str, Decision]:
        """What was decided, by pattern."""
        return {row["pattern"]: Decision.of(row) for row in self.state.rows("SELECT * FROM triage")}

    def standings(self, found: Mapping[str, int], made_at: int) -> dict[str, Standing]:
        """What the decisions make of the patterns of an audit: how many findings of each stand in it."""
        today = today_utc()
        decisions = self.decisions()
        return {
            pattern: decisions[pattern].standing(number, made_at, today)
            for pattern, number in found.items()
            if pattern in decisions
        }

    def decide(self, patterns: Sequence[Pattern], choice: Choice, who: str, audit_id: str) -> None:
        """Decide about these patterns, all of them or, if that fails, none."""
        with self.state.change() as con:
            for one in patterns:
                ceiling = max(1, one.findings if choice.ceiling is None else choice.ceiling)
                until = choice.until.isoformat() if choice.until else None
                values = [
                    one.pattern, one.rule, one.workflow, one.message, choice.state.value, until, ceiling,
                    choice.comment, who, now_ms(), audit_id,
                ]  # fmt: skip
                con.execute("INSERT OR REPLACE INTO triage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
                ignored = choice.state is Chosen.IGNORED
                self.state.note(
                    con,
                    who,
                    _TRAIL,
                    one.pattern,
                    state=choice.state.value,
                    until=until,
                    ceiling=ceiling if ignored else None,
                    comment=choice.comment,
                    audit_id=audit_id,
                )

    def history(self, pattern: str) -> list[dict[str, Any]]:
        """Every decision about a pattern, the latest first: at, who, state, until, ceiling, comment, audit_id."""
        rows = self.state.rows(
            "SELECT at, who, detail FROM trail WHERE action = ? AND subject = ? ORDER BY no DESC",
            [_TRAIL, pattern],
        )
        return [{"at": row["at"], "who": row["who"], **json.loads(row["detail"])} for row in rows]

    def baseline(self) -> str | None:
        """What is ignored today as a file of `auditor.baseline/v1`, for `auditor check`; None if nothing is."""
        today = today_utc()
        known = [
            (decision.rule, decision.pattern, decision.ceiling, decision.workflow, decision.message)
            for decision in self.decisions().values()
            if decision.state is Chosen.IGNORED and not decision.is_over(today)
        ]
        return Baseline.of_patterns(known).text() if known else None

    def baseline_file(self, folder: Path) -> Path | None:
        """The same, written into this folder; None if nothing is ignored."""
        if (text := self.baseline()) is None:
            return None
        path = folder / BASELINE_FILE
        path.write_text(text, "utf-8")
        return path


def today_utc() -> dt.date:
    """The day that it is."""
    return dt.datetime.fromtimestamp(now_ms() / 1000, dt.UTC).date()

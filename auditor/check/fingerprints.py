"""Two names for a finding: this occurrence, and this bug.

Both are built from ids and shapes, never from a message, a line, a path or a severity, so they survive another
folder, another order of inputs and a reworded explanation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

VERSION = "1"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a fingerprint needs of one witness: its role, what kind of record it is, and the record's own name."""

    role: str
    shape: str
    name: str


def instance(rule: str, run_id: str | None, witnesses: Sequence[Seen]) -> str:
    """This occurrence: the rule, the run and the names of the witnesses, in any order."""
    return _digest("instance", rule, run_id or "", *sorted(witness.name for witness in witnesses))


def pattern(rule: str, workflow: str | None, witnesses: Sequence[Seen]) -> str:
    """This bug: the rule, the workflow and the shape of the proof, however often a role is repeated in it."""
    shape = dict.fromkeys(f"{witness.role}={witness.shape}" for witness in witnesses)
    return _digest("pattern", rule, workflow or "", *shape)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join((VERSION, *parts)).encode()).hexdigest()[:32]

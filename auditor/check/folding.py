"""Fold consequences under their cause.

The place of a finding is the greatest position in its witness; the root is the least place. A finding folds
only under a root of equal or higher severity and confidence whose rule implies it, and that shares an entity
with it or precedes it. A rule that implies itself says that what it finds in a run follows from the first of it:
there the root precedes in any case. Linear in the number of findings times the number of rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from auditor.model.judgement import Confidence, Severity


@dataclass(frozen=True, slots=True)
class Foldable:
    """What folding needs of one finding. `entities` are the correlation ids in its witness."""

    no: int
    rule: str
    run_id: str | None
    severity: Severity
    confidence: Confidence
    place: int
    entities: frozenset[str] = field(default_factory=frozenset)


def fold(findings: Sequence[Foldable], implies: Mapping[str, Sequence[str]]) -> dict[int, int]:
    """The root of every finding that folds, by their numbers."""
    causes = _causes(implies)
    by_rule: dict[tuple[str | None, str], list[Foldable]] = defaultdict(list)
    ordered = sorted(findings, key=lambda finding: (finding.place, finding.no))
    for finding in ordered:
        by_rule[finding.run_id, finding.rule].append(finding)
    parents = {
        finding.no: root.no
        for finding in ordered
        if (root := _root(finding, [by_rule[finding.run_id, rule] for rule in causes[finding.rule]])) is not None
    }
    return {no: _last(no, parents) for no in parents}


def _root(finding: Foldable, candidates: Sequence[Sequence[Foldable]]) -> Foldable | None:
    roots = (
        next((root for root in same_rule if _may_fold(finding, root)), None)
        for same_rule in candidates
        if finding.run_id is not None
    )
    return min((root for root in roots if root is not None), key=lambda r: (r.place, r.no), default=None)


def _may_fold(finding: Foldable, root: Foldable) -> bool:
    if root.severity.rank < finding.severity.rank or root.confidence.rank < finding.confidence.rank:
        return False
    if root.rule == finding.rule:
        return (root.place, root.no) < (finding.place, finding.no)
    return root.place <= finding.place or not root.entities.isdisjoint(finding.entities)


def _causes(implies: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """For each rule, the rules that imply it, directly or through others; itself only if it says so."""
    causes: dict[str, list[str]] = defaultdict(list)
    for cause in implies:
        reached: set[str] = set()
        waiting = list(implies[cause])
        while waiting:
            rule = waiting.pop()
            if rule not in reached:
                reached.add(rule)
                waiting.extend(implies.get(rule, ()))
        for rule in reached:
            causes[rule].append(cause)
    return causes


def _last(no: int, parents: Mapping[int, int]) -> int:
    seen = {no}
    while (parent := parents.get(no)) is not None and parent not in seen:
        seen.add(parent)
        no = parent
    return no

"""Consequences fold under their cause, and never under anything weaker."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from auditor.check.folding import Foldable, fold
from auditor.model.judgement import Confidence, Severity

IMPLIES = {"cause": ["effect"], "effect": ["ripple"], "ripple": [], "stranger": []}


def finding(no: int, rule: str, place: int, **more: Any) -> Foldable:
    values = {"run_id": "run", "severity": Severity.ERROR, "confidence": Confidence.PROOF, **more}
    return Foldable(no=no, rule=rule, place=place, **values)


def test_an_effect_folds_under_the_cause_that_precedes_it() -> None:
    assert fold([finding(1, "cause", 5), finding(2, "effect", 9)], IMPLIES) == {2: 1}


def test_ripples_fold_under_the_first_cause() -> None:
    found = [finding(1, "cause", 5), finding(2, "effect", 7), finding(3, "ripple", 9)]
    assert fold(found, IMPLIES) == {2: 1, 3: 1}


def test_the_root_is_the_least_place() -> None:
    found = [finding(1, "cause", 8), finding(2, "cause", 5), finding(3, "effect", 9)]
    assert fold(found, IMPLIES) == {3: 2}


def test_a_later_cause_takes_an_effect_only_where_they_share_an_entity() -> None:
    late, effect = finding(1, "cause", 9), finding(2, "effect", 5)
    assert fold([late, effect], IMPLIES) == {}
    shared = frozenset({"step_1"})
    late, effect = finding(1, "cause", 9, entities=shared), finding(2, "effect", 5, entities=shared)
    assert fold([late, effect], IMPLIES) == {2: 1}


@pytest.mark.parametrize(
    "weaker",
    [{"severity": Severity.INFO}, {"confidence": Confidence.SUSPECT}, {"run_id": "another run"}],
    ids=str,
)
def test_nothing_folds_under_a_weaker_finding_or_one_of_another_run(weaker: dict[str, Any]) -> None:
    assert fold([finding(1, "cause", 5, **weaker), finding(2, "effect", 9)], IMPLIES) == {}


def test_nothing_folds_without_an_implication() -> None:
    assert fold([finding(1, "stranger", 5), finding(2, "effect", 9)], IMPLIES) == {}


class TestARuleThatImpliesItself:
    IMPLIES: ClassVar = {"cause": ["cause", "effect"], "effect": []}

    def test_the_first_finding_of_a_run_is_the_root_of_the_later_ones_and_theirs(self) -> None:
        found = [finding(1, "cause", 5), finding(2, "cause", 8), finding(3, "effect", 9), finding(4, "cause", 9)]
        assert fold(found, self.IMPLIES) == {2: 1, 3: 1, 4: 1}

    def test_one_root_stands_whatever_they_share(self) -> None:
        shared = frozenset({"step_1"})
        found = [finding(no, "cause", place, entities=shared) for no, place in ((1, 9), (2, 5), (3, 5))]
        assert fold(found, self.IMPLIES) == {1: 2, 3: 2}

    def test_a_later_one_that_is_worse_stands_too(self) -> None:
        found = [finding(1, "cause", 5, severity=Severity.WARNING), finding(2, "cause", 8)]
        assert fold(found, self.IMPLIES) == {}

    def test_a_rule_that_another_one_implies_does_not_imply_itself(self) -> None:
        found = [finding(1, "effect", 5), finding(2, "effect", 8)]
        assert fold(found, self.IMPLIES) == {}


def test_findings_of_the_log_as_a_whole_stand_alone() -> None:
    found = [finding(1, "cause", 0, run_id=None), finding(2, "effect", 0, run_id=None)]
    assert fold(found, IMPLIES) == {}

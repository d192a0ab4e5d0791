"""The rules as a configuration wants them: other severities and parameters, everywhere or for some workflows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from auditor.check.decisions import like
from auditor.check.header import Rule, SeverityCase
from auditor.database import quoted
from auditor.errors import UnknownParameter, UnknownRule
from auditor.model.judgement import Severity


@dataclass(frozen=True, slots=True)
class Tuning:
    """Severities and parameters in place of the rules' own, by rule id."""

    severity: Mapping[str, Severity] = field(default_factory=dict)
    params: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tunings:
    """What holds everywhere, and what for the workflows that a glob matches: of two globs the later one."""

    everywhere: Tuning = field(default_factory=Tuning)
    workflow: Mapping[str, Tuning] = field(default_factory=dict)

    def apply(self, rules: Mapping[str, Rule]) -> dict[str, Rule]:
        """These rules, tuned. Raises UnknownRule, or UnknownParameter for one that a rule does not have."""
        for tuning in (self.everywhere, *self.workflow.values()):
            _check(rules, tuning)
        return {id: self._tuned(rule) for id, rule in rules.items()}

    def _tuned(self, rule: Rule) -> Rule:
        values = self.everywhere.params.get(rule.id, {})
        params = tuple(replace(param, default=values.get(param.name, param.default)) for param in rule.params)
        severity = rule.severity
        if rule.id in self.everywhere.severity:
            severity = (SeverityCase(None, self.everywhere.severity[rule.id], configured=True),)
        for glob, tuning in self.workflow.items():
            if rule.id in tuning.severity:
                # Never NULL: that would say that a version is unknown.
                when = f"coalesce(run.workflow LIKE {quoted(like(glob))} ESCAPE '\\', FALSE)"
                severity = (SeverityCase(when, tuning.severity[rule.id], configured=True), *severity)
        return replace(rule, params=params, severity=severity)

    def params_of_workflows(self) -> Iterator[tuple[str, str, str, float]]:
        """(rule, parameter, pattern of LIKE, value): of two that match a workflow the later one holds."""
        for glob, tuning in self.workflow.items():
            for rule, params in tuning.params.items():
                for name, value in params.items():
                    yield rule, name, like(glob), float(value)

    def sentences(self) -> list[str]:
        """What is tuned, for a report: a sentence each."""
        said = [(tuning, "") for tuning in [self.everywhere]]
        said += [(tuning, f" for workflows {glob}") for glob, tuning in self.workflow.items()]
        return [
            sentence
            for tuning, where in said
            for sentence in (
                *(f"{rule}: severity {severity}{where}" for rule, severity in tuning.severity.items()),
                *(
                    f"{rule}: {name} {value:.15g}{where}"
                    for rule, params in tuning.params.items()
                    for name, value in params.items()
                ),
            )
        ]


def _check(rules: Mapping[str, Rule], tuning: Tuning) -> None:
    for id in (*tuning.severity, *tuning.params):
        if id not in rules:
            raise UnknownRule(id, rules)
    for id, params in tuning.params.items():
        known = [param.name for param in rules[id].params]
        for name in params:
            if name not in known:
                raise UnknownParameter(id, name, known)

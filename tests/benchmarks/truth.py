"""What a generated log holds, beside it as `<log>.truth.json`, and the comparison with what an audit found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

Finding = tuple[str, str, str]
"""Run id, rule, severity."""


@dataclass(slots=True)
class Truth:
    """Counts of a log, and every finding it must give; every other run is healthy."""

    seed: int
    runs: int = 0
    events: int = 0
    bytes: int = 0
    anomalies: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def save(self, log: Path) -> None:
        """Write it beside the log."""
        beside(log).write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def of(cls, log: Path) -> Truth:
        """Read what was written beside the log."""
        truth = cls(**json.loads(beside(log).read_text("utf-8")))
        truth.findings = [(run_id, rule, severity) for run_id, rule, severity in truth.findings]
        return truth

    def count(self, rules: Iterable[str]) -> dict[str, int]:
        """Findings of each of these rules, whatever their severity."""
        counted = Counter(rule for _, rule, _ in self.findings)
        return {rule: counted[rule] for rule in rules}

    def differences(self, found: Iterable[Finding]) -> list[str]:
        """What an audit missed or made up, one line each; empty if it counted exactly.

        A finding below error of a rule that no anomaly aims at says nothing about health and is passed over.
        """
        counting, _ = self._divided(found)
        expected, counted = Counter(self.findings), Counter(counting)
        missed = [f"missed: {finding}" for finding in (expected - counted).elements()]
        return missed + [f"made up: {finding}" for finding in (counted - expected).elements()]

    def others(self, found: Iterable[Finding]) -> dict[str, int]:
        """How many findings were passed over, by rule."""
        _, passed_over = self._divided(found)
        return Counter(rule for _, rule, _ in passed_over)

    def _divided(self, found: Iterable[Finding]) -> tuple[list[Finding], list[Finding]]:
        aimed_at = {rule for _, rule, _ in self.findings}
        counting: list[Finding] = []
        others: list[Finding] = []
        for finding in found:
            _, rule, severity = finding
            (counting if severity == "error" or rule in aimed_at else others).append(finding)
        return counting, others


def beside(log: Path) -> Path:
    """Where the truth about a log is."""
    return log.with_name(f"{log.name}.truth.json")

"""The settings of an audit, whoever said them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from auditor.check.decisions import Suppression
from auditor.check.tuning import Tunings
from auditor.model.judgement import Capability, Severity

RULE_SECONDS = 30.0
"""How long a custom rule may take."""


@dataclass(frozen=True, slots=True)
class Config:
    """What is checked, and what of it counts.

    `path` is the file that says so, and `named_in` the one, of those it extends, that names a rule, a group or
    `rule.parameter`. `fail_on` None means never. `now` is the reference time for everything overdue; None: the
    log's own. `rules` are folders of custom rules, each of which may take `rule_seconds`.
    """

    path: Path | None = None
    fail_on: Severity | None = Severity.ERROR
    max_rejects: int = 0
    require: tuple[Capability, ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    rules: tuple[Path, ...] = ()
    rule_seconds: float = RULE_SECONDS
    now: dt.datetime | None = None
    baseline: Path | None = None
    tunings: Tunings = field(default_factory=Tunings)
    suppressions: tuple[Suppression, ...] = ()
    notify_hosts: tuple[str, ...] = ()
    named_in: Mapping[str, Path] = field(default_factory=dict)

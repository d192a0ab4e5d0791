"""What the name of a sample promises: `fires-*`, `holds-*` (a near miss) and `cannot-tell-*`.

The samples of a rule stand beside its file, in `<rule-id>.samples/`. If a severity follows the first word of a
name (`fires-info-on-beta-55.ndjson`), every finding of the rule in that log has this severity.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from auditor.check.header import Rule
from auditor.model.judgement import Outcome, Severity

OUTCOMES = {"fires": Outcome.FOUND, "holds": Outcome.HELD, "cannot-tell": Outcome.NOT_EVALUATED}
"""What the first words of a name promise."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What a rule makes of a sample; `severity` None: any."""

    outcome: Outcome
    severity: Severity | None = None


def samples_of(rule: Rule) -> list[Path]:
    """The samples of a rule, by name."""
    folder = rule.path.with_suffix(".samples")
    return sorted(path for path in folder.glob("*") if not path.name.startswith("."))


def kinds_of(rule: Rule) -> list[str]:
    """The kinds of sample that a rule must have: it cannot fail to tell where it needs nothing."""
    return ["fires", "holds", "cannot-tell"] if rule.needs else ["fires", "holds"]


def kind_of(sample: Path) -> str | None:
    """The kind of a sample; None if its name promises nothing."""
    return next((kind for kind in OUTCOMES if sample.name.startswith(f"{kind}-")), None)


def promise_of(sample: Path) -> Promise | None:
    """What the name of a sample promises; None if nothing."""
    kind = kind_of(sample)
    if kind is None:
        return None
    word = sample.stem.removeprefix(f"{kind}-").split("-")[0]
    severity = Severity(word) if kind == "fires" and word in set(Severity) else None
    return Promise(OUTCOMES[kind], severity)

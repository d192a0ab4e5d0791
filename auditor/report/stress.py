"""What `auditor stress` prints: what became of the runs, what it took, and what the audit of the log says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from auditor.cold import Replayed
from auditor.model.judgement import ReplayOutcome, Severity, Verdict
from auditor.result import Audit
from auditor.stress import Outcome

CORRUPTED = "failed: CORRUPTED_EVENT_LOG"
COMPLETED = "completed"
_TAKEN = (
    ("ticks", "ticks"),
    ("appends", "decisions committed"),
    ("fence_conflicts", "fence conflicts"),
    ("fence_retries", "decided again"),
    ("fence_retries_exhausted", "retries exhausted"),
    ("divergences", "divergences"),
    ("steps", "steps"),
)


def outcome(found: Outcome) -> Iterator[str]:
    """The table of outcomes."""
    total = len(found.runs)
    yield f"{total} runs in {found.seconds:.1f} s"
    yield ""
    always = (COMPLETED, "running", CORRUPTED)
    for state in (*always, *sorted(found.states.keys() - set(always))):
        yield f"  {state:<32}{found.states[state]:>8}"
    yield ""
    for key, meaning in _TAKEN:
        yield f"  {meaning:<32}{found.total(key):>8}"
    decisions = found.total("appends")
    if decisions:
        yield f"  {'conflicts per decision':<32}{found.total('fence_conflicts') / decisions:>8.3f}"
    yield ""
    for name in ("acknowledged", "too late", "unanswered"):
        yield f"  {'signals ' + name:<32}{found.signals[name]:>8}"
    yield f"  {'acknowledged, not in the log':<32}{len(found.lost):>8}"


def audited(audit: Audit, found: Outcome, replayed: Sequence[Replayed]) -> Iterator[str]:
    """What the audit of the exported log says of these runs, and a replay of the code of those that failed."""
    mine = set(found.runs)
    rows = [run for run in audit.runs if run["run_id"] in mine]
    verdicts = Counter(run["log_verdict"] for run in rows)
    yield "audit of the log"
    yield "  " + ", ".join(f"{verdicts[verdict.value]} {verdict.value}" for verdict in Verdict)
    corrupted = [run for run in rows if run["runtime_verdict"] == "corrupted"]
    if corrupted:
        known = sum(run["log_verdict"] == Verdict.CORRUPT for run in corrupted)
        yield f"  {known} of the {len(corrupted)} runs that failed as corrupted are corrupt by their log"
        diverge = sum(one.outcome is ReplayOutcome.REPRODUCED and one.reason is not None for one in replayed)
        yield f"  {diverge} of them diverge when their code is replayed"
    rules = Counter(
        (finding["severity"], finding["rule"])
        for finding in audit.findings
        if finding["run_id"] in mine and finding["folded_under"] is None
    )
    for severity in (Severity.ERROR, Severity.WARNING):
        for (of, rule), count in sorted(rules.items()):
            if of == severity:
                yield f"  {severity.value:<8} {rule:<32}{count:>8}"

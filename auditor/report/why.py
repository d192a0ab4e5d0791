"""Why a finding counts, or why it does not: what `auditor check --why` says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from auditor.database import scalar
from auditor.errors import UsageError
from auditor.model.judgement import FindingState, SuppressionState
from auditor.report.words import many, plain, wrapped
from auditor.result import Audit

LEAST = 8
"""Characters of a fingerprint that are enough to name it."""
SHOWN = 10


def render(audit: Audit, fingerprint: str) -> str:
    """Every finding that has this fingerprint, or one that begins so, with what was decided about it.

    Raises UsageError if it is too short, or no finding that keeps its witnesses has it.
    """
    if len(fingerprint) < LEAST or not re.fullmatch("[0-9a-f]+", fingerprint):
        raise UsageError(f"--why takes {LEAST} or more characters of a fingerprint; {fingerprint!r} is none")
    found = [
        finding
        for finding in audit.findings
        if any(name.startswith(fingerprint) for name in finding["fingerprint"].values())
    ]
    if not found:
        raise UsageError(_nowhere(audit, fingerprint))
    blocks = ["\n".join(_finding(audit, finding)) + "\n" for finding in found[:SHOWN]]
    if len(found) > SHOWN:
        blocks.append(f"... and {many(len(found) - SHOWN, 'more finding')} with this fingerprint\n")
    return "\n".join(blocks)


def _nowhere(audit: Audit, fingerprint: str) -> str:
    """Findings beyond those that keep their witnesses have fingerprints too: a baseline may name them."""
    counted = audit.con.execute(
        "SELECT rule FROM finding WHERE starts_with(instance, $1) OR starts_with(pattern, $1) LIMIT 1",
        [fingerprint],
    ).fetchall()
    for (rule,) in counted:
        return f"{fingerprint} is of a finding of {rule} that is only counted: so many others keep their witnesses"
    return f"no finding has a fingerprint that begins with {fingerprint}; `--format json` prints them"


def _finding(audit: Audit, finding: dict[str, Any]) -> Iterator[str]:
    yield f"{finding['state'].upper()}  {finding['severity']}  {finding['rule']}"
    yield from wrapped(plain(finding["because"]), "  ")
    yield f"  instance {finding['fingerprint']['instance']}"
    yield f"  pattern  {finding['fingerprint']['pattern']}"
    yield from wrapped(_reason(audit, finding), "  ", "    ")
    numbered = enumerate(audit.report["suppressions"], 1)
    tried = [(number, s) for number, s in numbered if s["rule"] == finding["rule"]]
    if finding["suppressed_by"] is None:
        for number, suppression in tried:
            name = f"#{number} ({suppression['reason']})"
            yield from wrapped(f"suppression tried: {name} {_differs(audit, finding, suppression)}", "  ", "    ")
        if not tried:
            yield "  no suppression names this rule"


def _reason(audit: Audit, finding: dict[str, Any]) -> str:
    report = audit.report
    state = FindingState(finding["state"])
    if state is FindingState.FOLDED:
        root = finding["folded_under"]
        rule = scalar(audit.con, "SELECT rule FROM finding WHERE instance = ?", root)
        return f"it does not count: it is a consequence of {rule} {root}"
    if state is FindingState.SUPPRESSED:
        decision = report["suppressions"][finding["suppressed_by"]]
        by = f" by {decision['by']}" if decision["by"] else ""
        until = f" until {decision['expires']}" if decision["expires"] else ""
        return f"it does not count: suppressed{by}{until}, because: {decision['reason']}"
    baseline = report["baseline"]
    if state is FindingState.KNOWN:
        return f"it does not count: it is in the baseline {baseline['path']}, by {baseline['by']}"
    if baseline is None:
        return "it counts: there is no baseline"
    name = finding["fingerprint"][baseline["by"]]
    ceiling = scalar(audit.con, "SELECT ceiling FROM baseline WHERE fingerprint = ?", name)
    if ceiling is not None:
        known = f"knows {ceiling:,} of this {baseline['by']}, and this is one more"
        return f"it counts: the baseline {baseline['path']} {known}"
    return f"it counts: its {baseline['by']} is not in the baseline {baseline['path']}"


def _differs(audit: Audit, finding: dict[str, Any], suppression: dict[str, Any]) -> str:
    """What keeps a suppression of the same rule from this finding."""
    if suppression["state"] == SuppressionState.EXPIRED:
        return f"expired after {suppression['expires']}"
    workflow = next((run["workflow"] for run in audit.runs if run["run_id"] == finding["run_id"]), None)
    events = [witness["event_id"] for witness in finding["witness"] if witness["event_id"]]
    has = {
        "run": finding["run_id"],
        "instance": finding["fingerprint"]["instance"],
        "pattern": finding["fingerprint"]["pattern"],
    }
    for key, value in has.items():
        if suppression[key] is not None and suppression[key] != value:
            return f"is for the {key} {suppression[key]}, not {value or 'the log as a whole'}"
    if suppression["event"] is not None and suppression["event"] not in events:
        more = f" and {len(events) - SHOWN:,} more" if len(events) > SHOWN else ""
        shown = ", ".join(events[:SHOWN]) or "no events"
        return f"is for the event {suppression['event']}; its witnesses are {shown}{more}"
    return f"is for workflows {suppression['workflow']}, not {workflow or 'one without a name'}"

"""One finding in text: the log around its witnesses, and where they stand in what was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from auditor.model.events import WriteRole
from auditor.report.words import WIDTH, many, plain, short, tally, wrapped
from auditor.result import Audit

CONTEXT = 1
"""Events shown before and after each witness."""


@dataclass(frozen=True, slots=True)
class Logs:
    """What the findings that are shown need of the log: the events around their witnesses, and the workflows."""

    events: dict[tuple[str, int], dict[str, Any]]
    workflows: dict[str, str | None]

    @classmethod
    def around(cls, audit: Audit, findings: Sequence[dict[str, Any]]) -> Logs:
        """Read them once for all these findings."""
        places: dict[str, set[int]] = {}
        for witness in (witness for finding in findings for witness in finding["witness"]):
            if witness["position"] is not None:
                places.setdefault(witness["run_id"], set()).update(_window(witness["position"]))
        return cls(
            {(run_id, row["position"]): row for run_id, rows in audit.events(places).items() for row in rows},
            {run["run_id"]: run["workflow"] for run in audit.report["runs"]},
        )


def _window(position: int) -> range:
    return range(position - CONTEXT, position + CONTEXT + 1)


def proof(report: dict[str, Any], logs: Logs, finding: dict[str, Any]) -> Iterator[str]:
    """What was found, the log around it, and what it explains."""
    if finding["run_id"] is not None:
        workflow = logs.workflows[finding["run_id"]]
        yield f"  run {plain(finding['run_id'])}  {plain(short(workflow))}".rstrip()
        yield from wrapped(f"in {plain(_export(finding['witness'][0]))}", "      ", "         ")
    yield from wrapped(finding["because"], "  ")
    yield ""
    yield from log_around(logs, finding)
    yield from _places(finding["witness"])
    folded = [f["rule"] for f in report["findings"] if f["folded_under"] == finding["fingerprint"]["instance"]]
    if folded:
        yield from wrapped(f"explains {many(len(folded), 'more finding')}: {tally(folded)}", "    ")
    yield f"    instance {finding['fingerprint']['instance']}"
    yield f"    pattern  {finding['fingerprint']['pattern']}"


def log_around(logs: Logs, finding: dict[str, Any]) -> Iterator[str]:
    """The log around the witnesses of a finding, run by run, and those of them that are no events."""
    witnesses: dict[str, dict[int, str]] = {}
    for witness in finding["witness"]:
        if witness["position"] is not None:
            witnesses.setdefault(witness["run_id"], {})[witness["position"]] = witness["role"]
    for run_id, roles in witnesses.items():
        if run_id != finding["run_id"]:
            yield f"    run {plain(run_id)}"
        yield from _log(logs, run_id, roles)
    for witness in finding["witness"]:
        if witness["position"] is None:
            yield f"  > {witness['record']} of {plain(witness['entity'])}: {plain(witness['role'])}"


def _export(witness: dict[str, Any]) -> str:
    """The log that a witness is part of: its file, or the folder that holds its `events/`."""
    if witness["line"] is not None:
        return str(witness["source"])
    folder = PurePosixPath(witness["source"]).parent.parent
    return folder.as_posix() if folder.name else str(witness["source"])


def _log(logs: Logs, run_id: str, roles: dict[int, str]) -> Iterator[str]:
    """The log around the witnesses; a `>` marks each of them and says what it shows."""
    wanted = sorted({place for at in roles for place in _window(at)})
    events = [logs.events[run_id, at] for at in wanted if (run_id, at) in logs.events]
    fenced = any(event["fence_kind"] for event in events)
    last = None
    for event in events:
        at = event["position"]
        if last is not None and at > last + 1:
            yield "         ..."
        last = at
        time = event["created_at"].rpartition(" ")[2]
        mark = ">" if at in roles else " "
        line = f"  {mark} #{at:<4} {time:<12} {plain(event['event_type']):<14} {plain(event['entity']):<8}"
        fence = f" {_fence(event):<6}" if fenced else ""
        name = f" ({plain(event['step_name']).rsplit('//', 1)[-1]})" if event["step_name"] else ""
        yield f"{line}{fence} {plain(roles.get(at, ''))}{name}"[:WIDTH].rstrip()


def _fence(event: dict[str, Any]) -> str:
    if event["fence_kind"] == "unfenced" or event["fence_kind"] is None:
        return "[-]" if event["role"] == WriteRole.DECISION or event["fence_kind"] else ""
    return f"[#{event['known']}]" if event["known"] is not None else "[?]"


def _places(witnesses: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Where the witnesses stand in what was read: ids, and file and line where a file holds many of them."""
    yield ""
    for witness in sorted(witnesses, key=lambda row: (row["run_id"] or "", row["position"] or 0)):
        ids = [plain(name) for name in (witness["event_id"], witness["correlation_id"]) if name]
        place = [f"{plain(witness['source'])}:{witness['line']}"] if witness["line"] is not None else []
        label = f"#{witness['position']}" if witness["position"] is not None else witness["record"]
        yield from wrapped(f"{label:<4} {' '.join(ids + place)}", "    ", hanging="         ")

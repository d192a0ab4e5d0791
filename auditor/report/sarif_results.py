"""A finding as a result of SARIF: where it is, what proves it, what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from auditor.model.judgement import FindingState, Severity
from auditor.report.machine import Runs, clean, witness_line
from auditor.report.places import Places
from auditor.report.standing import seat
from auditor.report.words import many, tally

LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}

MAX_WITNESSES = 100
"""Witnesses shown of one finding; GitHub shows as many locations."""

MAX_CONSEQUENCES = 20
"""Consequences shown with their place; all of them are named by fingerprint."""


class Results:
    """Makes the results of one report."""

    def __init__(self, report: dict[str, Any]) -> None:
        self._places = Places(report)
        self._runs = Runs(report)
        self._rules = {rule["id"]: at for at, rule in enumerate(report["rules"])}
        self._suppressions = report["suppressions"]
        self._compared = report["baseline"] is not None
        self._folded: dict[str, list[dict[str, Any]]] = {}
        for finding in report["findings"]:
            if finding["state"] == FindingState.FOLDED:
                self._folded.setdefault(finding["folded_under"], []).append(finding)

    def single(self, finding: dict[str, Any]) -> dict[str, Any]:
        """The result of one finding."""
        instance = finding["fingerprint"]["instance"]
        folded = self._folded.get(instance, [])
        return self._result(finding, folded, line_hash=instance)

    def patterns(self, findings: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """One result for all findings of a pattern that are of one state; the first of them stands for all."""
        groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for finding in findings:
            key = (finding["fingerprint"]["pattern"], finding["state"], str(finding["suppressed_by"]))
            groups.setdefault(key, []).append(finding)
        for alike in groups.values():
            instances = [finding["fingerprint"]["instance"] for finding in alike]
            folded = [row for instance in instances for row in self._folded.get(instance, ())]
            result = self._result(alike[0], folded, line_hash=alike[0]["fingerprint"]["pattern"])
            result["occurrenceCount"] = len(alike)
            result["properties"]["instances"] = instances
            yield result

    def _result(self, finding: dict[str, Any], folded: Sequence[dict[str, Any]], line_hash: str) -> dict[str, Any]:
        fingerprint = finding["fingerprint"]
        result = {
            "ruleId": finding["rule"],
            "ruleIndex": self._rules[finding["rule"]],
            "kind": "fail",
            "level": LEVELS[Severity(finding["severity"])],
            "message": {"text": _unlinked(self._sentence(finding, folded))},
            "locations": [self._location(seat(finding))],
            "partialFingerprints": {
                "auditorInstance/v1": fingerprint["instance"],
                "auditorPattern/v1": fingerprint["pattern"],
                "primaryLocationLineHash": f"{line_hash}:1",
            },
            "properties": {
                "state": finding["state"],
                "confidence": finding["confidence"],
                "witnesses": len(finding["witness"]),
                "folded": [row["fingerprint"]["instance"] for row in folded],
            },
        }
        result |= self._proof(finding, folded)
        if self._compared:
            result["baselineState"] = "new" if finding["state"] == FindingState.NEW else "unchanged"
        if self._suppressions:  # the standard wants them at every result of a run, or at none
            by = finding["suppressed_by"]
            result["suppressions"] = [_suppression(self._suppressions[by])] if by is not None else []
        return result

    def _sentence(self, finding: dict[str, Any], folded: Sequence[dict[str, Any]]) -> str:
        sentence = f"{clean(finding['because'])} ({self._runs.name(finding['run_id'])})"
        if not folded:
            return sentence
        rules = clean(tally(row["rule"] for row in folded))
        return f"{sentence} Explains {many(len(folded), 'more finding')}: {rules}."

    def _proof(self, finding: dict[str, Any], folded: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Events as the steps of a flow, one thread a run; other records and consequences as related locations."""
        shown = finding["witness"][:MAX_WITNESSES]
        threads: dict[str, list[dict[str, Any]]] = {}
        for witness in sorted(
            (row for row in shown if row["position"] is not None), key=lambda row: row["position"]
        ):
            step = {
                "location": self._told(witness, witness_line(witness)),
                "kinds": [clean(witness["role"], 100)],
                "importance": "essential",
            }
            threads.setdefault(witness["run_id"], []).append(step)
        related = [self._told(row, witness_line(row)) for row in shown if row["position"] is None]
        related += [
            self._told(seat(row), f"Follows from it: {row['rule']}: {clean(row['because'], 300)}")
            for row in folded[:MAX_CONSEQUENCES]
        ]
        proof: dict[str, Any] = {}
        if threads:
            flows = [{"id": clean(run_id, 200), "locations": steps} for run_id, steps in threads.items()]
            proof["codeFlows"] = [{"threadFlows": flows}]
        if related:
            proof["relatedLocations"] = related
        return proof

    def _location(self, witness: dict[str, Any]) -> dict[str, Any]:
        logical = self._logical(witness)
        return self._physical(witness) | ({"logicalLocations": logical} if logical else {})

    def _told(self, witness: dict[str, Any], message: str) -> dict[str, Any]:
        return self._physical(witness) | {"message": {"text": _unlinked(message)}}

    def _physical(self, witness: dict[str, Any]) -> dict[str, Any]:
        place = self._places.of_witness(witness)
        return {
            "physicalLocation": {
                "artifactLocation": {"uri": place.uri, "uriBaseId": "%SRCROOT%"},
                "region": {"startLine": place.line},
            }
        }

    def _logical(self, witness: dict[str, Any]) -> list[dict[str, str]]:
        """The run, the event and the entity, each by a name that is unique among all logs."""
        if witness["run_id"] is None:
            return []
        run_id, workflow = clean(witness["run_id"], 200), self._runs.workflow(witness["run_id"])
        run = f"{workflow}/{run_id}" if workflow else run_id
        named = [{"name": run_id, "fullyQualifiedName": run, "kind": "run"}]
        if witness["event_id"] is not None:
            name, event_id = clean(witness["event_type"], 200), clean(witness["event_id"], 200)
            named.append({"name": name, "fullyQualifiedName": f"{run}/{event_id}", "kind": "event"})
        if witness["correlation_id"] is not None:
            name, correlation_id = clean(witness["entity"], 200), clean(witness["correlation_id"], 200)
            named.append({"name": name, "fullyQualifiedName": f"{run}/{correlation_id}", "kind": "entity"})
        return named


def _suppression(row: dict[str, Any]) -> dict[str, Any]:
    said = [row["reason"]]
    said += [f"by {row['by']}"] if row["by"] else []
    said += [f"until {row['expires']}"] if row["expires"] else []
    return {"kind": "external", "status": "accepted", "justification": clean("; ".join(said))}


def _unlinked(text: str) -> str:
    """Text in which no viewer sees a link: SARIF allows `[text](target)` in every message."""
    return text.replace("](", "] (")

"""A log of simulated runs, and the truth about it: which fault took effect where."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from auditor.model.records import LOG_SCHEMA
from auditor.simulate import records
from auditor.simulate.dialects import DIALECTS
from auditor.simulate.faults.base import Fault
from auditor.simulate.play import Played
from auditor.simulate.records import Record, records_of
from auditor.simulate.shadow import Effect

TRUTH_SCHEMA = "auditor.truth/v1"


@dataclass(frozen=True, slots=True)
class RunTruth:
    """What the shadow knows of one run. `fault` is None of a control; `effects` are empty where all is well."""

    run_id: str
    scenario: str
    seed: int
    fault: str | None
    effects: tuple[Effect, ...]

    @property
    def is_effective(self) -> bool:
        """Whether the fault took effect."""
        return bool(self.effects)

    def as_json(self) -> dict[str, Any]:
        """As it stands in truth.json."""
        return {
            "runId": self.run_id,
            "scenario": self.scenario,
            "seed": self.seed,
            "fault": self.fault,
            "effective": self.is_effective,
            "effects": [asdict(effect) for effect in self.effects],
        }


class Log:
    """The log of many simulations under one fault: fill it, then write it."""

    def __init__(self, fault: type[Fault]) -> None:
        self.truth: list[RunTruth] = []
        self._fault = fault
        self._dialect = DIALECTS[fault.dialect]
        self._last: list[Record] = []
        self._before: list[Record] = []
        self._now = 0

    def add(self, played: Played, *, is_control: bool = False) -> None:
        """Add every run of a simulation."""
        for run_id in played.runs:
            whole = self._dialect.put(records_of(played.world, run_id))
            exported = played.fault.exported([dict(record) for record in whole])
            effects = [effect for effect in played.effects if effect.run_id == run_id]
            effects += _differences(run_id, whole, exported)
            before = played.fault.exported_before([dict(record) for record in whole])
            effects += _put_in(exported, before)
            name = None if is_control else self._fault.id()
            self.truth.append(RunTruth(run_id, played.scenario.name, played.seed, name, tuple(effects)))
            self._last += exported
            self._before += before
        self._now = max(self._now, played.ended_ms)

    def write(self, folder: Path) -> list[Path]:
        """Write the log, and `truth.json` beside it; the paths of the logs, which are to be audited together."""
        folder.mkdir(parents=True, exist_ok=True)
        truth = {"schema": TRUTH_SCHEMA, "log": LOG_SCHEMA, "runs": [run.as_json() for run in self.truth]}
        (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", "utf-8")
        written = [self._written(folder / "log.ndjson", self._last, self._now + self._fault.exported_after_ms)]
        if self._before:
            written.append(self._written(folder / "earlier.ndjson", self._before, self._now))
        return written

    def _written(self, path: Path, made: Sequence[Record], now: int) -> Path:
        with path.open("wb") as out:
            records.write(out, [records.manifest(now, self._dialect.fields, self._fault.policy.value), *made])
        return path


def _differences(run_id: str, whole: Sequence[Record], exported: Sequence[Record]) -> list[Effect]:
    """Where an export is not what there was to export."""
    left = [_line(record) for record in exported]
    lost = [record for record in whole if not _taken(_line(record), left)]
    gained = [json.loads(line) for line in left]
    if not lost and not gained:
        return []
    effects = [
        Effect(
            run_id,
            what,
            record.get("eventId"),
            record.get("correlationId"),
            record.get("eventType"),
            record.get("position"),
        )
        for what, those in (("is not exported as it was", lost), ("was exported and never was", gained))
        for record in those
        if record["record"] != "head"
    ]
    there = {record.get("eventId") for record in exported}
    if all(record.get("eventId") in there for record in lost):
        return effects
    # What is not there cannot be in a witness: anything of the run may show that it is missing.
    return [*effects, Effect(run_id, "a record is not in the export", record="export")]


def _put_in(exported: Sequence[Record], before: Sequence[Record]) -> list[Effect]:
    """Where an export has events in front of the last one of an earlier export, which lacks them."""
    known = {record["eventId"] for record in before if record["record"] == "event"}
    events = [record for record in exported if record["record"] == "event"]
    passed = max((place for place, event in enumerate(events) if event["eventId"] in known), default=0)
    return [
        Effect(
            event["runId"],
            "was put in behind a place that an earlier export had passed",
            event["eventId"],
            event.get("correlationId"),
            event["eventType"],
            event.get("position"),
        )
        for event in events[:passed]
        if event["eventId"] not in known
    ]


def _taken(line: str, left: list[str]) -> bool:
    if line in left:
        left.remove(line)
        return True
    return False


def _line(record: Record) -> str:
    return json.dumps(record, sort_keys=True)

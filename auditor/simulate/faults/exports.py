"""Exports that are not what the store holds: cut, edited, re-ordered, merged from copies or from other runs."""

from __future__ import annotations

from datetime import datetime, timedelta

from auditor.model.events import EntityKind, EventType
from auditor.simulate.draws import Draws
from auditor.simulate.faults.base import Fault
from auditor.simulate.records import Record

T = EventType
_PAYLOADS = frozenset({"input", "result", "output", "payload"})
_FOLLOW_A_CREATION = frozenset({T.STEP_STARTED, T.STEP_COMPLETED, T.WAIT_COMPLETED, T.HOOK_RECEIVED})


class Altered(Fault):
    """Alters an export at an event that the seed chooses, of those where it can."""

    def fits(self, events: list[Record], place: int) -> bool:
        """Whether it can be altered at the event of this place, from 0 on. By default: between two others."""
        return 0 < place < len(events) - 1

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """The export as it is altered. `events` are those of `records`, in their order; all may be changed."""
        raise NotImplementedError

    def exported(self, records: list[Record]) -> list[Record]:
        """See `Fault.exported`."""
        events = [record for record in records if record["record"] == "event"]
        places = [place for place in range(len(events)) if self.fits(events, place)]
        return self.altered(records, events, self.draws.one_of(places)) if places else records


class TruncatedExport(Altered):
    """The export ends before the log does: a first page, or a cut file. The head says how much it was.

    Seen where a page of 20 rows looked like a whole run (corpora: exports of the command line tool).
    """

    rules = ("incomplete-export",)
    scenarios = ("race", "sequential", "fan-out", "stress")

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        return without(records, events[place:])


class OldestPagesLost(TruncatedExport):
    """The newest events alone are exported: the command line tool prints them first, and 20 by default.

    Nothing counts them; but the run has no beginning.
    """

    dialect = "stock"

    def fits(self, events: list[Record], place: int) -> bool:
        """See `Altered.fits`."""
        return 1 < place < len(events)

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        return without(records, events[:place])


class EventLost(Altered):
    """One event inside the log is not exported; the others keep their positions."""

    rules = ("incomplete-export",)
    scenarios = ("race", "sequential", "fan-out", "stress")

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        return without(records, [events[place]])


class EventRemoved(Altered):
    """Somebody deletes from the store what came from outside, and the export numbers the rest anew.

    A refusal that names it as the tail of its time is a witness of its own.
    """

    rules = ("chain-broken", "spurious-conflict")
    roots = 2  # a refusal that names the lost event shows it, too
    scenarios = ("race", "sequential", "fan-out", "stress")

    def fits(self, events: list[Record], place: int) -> bool:
        """See `Altered.fits`."""
        return super().fits(events, place) and events[place]["eventType"] in (T.HOOK_RECEIVED, T.ATTR_SET)

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        for event in events[place + 1 :]:
            event["position"] -= 1
        for record in records:
            if record["record"] == "head":
                record["events"] -= 1
        return without(records, [events[place]])


class EventEdited(Altered):
    """Somebody repairs an event by hand: its time, or what a step came to."""

    rules = ("chain-broken",)
    scenarios = ("race", "sequential", "fan-out", "stress")

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        edited(events[place])
        return records


class ExportReordered(Altered):
    """An exporter sorts by a column that is not the order of the log, and numbers what it has sorted."""

    rules = ("chain-broken",)
    scenarios = ("race", "sequential", "fan-out", "stress")

    def fits(self, events: list[Record], place: int) -> bool:
        """See `Altered.fits`."""
        return super().fits(events, place) and super().fits(events, place + 1)

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        first, second = events[place : place + 2]
        for key in ("position", "commitSeq"):
            first[key], second[key] = second[key], first[key]
        return records


class CopiesMerged(Altered):
    """Two copies of one log are put together, and somebody has edited one of them."""

    rules = ("duplicate-event-id",)
    scenarios = ("race", "sequential", "fan-out", "stress")

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        copy = dict(events[place])
        edited(copy)
        return [*records, copy]


class StockCopiesMerged(CopiesMerged):
    """The same, of exports of the SDK: no position, no chain."""

    dialect = "stock"


class PagesMixed(Altered):
    """An exporter pages through several runs at once, and writes an event of one under the id of the next.

    A replay of a supplied history has to reject it (vercel/workflow#2073).
    """

    rules = ("cross-run-event",)
    scenarios = ("many-runs", "token-handover")
    dialect = "stock"

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self._strays: list[Record] = []

    def fits(self, events: list[Record], place: int) -> bool:
        """See `Altered.fits`."""
        return bool(self._strays) and place == 0 and self.strikes()

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        return [*records, {**self.draws.one_of(self._strays), "runId": events[0]["runId"]}]

    def exported(self, records: list[Record]) -> list[Record]:
        """See `Fault.exported`."""
        made = super().exported(records)
        self._strays = [dict(event) for event in records if event.get("eventType") in _FOLLOW_A_CREATION]
        return made


class LateInsertionBetweenExports(Altered):
    """A run is exported twice, and the second time an event stands behind a place that the first one had passed.

    Seen in vercel/workflow#2228: the id was minted long before the commit.
    """

    rules = ("prefix-rewritten",)
    scenarios = ("race", "sequential", "fan-out", "stress")
    dialect = "counted"

    def exported(self, records: list[Record]) -> list[Record]:
        """See `Fault.exported`. The last export has it all."""
        return records

    def exported_before(self, records: list[Record]) -> list[Record]:
        """See `Fault.exported_before`."""
        return super().exported(records)

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        end = self.draws.between(place + 2, len(events))
        for record in records:
            if record["record"] == "head":
                record["events"], record["tail"] = end - 1, events[end - 1]["eventId"]
        return without([r for r in records if r["record"] != "entity"], [events[place], *events[end:]])


class RunsUnderOneId(Altered):
    """The exports of two runs are joined under the id of one: it is created twice, as two workflows."""

    rules = ("run-created-misplaced",)
    scenarios = ("race", "sequential", "fan-out")
    dialect = "stock"

    def fits(self, events: list[Record], place: int) -> bool:
        """See `Altered.fits`."""
        return place == 0

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        first = events[0]
        data = {**first["eventData"], "workflowName": "workflow//./simulate//other"}
        return [*records, {**first, "eventId": _beside(first["eventId"]), "eventData": data}]


class StartRaced(Altered):
    """`start()` sends the first message and writes run_created at the same time, and the worker is faster.

    Seen in 49 healthy runs of the corpora (4.8.9 on world-local).
    """

    rules = ("run-created-misplaced",)
    scenarios = ("race", "sequential", "fan-out")
    dialect = "stock"

    def fits(self, events: list[Record], place: int) -> bool:
        """See `Altered.fits`."""
        return place == 0 and events[1]["eventType"] == T.RUN_STARTED

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        created, started = events[:2]
        created["eventId"], started["eventId"] = started["eventId"], created["eventId"]
        return records


class EntityLost(Altered):
    """All that there was of one step, wait or hook is missing: a filter, or a clean-up by hand."""

    rules = ("ordinal-gap",)
    scenarios = ("parallel", "race", "sequential")
    dialect = "stock"

    def fits(self, events: list[Record], place: int) -> bool:
        """See `Altered.fits`. The ends of the sequence of ids leave no gap."""
        drawn = sorted({_drawn(event) for event in events} - {""})
        return _drawn(events[place]) in drawn[1:-1]

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        lost = events[place]["correlationId"]
        return [record for record in records if record.get("correlationId") != lost]


class PayloadLost(Altered):
    """The reference of one payload could not be resolved, and the exporter left it out.

    Seen as payloads that were gone before their run (vercel/workflow#549).
    """

    rules = ("payload-missing",)
    scenarios = ("race", "sequential", "fan-out", "stress")
    dialect = "stock"

    def fits(self, events: list[Record], place: int) -> bool:
        """See `Altered.fits`."""
        return not _PAYLOADS.isdisjoint(events[place].get("eventData") or ())

    def altered(self, records: list[Record], events: list[Record], place: int) -> list[Record]:
        """See `Altered.altered`."""
        event = events[place]
        event["eventData"] = {key: value for key, value in event["eventData"].items() if key not in _PAYLOADS}
        return records


def without(records: list[Record], left_out: list[Record]) -> list[Record]:
    """The records without some of them."""
    return [record for record in records if all(record is not one for one in left_out)]


def edited(event: Record) -> None:
    """Change what an event says: that it happened a ms later."""
    at = datetime.fromisoformat(event["createdAt"]) + timedelta(milliseconds=1)
    event["createdAt"] = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _drawn(event: Record) -> str:
    """The draw of the run's sequence that names an entity; empty where an event is about none."""
    kind, _, body = str(event.get("correlationId") or "").partition("_")
    return body if kind in {*EntityKind} else ""


def _beside(event_id: str) -> str:
    """Another id of the same millisecond."""
    return event_id[:-1] + ("1" if event_id.endswith("0") else "0")

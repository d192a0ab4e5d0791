"""Dialects: the forms in which a log can be exported, and what each of them leaves out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from auditor.model.events import EventType
from auditor.model.lifecycle import Stage, move_of
from auditor.simulate.records import Record
from auditor.world.export import FIELDS

_OF_THE_FENCE = frozenset({"fence", "tailAtCommit", "tickId", "writerId", "site", "writeAttempt", "requestId"})
_OF_OURS = _OF_THE_FENCE | {"position", "commitSeq", "prevHash", "hash", "dataSha256"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a log of this dialect records, and how the records of a run are put into it."""

    fields: tuple[str, ...]
    put: Callable[[Sequence[Record]], list[Record]]


def _own(records: Sequence[Record]) -> list[Record]:
    return list(records)


def _stock(records: Sequence[Record], *also: str) -> list[Record]:
    """As the SDK exports: events, and the rows of entities; no fence, no refusal, no chain, but what is named."""
    left_out = _OF_OURS.difference(also)
    return [
        {key: value for key, value in record.items() if key not in left_out}
        for record in records
        if record["record"] in ("event", "entity")
    ]


def _counted(records: Sequence[Record]) -> list[Record]:
    """As `_stock`, and behind each run how many events it has, and which is the last."""
    heads = [{**record} for record in records if record["record"] == "head"]
    for head in heads:
        del head["hash"]
    return [*_stock(records), *heads]


def _slots(records: Sequence[Record]) -> list[Record]:
    """As a world of spec 7 exports: an event's id is its place.

    A decision says how many events it knew, and for whom of those that were open then its writer waited.
    """
    return _with_counts(records, _Places(records))


def _sealed(records: Sequence[Record]) -> list[Record]:
    """As `_slots`, where a writer in so many claims a slot and dies, and a noop seals the slot."""
    made = []
    places = _Places(records, SEALED)
    for record in _with_counts(records, places):
        if record["record"] == "event" and record["eventId"] in places.behind_seals:
            number = int(record["eventId"].removeprefix("evnt_")) - 1
            made.append(noop(record, number))
        made.append(record)
    return made


def _in_band(records: Sequence[Record]) -> list[Record]:
    """As a world of spec 9 exports: every write says if the orchestrator made it, and how many such it knew."""
    places = _Places(records)
    made = []
    for record in _stock(records, "fence", "position", "requestId", "tickId"):
        if record["record"] == "event":
            fence, position, tick = (record.pop(key, None) for key in ("fence", "position", "tickId"))
            known = places.known(fence) if tick is not None else position - 1
            record["eventId"] = slot(position)
            record["inBand"] = tick is not None
            record["expectedSeqInBand"] = sum("tickId" in event for event in places.events[:known])
        made.append(_of_spec(record, IN_BAND_SPEC))
    return made


def _with_counts(records: Sequence[Record], places: _Places) -> list[Record]:
    made = []
    for record in _stock(records, "fence", "position", "requestId"):
        if record["record"] == "event":
            fence, position = record.pop("fence", None), record.pop("position")
            record["eventId"] = slot(places.place(position))
            if fence is not None and fence["kind"] == "tail":
                known = places.known(fence)
                record["eventCount"] = places.place(known)
                record["awaitingCorrelationIds"] = places.open_after(known)
        made.append(_of_spec(record, SLOT_SPEC))
    return made


def _of_spec(record: Record, spec: int) -> Record:
    return {**record, "specVersion": spec} if "specVersion" in record else record


class _Places:
    """The events of a run in their order; one slot in `seal_every` is sealed (0: none)."""

    def __init__(self, records: Sequence[Record], seal_every: int = 0) -> None:
        self.events = [record for record in records if record["record"] == "event"]
        self._positions = {event["eventId"]: event["position"] for event in self.events}
        self._others = seal_every - 1
        self.behind_seals = {
            slot(self.place(position))
            for position in self._positions.values()
            if self.place(position) > self.place(position - 1) + 1
        }

    def place(self, position: int) -> int:
        """The slot of the event at a position."""
        return position + (position - 1) // self._others if self._others > 0 and position else position

    def known(self, fence: Record | None) -> int:
        """The position of the event that a fence names, 0 if it names none."""
        return 0 if fence is None else self._positions.get(fence["value"], 0)

    def open_after(self, position: int) -> list[str]:
        """Steps, waits and hooks that were created up to a position and not closed."""
        stages: dict[str, Stage] = {}
        for event in self.events[:position]:
            move = move_of(EventType(event["eventType"]))
            if move is not None:
                of = event["correlationId"]
                stages[of] = max(stages.get(of, Stage.ABSENT), move.reaches)
        return [of for of, stage in stages.items() if stage is not Stage.CLOSED]


SLOT_SPEC = 7
"""The spec version of a world whose event ids are slots and that seals abandoned ones."""

IN_BAND_SPEC = 9
"""The spec version of a world that tells what the orchestrator of a run writes from all else."""

SEALED = 6
"""In the dialect `sealed`, every slot whose number is a multiple of this is sealed."""


def slot(place: int) -> str:
    """The id of the event at a place of a log whose ids are slots."""
    return f"evnt_{place:026d}"


def noop(behind: Record, place: int) -> Record:
    """The seal of a slot, made when the event behind it was."""
    return {
        "record": "event",
        "runId": behind["runId"],
        "eventType": "noop",
        "correlationId": f"noop_{place:026d}",
        "eventId": slot(place),
        "createdAt": behind["createdAt"],
        "specVersion": SLOT_SPEC,
        "eventData": {"sealed": True},
    }


_STOCK_FIELDS = tuple(field for field in FIELDS if field not in _OF_OURS | {"refusal", "head"})
_SLOT_FIELDS = (*_STOCK_FIELDS, "requestId", "eventCount", "awaitingCorrelationIds")

DIALECTS = {
    "own": Dialect(FIELDS, _own),
    "stock": Dialect(_STOCK_FIELDS, _stock),
    "counted": Dialect((*_STOCK_FIELDS, "head"), _counted),
    "slots": Dialect(_SLOT_FIELDS, _slots),
    "sealed": Dialect(_SLOT_FIELDS, _sealed),
    "in-band": Dialect((*_STOCK_FIELDS, "requestId", "inBand", "expectedSeqInBand"), _in_band),
}
"""Every dialect by its name: `own` is the whole of auditor.log/v1, the others are what the SDK exports."""

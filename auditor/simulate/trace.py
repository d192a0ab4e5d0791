"""The log of a simulated run for people: by position, who wrote it, knowing what, and where it went wrong."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.model.events import EventType
from auditor.model.ids import ordinal
from auditor.model.rows import Event
from auditor.runtime.values import data_of
from auditor.simulate.play import Played
from auditor.simulate.shadow import Effect

T = EventType


def trace(played: Played, run_id: str, behind: int = 0) -> Iterator[str]:
    """One line an event, up to the first that is not as it should be and so many behind it."""
    log = played.log(run_id)
    wrong = {effect.event_id: effect for effect in played.effects if effect.event_id is not None}
    first = next((event.position for event in log if event.event_id in wrong), len(log))
    names = _names(log)
    shown = log[: first + behind]
    width = max((len(names.get(event.correlation_id, "")) for event in shown), default=0)
    for event in shown:
        knew = played.world.knew.get(event.event_id)
        entity = names.get(event.correlation_id, "")
        line = f"{f'#{event.position}':>5}  {event.event_type:<15} {entity:<{width}}  {event.writer_id or '':<12}"
        if event.tick_id is not None and knew is not None:
            line += f" knew the log up to #{knew}"
            line += _unread(log, knew, event)
        yield line.rstrip()
        if event.event_id in wrong:
            yield f"       ^ {_named(wrong[event.event_id].what, names)}"


def strays(played: Played) -> Iterator[Effect]:
    """Effects that are no event of a log."""
    seen: dict[tuple[object, ...], Effect] = {}
    for effect in played.effects:
        if effect.event_id is None:
            seen.setdefault((effect.run_id, effect.correlation_id, effect.what), effect)
    return iter(seen.values())


def _named(text: str, names: dict[str | None, str]) -> str:
    for id, name in names.items():
        text = text.replace(f"{name.partition('#')[0]} {id}", name).replace(str(id), name)
    return text


def _unread(log: list[Event], knew: int, event: Event) -> str:
    """What stands between what a writer knew and its write, without what its tick wrote."""
    unread = [one for one in log[knew : event.position - 1] if one.tick_id != event.tick_id]
    if not unread:
        return ""
    return ", not " + ", ".join(f"#{one.position} {one.event_type}" for one in unread[:3])


def _names(log: list[Event]) -> dict[str | None, str]:
    """A short name of every entity: its kind, its ordinal, and of a step what it does."""
    ids = {event.correlation_id for event in log if event.correlation_id and event.event_type != T.ATTR_SET}
    first = min(ids, key=lambda id: id.rpartition("_")[2], default="")
    names: dict[str | None, str] = {id: f"{id.partition('_')[0]}#{ordinal(id, first)}" for id in ids}
    for event in log:
        name = data_of(event).get("stepName")
        if event.event_type == T.STEP_CREATED and name is not None:
            names[event.correlation_id] += f" {str(name).rpartition('/')[2]}"
    return names

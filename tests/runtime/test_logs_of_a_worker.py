"""A worker reads of a log that it knows only what is new, and forgets the runs that it read longest ago."""

from __future__ import annotations

import pytest
from lives import SOMEBODY, UNFENCED, done

from auditor.errors import NotFound
from auditor.model.events import EventType
from auditor.runtime.logs import Logs
from auditor.world import NewEvent, Snapshot
from auditor.world.memory import MemoryWorld

T = EventType


class Read(MemoryWorld):
    """A world that notes from where it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, int]] = []

    async def events(self, run_id: str, after: int = 0, limit: int | None = None) -> Snapshot:
        self.asked.append((run_id, after))
        return await super().events(run_id, after, limit)

    def grow(self, run_id: str, number: int) -> None:
        known = run_id in self._logs
        events = [NewEvent(T.ATTR_SET, data={"changes": {}}) for _ in range(number)]
        if not known:
            events = [NewEvent(T.RUN_CREATED, data={"workflowName": "x"}), *events[1:]]
        done(self.append(run_id, events, UNFENCED, writer=SOMEBODY))


def test_only_what_is_new_is_read() -> None:
    world = Read()
    logs = Logs(world)
    world.grow("wrun_a", 3)
    _, first = done(logs.read("wrun_a"))
    world.grow("wrun_a", 2)
    run, again = done(logs.read("wrun_a"))
    assert again[:3] == first
    assert [event.position for event in again] == [1, 2, 3, 4, 5]
    assert run.version == 5
    assert world.asked == [("wrun_a", 0), ("wrun_a", 3)]
    logs.forget("wrun_a")
    assert done(logs.read("wrun_a"))[1] == again
    assert world.asked[-1] == ("wrun_a", 0)
    with pytest.raises(NotFound):
        done(logs.read("wrun_nobody"))


def test_the_runs_that_were_read_longest_ago_are_forgotten() -> None:
    world = Read()
    logs = Logs(world, remembered_events=10)
    for name in ("a", "b", "a", "c"):
        world.grow(f"wrun_{name}", 4)
        done(logs.read(f"wrun_{name}"))
    # a has 8 events by now, c 4: b went first, and then a.
    del world.asked[:]
    for name in ("c", "a", "b"):
        done(logs.read(f"wrun_{name}"))
    assert world.asked == [("wrun_c", 4), ("wrun_a", 0), ("wrun_b", 0)]


def test_a_log_that_is_longer_than_all_that_is_remembered_is_remembered_alone() -> None:
    world = Read()
    logs = Logs(world, remembered_events=10)
    world.grow("wrun_a", 50)
    done(logs.read("wrun_a"))
    done(logs.read("wrun_a"))
    assert world.asked == [("wrun_a", 0), ("wrun_a", 50)]

"""Each way in which a world can stop being what it wrote is named by `verify`, and nothing else is."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from stores import Harness, in_sqlite
from stories import Told, tell

from auditor.errors import NotFound
from auditor.world.examine import Fault
from auditor.world.verify import Verification, verify


async def test_a_world_that_nobody_touched_is_sound(harness: Harness) -> None:
    told = await tell(harness)
    found = await verify(harness.world)
    assert found.faults == []
    assert found.is_sound
    assert found.runs == len(vars(told))
    assert found.events == sum(run.version for run in await harness.world.runs())


@dataclass(frozen=True)
class Scene:
    """The world of the stories in a file that can be edited behind its back."""

    harness: Harness
    told: Told
    path: Path

    def edit(self, sql: str) -> None:
        with closing(sqlite3.connect(self.path)) as con:
            assert con.execute(sql, vars(self.told)).rowcount > 0, "the edit changes nothing"
            con.commit()

    async def verify(self, expect: dict[str, str] | None = None, run_id: str | None = None) -> Verification:
        return await verify(self.harness.world, expect, run_id=run_id)

    async def faults(self, sql: str) -> list[Fault]:
        self.edit(sql)
        return (await self.verify()).faults


@pytest.fixture
async def scene(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Scene]:
    async with in_sqlite(sqlite_template, tmp_path).opened() as harness:
        told = await tell(harness)
        (path,) = tmp_path.glob("*.db")
        yield Scene(harness, told, path)


ORDER = "run_id = :order"
FAULTS = {
    "data was edited": (f"UPDATE event SET data = '{{}}' WHERE {ORDER} AND position = 6", "digest", 6),
    "its time was edited": (
        f"UPDATE event SET created_at = created_at + 1 WHERE {ORDER} AND position = 6",
        "chain",
        6,
    ),
    "its type was edited": (
        f"UPDATE event SET event_type = 'step_failed' WHERE {ORDER} AND event_type = 'step_completed' "
        f"AND position = (SELECT min(position) FROM event WHERE {ORDER} AND event_type = 'step_completed')",
        "chain",
        None,
    ),
    "its fence was edited": (
        f"""UPDATE event SET fence = '{{"kind":"tail","value":"none"}}' WHERE {ORDER} AND position = 4""",
        "chain",
        4,
    ),
    "its fence was dropped": (f"UPDATE event SET fence = NULL WHERE {ORDER} AND position = 4", "chain", 4),
    "an event is missing": (f"DELETE FROM event WHERE {ORDER} AND position = 6", "position", 7),
    "the first event is missing": (f"DELETE FROM event WHERE {ORDER} AND position = 1", "position", 2),
    "the last event is missing": (
        f"DELETE FROM event WHERE {ORDER} AND position = (SELECT version FROM run WHERE {ORDER})",
        "head",
        None,
    ),
    "a number is text": (f"UPDATE event SET created_at = 'soon' WHERE {ORDER} AND position = 6", "column", 6),
    "the tail that it met was edited": (
        f"UPDATE event SET tail_at_commit = 'none' WHERE {ORDER} AND position = 6",
        "tail",
        6,
    ),
    "the head of the run was moved": (f"UPDATE run SET version = version + 1 WHERE {ORDER}", "head", None),
    "the run was put back": (f"UPDATE run SET status = 'running' WHERE {ORDER}", "run", None),
    "its workflow was renamed": (f"UPDATE run SET workflow_name = 'x' WHERE {ORDER}", "run", None),
    "a step was put back": (
        f"UPDATE entity SET status = 'running' WHERE {ORDER} AND kind = 'step' AND step_name = 'charge'",
        "entity",
        None,
    ),
    "the row of a wait is gone": (f"DELETE FROM entity WHERE {ORDER} AND kind = 'wait'", "entity", None),
    "the row of a run is gone": (f"DELETE FROM run WHERE {ORDER}", "head", None),
    "nothing wakes a run that sleeps": ("DELETE FROM message WHERE run_id = :sleeping", "outbox", None),
    "all messages of a run have died": (
        "UPDATE message SET state = 'dead' WHERE run_id = :sleeping",
        "dead-letter",
        None,
    ),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_named_and_nothing_else_is(scene: Scene, name: str) -> None:
    sql, kind, position = FAULTS[name]
    faults = await scene.faults(sql)
    assert {fault.kind.value for fault in faults} == {kind}
    assert len({fault.run_id for fault in faults}) == 1
    assert position is None or [fault.position for fault in faults] == [position]
    assert all(fault.because for fault in faults)


async def test_a_run_that_waits_for_a_hook_alone_needs_no_message(scene: Scene) -> None:
    with closing(sqlite3.connect(scene.path)) as con:
        left = con.execute("SELECT count(*) FROM message WHERE run_id = ?", (scene.told.waiting,)).fetchone()
    assert left == (0,)
    assert (await scene.verify()).is_sound


async def test_a_redacted_log_verifies_by_its_digests(scene: Scene) -> None:
    scene.edit("UPDATE event SET data = NULL WHERE data IS NOT NULL")
    assert (await scene.verify()).faults == []


async def test_a_tail_that_was_removed_with_its_rows_shows_only_against_a_hash_kept_elsewhere(
    scene: Scene,
) -> None:
    run = await scene.harness.world.run(scene.told.waiting)
    assert run is not None
    assert run.hash is not None
    kept = {run.run_id: run.hash}
    found = await scene.verify(kept)
    assert found.is_sound
    assert found.kept == {run.run_id: run.version}
    before = (await scene.harness.world.events(run.run_id)).events[-2]
    scene.edit(f"DELETE FROM event WHERE run_id = :waiting AND position = {run.version}")
    scene.edit("DELETE FROM entity WHERE run_id = :waiting")
    scene.edit(
        f"UPDATE run SET version = {before.position}, tail = '{before.event_id}', hash = '{before.hash}', "
        f"updated_at = {before.created_at} WHERE run_id = :waiting"
    )
    scene.edit(
        "INSERT INTO message (run_id, kind, key, state, ready_at) VALUES (:waiting, 'run', 'wake', 'waiting', 0)"
    )
    assert (await scene.verify()).is_sound
    assert [fault.kind.value for fault in (await scene.verify(kept)).faults] == ["expected"]


async def test_a_run_that_is_gone_is_missed_if_its_hash_is_expected(scene: Scene) -> None:
    found = await scene.verify({"wrun_gone": "0" * 64})
    assert [(fault.run_id, fault.kind.value) for fault in found.faults] == [("wrun_gone", "expected")]


async def test_one_run_can_be_verified_alone(scene: Scene) -> None:
    scene.edit(f"UPDATE event SET data = '{{}}' WHERE {ORDER} AND position = 6")
    assert (await scene.verify(run_id=scene.told.sleeping)).is_sound
    assert not (await scene.verify(run_id=scene.told.order)).is_sound
    with pytest.raises(NotFound):
        await scene.verify(run_id="wrun_none")

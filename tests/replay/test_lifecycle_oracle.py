"""The lifecycle table is read twice, by a Python fold and by SQL. They must accuse the same events."""

from __future__ import annotations

import itertools
from pathlib import Path

import duckdb
import pytest
from logs import Log, entity, write

from auditor.model.events import EntityKind, EventType
from auditor.model.lifecycle import LIFECYCLE, accusations, core_rank
from auditor.pipeline import run_audit
from auditor.replay.relations import tolerance_columns

LONGEST = 5


def lives(kind: EntityKind) -> list[tuple[EventType, ...]]:
    """Every sequence of up to five events of one entity."""
    types = [move.event_type for move in LIFECYCLE if move.kind is kind]
    return [life for n in range(1, LONGEST + 1) for life in itertools.product(types, repeat=n)]


@pytest.mark.parametrize("kind", EntityKind)
def test_fold_and_sql_accuse_the_same_events_of_every_possible_life(kind: EntityKind, tmp_path: Path) -> None:
    logs, expected = [], set()
    for number, life in enumerate(lives(kind)):
        log = Log(f"wrun_{number:026d}")
        before = len(log.events)
        for event_type in life:
            log.add(event_type, entity(kind, 0))
        logs.append(log)
        expected |= {(log.run_id, before + place, rule) for place, rule in accusations(life)}
    path = write(tmp_path / "lives.ndjson", *(log.events for log in logs))
    run_audit([str(path)], tmp_path / "audit.duckdb")
    with duckdb.connect(str(tmp_path / "audit.duckdb"), read_only=True) as con:
        accused = con.execute('SELECT run_id, "position", rule FROM accusation').fetchall()
    assert set(accused) == expected
    assert len(accused) == len(expected)


@pytest.mark.parametrize(
    "version", ["4.2.4", "4.6.0", "4.8.9", "5.0.0-beta.5", "5.0.0-beta.55", "5.0.0", "nightly", "4.6"]
)
def test_the_sql_macro_ranks_versions_as_the_model_does(version: str, tmp_path: Path) -> None:
    write(tmp_path / "log.ndjson", Log().events)
    run_audit([str(tmp_path / "log.ndjson")], tmp_path / "audit.duckdb")
    with duckdb.connect(str(tmp_path / "audit.duckdb"), read_only=True) as con:
        assert con.execute("SELECT core_rank(?)", [version]).fetchall() == [(core_rank(version),)]


def test_every_tolerance_is_a_column_of_run() -> None:
    columns = tolerance_columns()
    for name in ("compares_resume_at", "tolerates_restart", "dies_of_late_creation"):
        assert f"AS {name}" in columns

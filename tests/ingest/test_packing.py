"""Rows of many files are loaded together: where each came from is not lost, however often that is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from ingest.reading import read
from ingest.shapes import ndjson, world_local
from logs import Log

from auditor.ingest import packing


def folder(path: Path) -> Path:
    path.mkdir()
    for run in ("1", "2", "3"):
        ndjson(
            Log("wrun_" + run * 26).life("step", 0, "created", "started", "completed").events,
            path / f"{run}.ndjson",
        )
    first, *others = (path / "3.ndjson").read_text().splitlines()
    (path / "3.ndjson").write_text("\n".join([first, "not JSON", "", *others]))
    world_local(Log("wrun_" + "4" * 26).add("run_completed").events, path / "world")
    return path


def places(path: Path) -> dict[str, tuple[str, int | None]]:
    found = read(path)
    assert found.problems == [None]
    source = {row["source_id"]: row["name"] for row in found.sources}
    return {row["run_id"] + row["event_id"]: (source[row["source_id"]], row["line"]) for row in found.events}


def test_every_row_keeps_its_file_and_line(tmp_path: Path) -> None:
    found = places(folder(tmp_path / "logs"))
    assert sorted(line for name, line in found.values() if name == "1.ndjson") == [1, 2, 3, 4, 5]
    assert sorted(line for name, line in found.values() if name == "3.ndjson") == [1, 4, 5, 6, 7]
    assert {line for name, line in found.values() if name.startswith("world/")} == {None}
    assert len(found) == 18


@pytest.mark.parametrize("full", [1, 500, 3000])
def test_it_does_not_matter_how_many_rows_are_loaded_at_once(tmp_path: Path, monkeypatch, full: int) -> None:
    path = folder(tmp_path / "logs")
    at_once, rejects = places(path), read(path).reasons
    monkeypatch.setattr(packing, "FULL", full)
    assert places(path) == at_once
    assert read(path).reasons == rejects

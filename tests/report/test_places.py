from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest

from auditor.report.places import Place, Places


def places(root: Path, config: str | None = None) -> Places:
    return Places({"audit": {"config": config}}, root)


def witness(name: str, source: str, line: int | None = 7) -> dict[str, Any]:
    return {"input": name, "source": source, "line": line}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "repository"
    (folder / "logs" / "events").mkdir(parents=True)
    (folder / "logs" / "a b#1.ndjson").write_text("")
    (folder / "logs" / "events" / "e1.json").write_text("{}")
    (folder / "auditor.toml").write_text("")
    with tarfile.open(folder / "logs" / "old.tar.gz", "w:gz") as archive:
        archive.add(folder / "auditor.toml", "events/e1.json")
    monkeypatch.chdir(folder)
    return folder


def test_a_line_of_a_file(root: Path) -> None:
    place = places(root).of_witness(witness("./logs/a b#1.ndjson", "a b#1.ndjson"))
    assert place == Place("logs/a b#1.ndjson", 7, inside=True)
    assert place.uri == "logs/a%20b%231.ndjson"


def test_an_absolute_input_is_named_from_the_folder(root: Path) -> None:
    assert places(root).of_input(str(root / "logs" / "a b#1.ndjson")).path == "logs/a b#1.ndjson"


def test_a_file_of_a_folder(root: Path) -> None:
    assert places(root).of_witness(witness("logs", "events/e1.json", None)) == Place(
        "logs/events/e1.json", 1, inside=True
    )
    assert places(root).of_witness(witness(".", "logs/a b#1.ndjson")) == Place("logs/a b#1.ndjson", 7, inside=True)


@pytest.mark.parametrize(
    ("name", "source"), [("logs/old.tar.gz", ""), ("logs", "old.tar.gz/"), (".", "logs/old.tar.gz/")]
)
def test_what_is_in_an_archive_is_at_its_first_line(root: Path, name: str, source: str) -> None:
    place = places(root).of_witness(witness(name, f"{source}events/e1.json"))
    assert place == Place("logs/old.tar.gz", 1, inside=True)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("<stdin>", "stdin"),
        ("../elsewhere/log.ndjson", "log.ndjson"),
        ("postgres://me:secret@db.example.com/orders?sslmode=require", "orders"),
        ("postgres://me:secret@db.example.com", "postgres"),
    ],
)
def test_what_is_not_in_the_folder_has_a_name_that_gives_nothing_away(root: Path, name: str, path: str) -> None:
    assert places(root).of_witness(witness(name, "log.ndjson")).path == path
    assert not places(root).of_witness(witness(name, "log.ndjson")).inside


@pytest.mark.parametrize("name", ["<stdin>", "../elsewhere/log.ndjson", "postgres://db.example.com/orders"])
def test_what_is_not_in_the_folder_is_at_the_configuration(root: Path, name: str) -> None:
    found = places(root, str(root / "auditor.toml")).of_witness(witness(name, "log.ndjson"))
    assert found == Place("auditor.toml", 1, inside=True)


def test_a_configuration_elsewhere_is_no_place(root: Path, tmp_path: Path) -> None:
    assert places(root, str(tmp_path / "auditor.toml")).of_input("<stdin>").path == "stdin"


def test_a_link_of_the_repository_is_a_path_of_it(root: Path, tmp_path: Path) -> None:
    (tmp_path / "far.ndjson").write_text("")
    (root / "near.ndjson").symlink_to(tmp_path / "far.ndjson")
    assert places(root).of_witness(witness("near.ndjson", "near.ndjson")) == Place("near.ndjson", 7, inside=True)


def test_a_name_that_no_file_system_takes_does_no_harm(root: Path) -> None:
    assert places(root).of_witness(witness("logs", "x" * 5000)) == Place("logs", 1, inside=True)
    assert places(root).of_witness(witness("a\0b", "c")).line == 1

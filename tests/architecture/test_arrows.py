"""Each room knows its neighbours only as the arrows of the design allow."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "auditor"

# What each room may import of ours. `errors`, `schemas` and `resources` are leaves that every room may use.
LEAVES = {"errors", "schemas", "resources", "__about__"}
ARROWS: dict[str, set[str]] = {
    "__about__": set(),
    "errors": {"model"},
    "schemas": set(),
    "resources": {"errors"},
    "model": set(),
    "database": set(),
    "ingest": {"model", "database"},
    "replay": {"model", "database"},
    "check": {"model", "database"},
    "config": {"model", "check"},
    "pipeline": {"model", "database", "ingest", "replay", "check", "config"},
    "document": {"model"},
    "result": {"database", "model", "check", "config", "pipeline", "document"},
    "alerts": {"model", "result", "report"},
    "testing": {"config", "model", "report", "result"},
    "pytest_plugin": {"testing"},
    "report": {"database", "model", "result", "cold", "simulate", "stress"},
    "cli": {
        "alerts",
        "model",
        "cold",
        "config",
        "ingest",
        "check",
        "report",
        "result",
        "runtime",
        "simulate",
        "stress",
        "world",
    },
    "__init__": {"check", "model", "report", "result"},
    "world": {"model"},
    "runtime": {"model", "world"},
    "stress": {"model", "world", "runtime"},
    # Replays code on recorded logs, so it is where the two halves meet; neither of them knows it.
    "cold": {"model", "world", "runtime", "config", "database", "pipeline", "result"},
    "simulate": {
        "model",
        "world",
        "runtime",
        "ingest",
        "replay",
        "check",
        "cold",
        "pipeline",
        "document",
        "result",
        "database",
    },
}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The rooms that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "auditor":
                is_room = (PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").is_file()
                found.add(parts[1] if is_room else "__init__")
    return found


def test_every_room_is_on_the_map() -> None:
    rooms = {room(path) for path in PACKAGE.rglob("*.py")}
    assert rooms <= set(ARROWS)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_only_along_the_arrows(path: Path) -> None:
    here = room(path)
    allowed = ARROWS[here] | {here} | (LEAVES if here not in LEAVES | {"model"} else set())
    assert imports(path) <= allowed


def test_the_two_halves_never_meet() -> None:
    audit_half = {"ingest", "replay", "check"}
    assert "world" not in set().union(*(ARROWS[name] for name in audit_half))
    assert audit_half.isdisjoint(ARROWS["world"])


def test_the_model_uses_the_standard_library_and_ulids_only() -> None:
    for path in (PACKAGE / "model").glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module} | {
            alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names
        }
        foreign = {name.split(".")[0] for name in modules} - {"auditor", "__future__"}
        assert foreign <= {"collections", "dataclasses", "enum", "re", "typing", "ulid"}, path


def test_no_file_has_grown_beyond_its_job() -> None:
    long = {
        str(p.relative_to(PACKAGE)): n
        for p in PACKAGE.rglob("*.py")
        if (n := len(p.read_text().splitlines())) > 400
    }
    assert not long

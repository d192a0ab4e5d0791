"""The dashboard stands on what `auditor` promises to everybody, and its layers keep their order."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import auditor
import dashboard

FOLDER = Path(dashboard.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
NEVER = {
    "queries": {"streamlit", "plotly"},
    "charts": {"streamlit", "duckdb"},
}
"""What a layer must not know: a query draws nothing, and a figure asks nobody."""


def imports(path: Path) -> list[tuple[str, str | None]]:
    """(module, name) of everything that a file imports from elsewhere."""
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found += [(str(node.module), alias.name) for alias in node.names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_of_auditor_only_the_public_surface_is_used(path: Path) -> None:
    # Where our own parts lie is nobody else's business: the name of the dashboard's package, the samples.
    allowed = {("auditor", name) for name in auditor.__all__}
    allowed |= {("auditor.resources", "dashboard_package"), ("auditor.resources", "sample_logs")}
    used = {(module, name) for module, name in imports(path) if module.split(".")[0] == "auditor"}
    assert used <= allowed


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_layer_does_not_know_what_is_not_its_business(path: Path) -> None:
    modules = {module.split(".")[0] for module, _ in imports(path)}
    assert not modules & NEVER.get(path.relative_to(FOLDER).parts[0], set())


def test_no_file_of_the_dashboard_has_grown_beyond_its_job() -> None:
    assert not {path.name: lines for path in FILES if (lines := len(path.read_text("utf-8").splitlines())) > 400}

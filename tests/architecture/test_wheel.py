"""What a user installs holds everything that a checkout has beside the package."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_rule_is_in_the_wheel(names: set[str]) -> None:
    rules = {f"auditor/_rules/{path.relative_to(ROOT / 'rules')}" for path in ROOT.glob("rules/*/*.sql")}
    assert rules
    assert rules <= names


def test_the_dashboard_is_in_the_wheel_with_its_configuration_and_pictures(names: set[str]) -> None:
    here = ROOT / "dashboard"
    files = {path for path in here.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path.name for path in files} >= {"main.py", "state.sql", "config.toml", "icon.svg"}
    assert {f"auditor/_dashboard/{path.relative_to(here)}" for path in files} <= names
    assert not [name for name in names if "__pycache__" in name]

"""The public surface is small, documented and stable."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import auditor
from auditor.model.judgement import CAPABILITY_MISSING, Capability

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def test_all_names_exactly_what_the_package_offers() -> None:
    assert dir(auditor) == sorted(auditor.__all__)
    for name in auditor.__all__:
        assert getattr(auditor, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        auditor.nonsense  # noqa: B018


def test_the_package_loads_no_database_before_it_is_asked_to() -> None:
    """Every pytest run of our users imports it, for the plugin."""
    code = "import sys, auditor.pytest_plugin; sys.exit('duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_has_a_docstring() -> None:
    for name in auditor.__all__:
        if name != "__version__":
            assert inspect.getdoc(getattr(auditor, name)), name


def test_the_readme_names_every_public_name() -> None:
    missing = [name for name in auditor.__all__ if name != "__version__" and f"`{name}" not in README]
    assert not missing


def test_every_capability_says_what_its_absence_means() -> None:
    assert set(CAPABILITY_MISSING) == set(Capability)

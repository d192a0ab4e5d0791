"""The public surface is small, documented and stable."""

from __future__ import annotations

import inspect
from pathlib import Path

import auditor
from auditor.check.catalogue import load
from auditor.model.judgement import CAPABILITY_MISSING, Capability, ExitCode

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def test_all_names_exactly_what_the_package_offers() -> None:
    offered = {
        name for name, value in vars(auditor).items() if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert offered == set(auditor.__all__) - {"__version__"}


def test_every_public_name_has_a_docstring() -> None:
    for name in auditor.__all__:
        if name != "__version__":
            assert inspect.getdoc(getattr(auditor, name)), name


def test_the_readme_names_every_public_name() -> None:
    missing = [name for name in auditor.__all__ if name != "__version__" and f"`{name}" not in README]
    assert not missing


def test_the_readme_has_a_row_for_every_rule() -> None:
    missing = [rule for rule in load() if f"`{rule}`" not in README]
    assert not missing


def test_the_readme_has_a_row_for_every_exit_code() -> None:
    for code in ExitCode:
        assert f"| {int(code)} |" in README


def test_every_capability_says_what_its_absence_means_and_is_in_the_readme() -> None:
    assert set(CAPABILITY_MISSING) == set(Capability)
    missing = [name.value for name in Capability if f"`{name.value}`" not in README]
    assert not missing

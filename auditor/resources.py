"""Where the parts of the project are that are no Python of ours: beside the package in a checkout, else in it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from auditor.errors import UsageError


def rules_folder() -> Path:
    """Where the rules are: `auditor/_rules` in an installed wheel, `rules/` in a checkout."""
    package = Path(__file__).resolve().parent
    for folder in (package / "_rules", package.parent / "rules"):
        if folder.is_dir():
            return folder
    raise UsageError(f"the rules are missing beside {package}; install auditor again")


def dashboard_package() -> str:
    """The name that the dashboard is imported by: `auditor._dashboard` in an installed wheel, else `dashboard`."""
    return "auditor._dashboard" if find_spec("auditor._dashboard") else "dashboard"


def sample_logs() -> Path | None:
    """The logs to try things with; they travel with a checkout only."""
    folder = Path(__file__).resolve().parent.parent / "sample_logs"
    return folder if folder.is_dir() else None

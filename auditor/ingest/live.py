"""A live PostgreSQL server."""

from __future__ import annotations

from auditor.errors import InputError
from auditor.ingest.intake import Intake


def is_url(path: str) -> bool:
    """Whether an input is the URL of a server."""
    return path.startswith(("postgresql://", "postgres://"))


def shown(url: str) -> str:
    """The URL without its password."""
    return url


def read(url: str, intake: Intake) -> None:
    """Read the world behind the URL."""
    raise InputError(intake.path, "not yet")

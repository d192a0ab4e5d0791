"""What commands ask of the URL of a world."""

from __future__ import annotations

from auditor.errors import UsageError


def must_last(url: str) -> None:
    """Raise UsageError for a world that ends with this process."""
    if url.startswith("memory:"):
        raise UsageError(
            "a world in memory ends with its process; give sqlite:///FILE or postgresql://USER@HOST/DB"
        )

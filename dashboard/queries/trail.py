"""Who did what."""

from __future__ import annotations

from typing import Any

from ..state import State


def actions(state: State, limit: int, offset: int = 0) -> list[dict[str, Any]]:
    """A page of the trail, the last action first."""
    return state.rows(
        "SELECT no, at, who, action, subject, detail FROM trail ORDER BY no DESC LIMIT ? OFFSET ?", [limit, offset]
    )


def count(state: State) -> int:
    """How many actions there are."""
    return int(state.rows("SELECT count(*) AS n FROM trail")[0]["n"])

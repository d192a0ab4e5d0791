"""The states that entities of a run went through, as a diagram."""

from __future__ import annotations

from typing import Any

STAGES = ("absent", "created", "active", "closed")
"""The stages of an entity, by number."""


def diagram(transitions: list[dict[str, Any]]) -> str:
    """Mermaid for the transitions of one kind.

    Event types come from the lifecycle, never from a log, so no text of a stranger is in it.
    """
    lines = ["stateDiagram-v2", "direction LR"]
    for row in transitions:
        verb = row["event_type"].partition("_")[2]
        cross = "✗ " if row["rule"] else ""
        lines.append(f"{_state(row['before'])} --> {_state(row['after'])} : {cross}{verb} × {row['times']:,}")
    return "\n".join(lines)


def _state(stage: int) -> str:
    return "[*]" if stage == 0 else STAGES[stage]

"""The states that entities of a run went through, as a diagram."""

from __future__ import annotations

from typing import Any

STAGES = ("absent", "created", "active", "closed")
"""The stages of an entity, by number."""

# Mermaid lays the middle of a label on its arrow. A second line without ink lifts the words above it. Mermaid cuts
# off what JavaScript takes for space, and the blank of Braille is none.
_BELOW = "<br/>\u2800"


def diagram(transitions: list[dict[str, Any]]) -> str:
    """Mermaid for the transitions of one kind.

    Event types come from the lifecycle, never from a log, so no text of a stranger is in it.
    """
    lines = ["stateDiagram-v2", "direction LR"]
    for row in transitions:
        verb = row["event_type"].partition("_")[2]
        cross = "✗ " if row["rule"] else ""
        lines.append(
            f"{_state(row['before'])} --> {_state(row['after'])} : {cross}{verb} × {row['times']:,}{_BELOW}"
        )
    return "\n".join(lines)


def _state(stage: int) -> str:
    return "[*]" if stage == 0 else STAGES[stage]

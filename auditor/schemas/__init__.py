"""The contracts as files: JSON Schemas of everything we read and write, and the DDL of the audit file."""

from __future__ import annotations

from importlib import resources

NAMES = {
    "log": "log.schema.json",
    "report": "report.schema.json",
    "replay": "replay.schema.json",
    "config": "config.schema.json",
    "baseline": "baseline.schema.json",
    "alert": "alert.schema.json",
    "audit": "audit.sql",
    "world": "world.sql",
}
"""What `auditor schema NAME` prints, by name."""


def text(name: str) -> str:
    """The text of one contract. Raises KeyError for a name that is not in NAMES."""
    return resources.files(__name__).joinpath(NAMES[name]).read_text("utf-8")

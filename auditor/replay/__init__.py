"""From the ingested tables to the relations that rules read: `log`, `entity`, `accusation`, `run`, `write`."""

from auditor.replay.relations import derive

__all__ = ["derive"]

"""From exported logs, in any accepted format, to the ingested tables of an audit file."""

from auditor.ingest.reader import Reader

__all__ = ["Reader"]

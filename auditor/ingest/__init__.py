"""From exported logs, in any accepted format, to the ingested tables of an audit file."""

from auditor.ingest.reader import LOG_SCHEMA, Reader

__all__ = ["LOG_SCHEMA", "Reader"]

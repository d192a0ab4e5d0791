"""From exported logs, in any accepted format, to the ingested tables of an audit file."""

from auditor.ingest.foreign import FIELDS, field_of
from auditor.ingest.inputs import is_read
from auditor.ingest.intake import Options
from auditor.ingest.reader import INPUT_FORMATS, Reader

__all__ = ["FIELDS", "INPUT_FORMATS", "Options", "Reader", "field_of", "is_read"]

"""What is known about the patterns of an audit from outside of it: decisions, and the audit before."""

from __future__ import annotations

import duckdb

from .. import service
from ..library import Entry
from ..queries.findings import Judged, standing_of_patterns


def judged(con: duckdb.DuckDBPyConnection, entry: Entry) -> Judged:
    """For the audit that `con` reads."""
    current = service.current()
    decided = current.triage.standings(standing_of_patterns(con), entry.made_at)
    before = current.library.before(entry)
    if before is None:
        return Judged(decided, None)
    with current.library.reading(before.audit_id) as earlier:
        return Judged(decided, standing_of_patterns(earlier))

"""What is only known when every input was read: which rows are one event, and which exports hold payloads."""

from __future__ import annotations

import duckdb

from auditor.ingest.staging import statement
from auditor.model.judgement import Capability

_PLACE = ("event_no", "source_id", "line", "run_id", "event_id")
_PAYLOAD = ("payload_bytes", "payload_sha256", "payload_encrypted", "payload")


def merge(con: duckdb.DuckDBPyConnection) -> None:
    """Make one event of the rows of an event that was read more than once, and note where else it stands."""
    described = con.execute("SELECT column_name FROM (DESCRIBE event)").fetchall()
    content = [f'"{name}"' for (name,) in described if name not in _PLACE]
    compared = [f'"{name}"' for (name,) in described if name not in (*_PLACE, *_PAYLOAD)]
    sql = statement("merge.sql").format(
        agree=" AND ".join(f"count(DISTINCT {name}) <= 1" for name in compared),
        content=", ".join(content),
        most=", ".join(f"max({name}) AS {name}" for name in content),
        fill=", ".join(f"{name} = coalesce(event.{name}, whole.{name})" for name in content),
    )
    con.execute(sql).fetchall()


def note_payloads(con: duckdb.DuckDBPyConnection, *, kept: bool) -> None:
    """Add the capabilities that show only in the rows: digests where a payload was seen, payloads if kept."""
    names = [Capability.DIGESTS, *([Capability.PAYLOADS] if kept else [])]
    con.execute(
        """
        UPDATE export SET records = list_sort(list_distinct(records || ?))
        WHERE export_id IN (
            SELECT export_id
            FROM (SELECT DISTINCT source_id FROM event WHERE payload_bytes IS NOT NULL)
            JOIN source USING (source_id)
        )
        """,
        [[name.value for name in names]],
    ).fetchall()

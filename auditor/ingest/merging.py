"""What is only known when every input was read: which rows are one event, and which exports hold payloads."""

from __future__ import annotations

import duckdb

from auditor.database import scalar
from auditor.ingest.staging import statement
from auditor.model.judgement import Capability

_PLACE = ("event_no", "source_id", "line", "run_id", "event_id")
_PAYLOAD = ('"payload_bytes"', '"payload_sha256"', '"payload_encrypted"', '"payload"')


def merge(con: duckdb.DuckDBPyConnection) -> None:
    """Make one event of the rows of an event that was read more than once, and note where else it stands."""
    if not scalar(con, "SELECT count(*) - count(DISTINCT hash(run_id, event_id)) FROM event_core"):
        return
    core, more = (_columns(con, table) for table in ("event_core", "event_more"))
    content = core + more
    compared = [name for name in content if name not in _PAYLOAD]
    sql = statement("merge.sql").format(
        agree=" AND ".join(f"count(DISTINCT {name}) <= 1" for name in compared),
        content=", ".join(content),
        most=", ".join(f"max({name}) AS {name}" for name in content),
        fill_core=", ".join(f"{name} = coalesce(event_core.{name}, whole.{name})" for name in core),
        fill_more=", ".join(f"{name} = coalesce(event_more.{name}, whole.{name})" for name in more),
    )
    con.execute(sql).fetchall()


def _columns(con: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    """What a table says of an event, beside which row it is and where it stands; quoted."""
    described = con.execute(f"SELECT column_name FROM (DESCRIBE {table})").fetchall()
    return [f'"{name}"' for (name,) in described if name not in _PLACE]


def note_capabilities(con: duckdb.DuckDBPyConnection, *, kept: bool) -> None:
    """Add the capabilities that the rows themselves show: digests where there is a payload (payloads, if they were
    kept), and a hash chain where there is a hash."""
    payloads = [Capability.DIGESTS, *([Capability.PAYLOADS] if kept else [])]
    for seen, names in (
        ("event_core WHERE payload_bytes IS NOT NULL", payloads),
        ("event_core JOIN event_more USING (event_no) WHERE hash IS NOT NULL", [Capability.HASHES]),
    ):
        con.execute(
            f"""
            UPDATE export SET records = list_sort(list_distinct(records || ?))
            WHERE export_id IN (
                SELECT export_id FROM (SELECT DISTINCT source_id FROM {seen}) JOIN source USING (source_id)
            )
            """,
            [[name.value for name in names]],
        ).fetchall()

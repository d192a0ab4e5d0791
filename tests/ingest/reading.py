"""Ingest alone: what is read of an input, without the rules. A whole audit takes ten times as long."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from auditor.database import new_audit
from auditor.ingest import Options, Reader
from auditor.replay import derive

Row = dict[str, Any]

PLACE = ("event_no", "source_id", "line")
"""Columns of an event that say where it was read, not what it is."""


@dataclass(frozen=True)
class Ingested:
    """Every row that was read, table by table."""

    inputs: list[Row]
    exports: list[Row]
    sources: list[Row]
    events: list[Row]
    entities: list[Row]
    refusals: list[Row]
    rejects: list[Row]
    copies: list[Row]
    heads: list[Row]
    gaps: dict[str, str | None]

    @property
    def problems(self) -> list[str | None]:
        """What is wrong with each input."""
        return [row["problem"] for row in self.inputs]

    @property
    def content(self) -> list[Row]:
        """The events without their place, in an order of their own."""
        rows = [{key: value for key, value in row.items() if key not in PLACE} for row in self.events]
        return sorted(rows, key=lambda row: (row["run_id"], row["event_id"], str(row)))

    @property
    def reasons(self) -> list[tuple[str, int | None, str]]:
        """The rejects as (file, line, reason)."""
        return [(row["name"], row["line"], row["reason"]) for row in self.rejects]

    @property
    def accounted(self) -> int:
        """All rows that were read, whatever came of them; manifests are no rows."""
        read = ("events", "entities", "refusals", "rejects")
        return len(self.heads) + sum(row[name] for row in self.inputs for name in read)


def read(*paths: Path | str, gaps: bool = False, **options: Any) -> Ingested:
    """Read inputs as an audit does. With `gaps`, also say of every run why its history is incomplete."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        with new_audit(scratch / "audit.duckdb", scratch) as con:
            reader = Reader(con, scratch, Options(**options))
            for path in paths:
                reader.read(str(path))
            reader.finish()
            if gaps:
                derive(con)
            return Ingested(
                inputs=_rows(con, "FROM input ORDER BY input_id"),
                exports=_rows(con, "FROM export ORDER BY export_id"),
                sources=_rows(con, "FROM source ORDER BY source_id"),
                events=_rows(con, "FROM event ORDER BY run_id, event_id, event_no"),
                entities=_rows(con, "FROM entity_row ORDER BY kind, run_id, correlation_id"),
                refusals=_rows(con, "FROM refusal ORDER BY refusal_no"),
                rejects=_rows(con, "FROM reject JOIN source USING (source_id) ORDER BY name, line"),
                copies=_rows(con, "FROM copy ORDER BY event_no, source_id, line"),
                heads=_rows(con, "FROM head ORDER BY run_id, source_id, line"),
                gaps={row["run_id"]: row["gap"] for row in _rows(con, "FROM run")} if gaps else {},
            )


def read_each(inputs: Mapping[str, Path], *, gaps: bool = False, **options: Any) -> dict[str, Ingested]:
    """What `read` says of each of these inputs, by name; one Reader reads them all, at a tenth of the cost.

    No two of them may hold the same run. Small files of JSON rows are loaded together, so that one bad row among
    them makes our own reader read the rows of all.
    """
    names = list(inputs)
    found = read(*inputs.values(), gaps=gaps, **options)
    assert len(found.inputs) == len(names)
    of_export = {row["export_id"]: names[row["input_id"] - found.inputs[0]["input_id"]] for row in found.exports}
    of_source = {row["source_id"]: of_export[row["export_id"]] for row in found.sources}
    of_run = {row["run_id"]: of_source[row["source_id"]] for row in found.events}

    def part(rows: list[Row], name: str) -> list[Row]:
        return [row for row in rows if of_source[row["source_id"]] == name]

    return {
        name: Ingested(
            inputs=[row],
            exports=[export for export in found.exports if of_export[export["export_id"]] == name],
            sources=part(found.sources, name),
            events=part(found.events, name),
            entities=part(found.entities, name),
            refusals=part(found.refusals, name),
            rejects=part(found.rejects, name),
            copies=part(found.copies, name),
            heads=part(found.heads, name),
            gaps={run: gap for run, gap in found.gaps.items() if of_run.get(run) == name},
        )
        for name, row in zip(names, found.inputs, strict=True)
    }


def _rows(con: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    cursor = con.execute(query)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]

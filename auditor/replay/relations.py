"""Derive, once an audit, the relations that every rule reads.

`log`, `entity`, `accusation`, `run` and `write` are made by the numbered SQL files beside this module, in
their order; the contracts of `auditor.model` go in first, as tables, so that SQL and Python read the same.
"""

from __future__ import annotations

from importlib import resources

import duckdb
import pyarrow as pa

from auditor.database import insert
from auditor.model.events import ROLE
from auditor.model.lifecycle import LIFECYCLE, TOLERANCES, Stage, Tolerance, core_rank

_COLUMN_EVIDENCE = {
    "compares_resume_at": "coalesce(completion_has_resume_at OR start_has_step_name, "
    "completion_has_resume_at, start_has_step_name)"
}
"""What else tells a tolerance where the core version is unknown."""


def derive(con: duckdb.DuckDBPyConnection) -> None:
    """Fill the audit file's derived relations from its ingested tables."""
    _contracts(con)
    for file in sorted(resources.files(__package__).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            sql = file.read_text("utf-8").replace("{tolerances}", tolerance_columns())
            con.execute(sql).fetchall()


def _contracts(con: duckdb.DuckDBPyConnection) -> None:
    rows = [
        {
            "kind": move.kind.value,
            "event_type": move.event_type.value,
            "reaches": int(move.reaches),
            "before": int(before),
            "accusation": move.accuses.get(before),
        }
        for move in LIFECYCLE
        for before in Stage
    ]
    insert(con, "lifecycle", pa.Table.from_pylist(rows))
    roles = [{"event_type": event_type.value, "role": role.value} for event_type, role in ROLE.items()]
    insert(con, "write_role", pa.Table.from_pylist(roles))


def tolerance_columns() -> str:
    """The columns of `run` that say what its core's replay does, as SQL; NULL where that is unknown."""
    return ",\n    ".join(_tolerance(tolerance) for tolerance in TOLERANCES)


def _tolerance(tolerance: Tolerance) -> str:
    terms = []
    if tolerance.since_core is not None:
        terms.append(f"core_rank >= {core_rank(tolerance.since_core)}")
    if tolerance.since_spec is not None:
        terms.append(f"spec_version >= {tolerance.since_spec}")
    if tolerance.until_spec is not None:
        terms.append(f"spec_version <= {tolerance.until_spec}")
    known = " AND ".join(terms)
    evidence = _COLUMN_EVIDENCE.get(tolerance.column)
    return f"coalesce({known}, {evidence}) AS {tolerance.column}" if evidence else f"{known} AS {tolerance.column}"

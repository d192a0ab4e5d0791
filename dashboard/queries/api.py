"""What the API gives of an audit's findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

from .rows import rows

FILTERS = ("severity", "rule", "state", "run", "pattern")
"""By what findings are chosen."""

_COLUMNS = {"run": "run_id"}


def findings(
    con: duckdb.DuckDBPyConnection, chosen: Mapping[str, str | None], limit: int, offset: int
) -> tuple[int, list[dict[str, Any]]]:
    """How many findings there are, and a page of them with their witnesses: the worst first."""
    asked = {name: value for name, value in chosen.items() if name in FILTERS and value is not None}
    where = " AND ".join(f"{_COLUMNS.get(name, name)} = ${name}" for name in asked) or "TRUE"
    (total,) = con.execute(f"SELECT count(*) FROM finding WHERE {where}", asked).fetchall()[0]
    page = rows(
        con,
        f"""
        SELECT
            finding_no, rule, severity, confidence, run_id, state, because,
            {{'instance': instance, 'pattern': pattern}} AS fingerprint
        FROM finding
        WHERE {where}
        ORDER BY
            array_position(['error', 'warning', 'info'], severity), rule, run_id NULLS FIRST, place, instance,
            finding_no
        LIMIT $limit OFFSET $offset
        """,
        {**asked, "limit": limit, "offset": offset},
    )
    witnesses: dict[int, list[dict[str, Any]]] = {}
    for row in rows(
        con,
        """
        SELECT
            finding_no, role, record, run_id, event_id, event_type, correlation_id, entity, "position",
            input, source, line
        FROM witness_detail
        WHERE list_contains($numbers::BIGINT[], finding_no)
        ORDER BY finding_no, place_in_proof
        """,
        {"numbers": [finding["finding_no"] for finding in page]},
    ):
        witnesses.setdefault(row.pop("finding_no"), []).append(row)
    for finding in page:
        finding["witness"] = witnesses.get(finding.pop("finding_no"), [])
    return int(total), page

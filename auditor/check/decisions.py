"""What was decided about findings: suppressions, the baseline, and what still counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import duckdb
import pyarrow as pa

from auditor.check.baseline import BY, Baseline
from auditor.database import insert, replace_temp
from auditor.model.judgement import SuppressionState

KEPT_WITNESSES = 1000
"""Findings a rule that keep their witnesses, the new ones first; counts are exact beyond."""

_PATTERN = pa.schema([("suppression_no", pa.int32()), ("workflow_like", pa.string())])


@dataclass(frozen=True, slots=True)
class Suppression:
    """Findings of one rule that somebody decided to live with: those that all of its matchers match.

    `workflow` is a glob (`*` any text, `?` one character); `expires` is the last day on which it holds (UTC).
    """

    rule: str
    reason: str
    run: str | None = None
    workflow: str | None = None
    event: str | None = None
    instance: str | None = None
    pattern: str | None = None
    expires: dt.date | None = None
    by: str | None = None


def decide(
    con: duckdb.DuckDBPyConnection,
    suppressions: Sequence[Suppression],
    baseline: Baseline | None,
    today: dt.date,
) -> None:
    """Fill `suppression` and `baseline`, and give every named and folded finding its state."""
    _suppressions(con, suppressions, today)
    if baseline is not None and baseline.entries:
        rows = [
            {
                "fingerprint": entry.fingerprint,
                "rule": entry.rule,
                "ceiling": entry.count,
                "found": 0,
                "workflow": entry.workflow,
                "message": entry.message,
            }
            for entry in baseline.entries
        ]
        insert(con, "baseline", pa.Table.from_pylist(rows))
    sql = resources.files(__package__).joinpath("decisions.sql").read_text("utf-8")
    by = baseline.by if baseline is not None else BY[0]
    con.execute(sql.replace("$kept_witnesses", str(KEPT_WITNESSES)).replace("$by", by)).fetchall()


def trim(con: duckdb.DuckDBPyConnection) -> None:
    """Drop the witnesses that are not kept, once nothing asks for them any more."""
    con.execute(
        "DELETE FROM witness WHERE finding_no IN (SELECT finding_no FROM finding WHERE NOT kept)"
    ).fetchall()


def _suppressions(con: duckdb.DuckDBPyConnection, suppressions: Sequence[Suppression], today: dt.date) -> None:
    for number, suppression in enumerate(suppressions):
        expired = suppression.expires is not None and suppression.expires < today
        con.execute(
            "INSERT INTO suppression VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
            [
                number,
                suppression.rule,
                suppression.reason,
                suppression.run,
                suppression.workflow,
                suppression.event,
                suppression.instance,
                suppression.pattern,
                suppression.expires,
                suppression.by,
                (SuppressionState.EXPIRED if expired else SuppressionState.UNUSED).value,
            ],
        )
    patterns = [
        {"suppression_no": number, "workflow_like": like(suppression.workflow)}
        for number, suppression in enumerate(suppressions)
        if suppression.workflow is not None
    ]
    replace_temp(con, "suppression_pattern", pa.Table.from_pylist(patterns, _PATTERN))


def like(glob: str) -> str:
    r"""A glob of `*` and `?` as a pattern of SQL's LIKE, escaped by `\`."""
    escaped = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")

"""From findings to judgement: fingerprints, folding, verdicts and the exit code."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

import duckdb
import pyarrow as pa

from auditor.check.baseline import Baseline
from auditor.check.decisions import Suppression, decide
from auditor.check.folding import Foldable, fold
from auditor.check.header import Rule
from auditor.database import replace_temp, scalar
from auditor.model.judgement import Capability, Confidence, ExitCode, Severity

FOLDED_OF = 1000
"""Findings a rule that may fold, or others under them, the worst first; those beyond stand."""


class _Row(NamedTuple):
    no: int
    rule: str
    run_id: str | None
    severity: str
    confidence: str
    place: int | None
    entities: list[str]


def judge(
    con: duckdb.DuckDBPyConnection,
    rules: Sequence[Rule],
    suppressions: Sequence[Suppression],
    baseline: Baseline | None,
    today: dt.date,
) -> None:
    """Name and fold the findings, say what counts of them, and give every run its verdict.

    `today` (UTC) is the day on which suppressions hold or have expired.
    """
    con.execute(_sql("fingerprints")).fetchall()
    _fold(con, rules)
    decide(con, suppressions, baseline, today)
    names = ", ".join(f"'{capability.value}'" for capability in Capability)
    con.execute(_sql("verdict").replace("$capabilities", f"[{names}]")).fetchall()


def _fold(con: duckdb.DuckDBPyConnection, rules: Sequence[Rule]) -> None:
    fetched = con.execute(
        f"""
        SELECT
            finding_no, finding.rule, finding.run_id, severity, confidence, place,
            coalesce(list(DISTINCT correlation_id) FILTER (WHERE correlation_id IS NOT NULL), [])
        FROM (
            SELECT * FROM finding
            QUALIFY row_number() OVER (PARTITION BY rule ORDER BY finding_no) <= {FOLDED_OF}
        ) AS finding
        JOIN seen USING (finding_no)
        GROUP BY ALL
        ORDER BY finding_no
        """
    ).fetchall()
    found = [_foldable(_Row._make(row)) for row in fetched]
    roots = fold(found, {rule.id: rule.implies for rule in rules})
    rows = pa.table(
        {"finding_no": pa.array(list(roots), pa.int64()), "root": pa.array(roots.values(), pa.int64())}
    )
    replace_temp(con, "folding", rows)
    con.execute(
        "UPDATE finding SET folded_under = root FROM folding WHERE folding.finding_no = finding.finding_no"
    ).fetchall()


def _foldable(row: _Row) -> Foldable:
    return Foldable(
        no=row.no,
        rule=row.rule,
        run_id=row.run_id,
        severity=Severity(row.severity),
        confidence=Confidence(row.confidence),
        place=row.place or 0,
        entities=frozenset(row.entities),
    )


def _sql(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.sql").read_text("utf-8")


def exit_code(
    con: duckdb.DuckDBPyConnection,
    fail_on: Severity | None,
    max_rejects: int = 0,
    require: Sequence[Capability] = (),
) -> tuple[ExitCode, str]:
    """The exit code of an audit and the fact that decided it. `fail_on` None means that no finding fails.

    Of the findings only new ones count; what could not be judged counts whatever was decided about findings.
    """
    decided = _count(con, "finding WHERE state IN ('known', 'suppressed')")
    if fail_on is not None:
        at_or_above = [severity.value for severity in Severity if severity.rank >= fail_on.rank]
        found = int(
            scalar(
                con,
                "SELECT count(*) FROM finding WHERE state = 'new' AND list_contains(?, severity)",
                at_or_above,
            )
        )
        if found:
            new = "new " if decided else ""
            return ExitCode.FOUND, f"{found} {new}{_plural(found, 'finding')} at or above {fail_on}"
    doubts = [
        (_count(con, "input WHERE problem IS NOT NULL"), "input", "could not be read"),
        (_count(con, "rule WHERE outcome = 'failed'"), "rule", "failed"),
        (_count(con, "verdict WHERE log_verdict = 'cannot_tell'"), "run", "could not be judged"),
    ]
    for number, thing, what in doubts:
        if number:
            return ExitCode.CANNOT_TELL, f"{number} {_plural(number, thing)} {what}"
    if not _count(con, "run"):
        return ExitCode.CANNOT_TELL, "no run was read"
    rejects = _count(con, "reject")
    if rejects > max_rejects:
        return ExitCode.CANNOT_TELL, f"{rejects} {_plural(rejects, 'row')} could not be read"
    for capability in require:
        if scalar(con, "SELECT runs < all_runs FROM capability WHERE name = ?", capability.value):
            return ExitCode.CANNOT_TELL, f"--require {capability}: not every run has it"
    if fail_on is None:
        return ExitCode.CLEAN, "every run was judged; with --fail-on never no finding counts"
    new = "new " if decided else ""
    return ExitCode.CLEAN, f"every run was judged, and no {new}finding is at or above {fail_on}"


def _count(con: duckdb.DuckDBPyConnection, rows: str) -> int:
    return int(scalar(con, f"SELECT count(*) FROM {rows}"))


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"

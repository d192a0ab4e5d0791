"""From findings to judgement: fingerprints, folding, verdicts and the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import duckdb
import pyarrow as pa

from auditor.check.fingerprints import Seen, instance, pattern
from auditor.check.folding import Foldable, fold
from auditor.check.header import Rule
from auditor.database import replace_temp, scalar
from auditor.model.judgement import Capability, Confidence, ExitCode, Severity


class _Row(NamedTuple):
    no: int
    rule: str
    run_id: str | None
    workflow: str | None
    severity: str
    confidence: str
    place: int | None
    role: str
    record: str
    name: str
    shape: str
    correlation_id: str | None


def judge(con: duckdb.DuckDBPyConnection, rules: Sequence[Rule]) -> None:
    """Name and fold the kept findings, then give every run its verdict."""
    fetched = con.execute(
        """
        SELECT
            finding_no, rule, finding.run_id, workflow, severity, confidence, place, role, record,
            coalesce(d.run_id, '') || '/'
                || coalesce(event_id, correlation_id, CASE record WHEN 'export' THEN source END, '')
                || '/' || coalesce(event_type, entity),
            coalesce(event_type, entity) || coalesce(':' || step_name, ''),
            correlation_id
        FROM finding
        JOIN witness_detail AS d USING (finding_no)
        LEFT JOIN run ON run.run_id = finding.run_id
        ORDER BY finding_no, place_in_proof
        """
    ).fetchall()
    groups = [list(group) for _, group in groupby(map(_Row._make, fetched), key=attrgetter("no"))]
    roots = fold([_foldable(group) for group in groups], {rule.id: rule.implies for rule in rules})
    replace_temp(con, "named", pa.table(_named(groups, roots)))
    con.execute(
        """
        UPDATE finding
        SET instance = named.instance, pattern = named.pattern, folded_under = named.folded_under
        FROM named
        WHERE named.finding_no = finding.finding_no
        """
    ).fetchall()
    sql = resources.files(__package__).joinpath("verdict.sql").read_text("utf-8")
    names = ", ".join(f"'{capability.value}'" for capability in Capability)
    con.execute(sql.replace("$capabilities", f"[{names}]")).fetchall()


def _foldable(group: Sequence[_Row]) -> Foldable:
    first = group[0]
    return Foldable(
        no=first.no,
        rule=first.rule,
        run_id=first.run_id,
        severity=Severity(first.severity),
        confidence=Confidence(first.confidence),
        place=first.place or 0,
        entities=frozenset(row.correlation_id for row in group if row.correlation_id is not None),
    )


def _named(groups: Sequence[Sequence[_Row]], roots: dict[int, int]) -> dict[str, pa.Array]:
    witnesses = [[Seen(row.role, row.shape, row.name) for row in group] for group in groups]
    firsts = [group[0] for group in groups]
    pairs = list(zip(firsts, witnesses, strict=True))
    return {
        "finding_no": pa.array([first.no for first in firsts], pa.int64()),
        "instance": pa.array([instance(f.rule, f.run_id, seen) for f, seen in pairs], pa.string()),
        "pattern": pa.array([pattern(f.rule, f.workflow, seen) for f, seen in pairs], pa.string()),
        "folded_under": pa.array([roots.get(first.no) for first in firsts], pa.int64()),
    }


def exit_code(
    con: duckdb.DuckDBPyConnection,
    fail_on: Severity | None,
    max_rejects: int = 0,
    require: Sequence[Capability] = (),
) -> tuple[ExitCode, str]:
    """The exit code of an audit and the fact that decided it. `fail_on` None means that no finding fails."""
    if fail_on is not None:
        at_or_above = [severity.value for severity in Severity if severity.rank >= fail_on.rank]
        found = int(
            scalar(
                con,
                "SELECT count(*) FROM finding WHERE folded_under IS NULL AND list_contains(?, severity)",
                at_or_above,
            )
        )
        if found:
            return ExitCode.FOUND, f"{found} {_plural(found, 'finding')} at or above {fail_on}"
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
    return ExitCode.CLEAN, f"every run was judged, and no finding is at or above {fail_on}"


def _count(con: duckdb.DuckDBPyConnection, rows: str) -> int:
    return int(scalar(con, f"SELECT count(*) FROM {rows}"))


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"

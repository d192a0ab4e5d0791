"""Run the rules over the derived relations and store what they found.

A rule is evaluated on the runs that have every capability it needs; elsewhere it says nothing, and the report
says why. A rule that fails makes every run's verdict `cannot_tell`; the others still run.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa

from auditor.check.header import CONTENTS, Rule, SeverityCase
from auditor.database import REFUSED, beside, insert, quoted, scalar
from auditor.model.judgement import CAPABILITY_MISSING, Capability, Outcome

MOST_AT_ONCE = 4
"""Rules that are evaluated at a time, where there are as many cores: each takes memory of its own."""

KEPT_WITNESSES = 1000
"""Findings a rule that keep their witnesses, the worst first; counts are exact beyond."""

_FOUND = "working.found"
"""Where each rule leaves what it found, in a table of its own name."""

_UNKEPT = "working.unkept"
"""The witnesses that are not kept of rules whose findings are told apart by them, until that is done."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one rule. `reason` says why it failed, or why runs were skipped; `seconds` of wall clock."""

    outcome: Outcome
    reason: str | None
    evaluated_runs: int
    skipped_runs: int
    findings: int
    seconds: float = 0.0


def run_rules(con: duckdb.DuckDBPyConnection, rules: Sequence[Rule], *, everything: bool) -> None:
    """Evaluate every rule and fill `rule_param`, `finding`, `witness` and `rule`.

    `everything` says that no rule was left out by the user; a rule that reads the findings of all others cannot
    be evaluated otherwise.
    """
    params = [[rule.id, param.name, None, param.default] for rule in rules for param in rule.params]
    if params:
        con.executemany("INSERT INTO rule_param VALUES (?, ?, ?, ?)", params)
    con.execute(f"CREATE SCHEMA {_FOUND}")
    con.execute(f"CREATE TABLE {_UNKEPT} (finding_no BIGINT, role VARCHAR, event_no BIGINT)")
    runs = _Runs.of(con)
    for reads_findings in (False, True):
        chosen = [rule for rule in rules if rule.reads_findings is reads_findings]
        if reads_findings and not everything:
            rows = [_row(rule, _left_out(runs)) for rule in chosen]
        else:
            rows = []
            for rule, result in zip(chosen, _evaluated(con, chosen, runs), strict=True):
                if result.findings:
                    _store(con, rule)
                rows.append(_row(rule, result))
        if rows:
            insert(con, "rule", pa.Table.from_pylist(rows))


def _evaluated(con: duckdb.DuckDBPyConnection, rules: Sequence[Rule], runs: _Runs) -> Iterator[Result]:
    """The results of the rules, in their order; while one is planned, on one core, another one runs."""
    own = threading.local()

    def evaluate(rule: Rule) -> Result:
        if not hasattr(own, "con"):
            own.con = beside(con)
        started = time.perf_counter()
        result = _evaluate(own.con, rule, runs)
        return replace(result, seconds=time.perf_counter() - started)

    with ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_AT_ONCE)) as pool:
        yield from pool.map(evaluate, rules)


@dataclass(frozen=True, slots=True)
class _Runs:
    """How many runs have which capabilities, and what there is in any of them at all."""

    counts: dict[frozenset[str], int]
    contents: frozenset[str]

    @classmethod
    def of(cls, con: duckdb.DuckDBPyConnection) -> _Runs:
        rows = con.execute("SELECT capabilities, count(*) FROM run GROUP BY capabilities").fetchall()
        types = con.execute("SELECT DISTINCT event_type FROM log").fetchall()
        filled = {
            name for name, rows in CONTENTS.items() if con.execute(f"SELECT 1 FROM {rows} LIMIT 1").fetchall()
        }
        return cls(
            {frozenset(names): count for names, count in rows},
            frozenset(name for (name,) in types) | filled,
        )

    def having(self, needs: Sequence[Capability]) -> int:
        return sum(count for names, count in self.counts.items() if names.issuperset(needs))

    def hold_any_of(self, contents: Sequence[str]) -> bool:
        """Whether one of these is in some run; so it is if nothing is asked for."""
        return not contents or not self.contents.isdisjoint(contents)

    def why_not(self, needs: Sequence[Capability]) -> str:
        """Which of these some run lacks, in words."""
        missing = [CAPABILITY_MISSING[need] for need in needs if self.having([need]) < self.having([])]
        return "; ".join(missing) or "there is no run"


def _left_out(runs: _Runs) -> Result:
    return Result(Outcome.NOT_EVALUATED, "it needs the findings of all other rules", 0, runs.having([]), 0)


def _evaluate(con: duckdb.DuckDBPyConnection, rule: Rule, runs: _Runs) -> Result:
    evaluated = runs.having(rule.needs)
    skipped = runs.having([]) - evaluated
    if not evaluated:
        return Result(Outcome.NOT_EVALUATED, runs.why_not(rule.needs), 0, skipped, 0)
    reason = runs.why_not(rule.needs) if skipped else None
    if not runs.hold_any_of(rule.only_with):
        return Result(Outcome.HELD, reason, evaluated, skipped, 0)
    try:
        found = int(con.execute(_findings_sql(rule, all_runs=not skipped)).fetchall()[0][0])
    except REFUSED as error:
        return Result(Outcome.FAILED, str(error).splitlines()[0], 0, evaluated + skipped, 0)
    if found and scalar(con, f"SELECT count(*) FROM {_found(rule)} WHERE len(witness) = 0 OR because IS NULL"):
        return Result(Outcome.FAILED, "it gave a finding without a witness", 0, evaluated + skipped, 0)
    return Result(Outcome.FOUND if found else Outcome.HELD, reason, evaluated, skipped, found)


def _findings_sql(rule: Rule, *, all_runs: bool) -> str:
    """The rule's SELECT with severity and confidence beside each row, as a table of their own.

    `all_runs`: every run has what the rule needs, so none of its rows has to be left out.
    """
    cases = [case for case in rule.severity if case.when is not None]
    otherwise = quoted(rule.severity[-1].severity)
    severity = f"CASE {_arms(cases)} ELSE {otherwise} END" if cases else otherwise
    unknown = _unknown(cases)
    of_run = "" if all_runs and not cases else "LEFT JOIN run ON run.run_id = finding.run_id"
    capable = f"finding.run_id IS NULL OR list_has_all(run.capabilities, {_list(rule.needs)})"
    return f"""
        CREATE TABLE {_found(rule)} AS
        SELECT
            finding.run_id,
            CASE WHEN {unknown} THEN {quoted(rule.mildest)} ELSE {severity} END AS severity,
            CASE WHEN {unknown} THEN 'suspect' ELSE {quoted(rule.confidence)} END AS confidence,
            finding.because,
            coalesce(finding.witness, []) AS witness
        FROM ({rule.select}
        ) AS finding
        {of_run}
        {"" if all_runs else f"WHERE {capable}"}
    """


def _arms(cases: Sequence[SeverityCase]) -> str:
    return " ".join(f"WHEN ({case.when}) THEN {quoted(case.severity)}" for case in cases)


def _unknown(cases: Sequence[SeverityCase]) -> str:
    """Whether a `when` that decides is NULL: the version it asks for is unknown."""
    if not cases:
        return "FALSE"
    arms = " ".join(f"WHEN ({c.when}) IS NULL THEN TRUE WHEN ({c.when}) THEN FALSE" for c in cases)
    return f"CASE {arms} ELSE FALSE END"


def _store(con: duckdb.DuckDBPyConnection, rule: Rule) -> None:
    """Number what a rule found, in an order that depends on the log alone, and keep it."""
    first = int(scalar(con, "SELECT coalesce(max(finding_no), 0) FROM finding"))
    divides = rule.diagnosis is not None and any(asked.divides for asked in rule.diagnosis.placeholders)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE ranked AS
        WITH numbered AS (SELECT row_number() OVER () AS n, * FROM {_found(rule)}),
        located AS (
            SELECT n, max("position") AS place
            FROM (SELECT n, unnest(witness) AS w FROM numbered)
            LEFT JOIN place ON w.record = 'event' AND place.event_no = w.no
            GROUP BY n
        )
        SELECT
            {first} + row_number() OVER (
                ORDER BY
                    array_position(['error', 'warning', 'info'], severity), run_id NULLS FIRST, place, because
            ) AS finding_no,
            numbered.* EXCLUDE (n),
            place
        FROM numbered JOIN located USING (n);

        INSERT INTO finding BY NAME
        SELECT finding_no, {quoted(rule.id)} AS rule, run_id, severity, confidence, because, place
        FROM ranked;

        INSERT INTO witness
        SELECT finding_no, place_in_proof, w.role, w.record, w.no
        FROM (
            SELECT finding_no, unnest(witness) AS w, generate_subscripts(witness, 1) AS place_in_proof
            FROM ranked
            WHERE finding_no <= {first + KEPT_WITNESSES}
        );

        INSERT INTO {_UNKEPT}
        SELECT finding_no, w.role, w.no
        FROM (SELECT finding_no, unnest(witness) AS w FROM ranked WHERE finding_no > {first + KEPT_WITNESSES})
        WHERE w.record = 'event' AND {divides};

        DROP TABLE {_found(rule)};
        """
    ).fetchall()


def _found(rule: Rule) -> str:
    return f'{_FOUND}."{rule.id}"'


def _row(rule: Rule, result: Result) -> dict[str, object]:
    """One row of the table `rule`."""
    return {
        "rule": rule.id,
        "version": rule.version,
        "title": rule.title,
        "about": rule.about,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "evaluated_runs": result.evaluated_runs,
        "skipped_runs": result.skipped_runs,
        "findings": result.findings,
        "seconds": result.seconds,
        "document": rule.document,
    }


def _list(names: Sequence[Capability]) -> str:
    return "[" + ", ".join(quoted(name.value) for name in names) + "]::VARCHAR[]"

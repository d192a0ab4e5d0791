"""Run the rules over the derived relations and store what they found.

A rule is evaluated on the runs that have every capability it needs; elsewhere it says nothing, and the report
says why. A rule that fails makes every run's verdict `cannot_tell`; the others still run.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa

from auditor.check.custom import ask, forged
from auditor.check.header import CONTENTS, Rule
from auditor.check.query import findings_query
from auditor.check.sandbox import Limits
from auditor.check.tuning import Tunings
from auditor.database import REFUSED, beside, create, insert, quoted, released, scalar
from auditor.model.judgement import CAPABILITY_MISSING, Capability, Outcome

MOST_AT_ONCE = 4
"""Rules that are evaluated at a time, where there are as many cores: each takes memory of its own."""

_FOUND = "working.found"
"""Where each rule leaves what it found, in a table of its own name."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one rule. `reason` says why it failed, or why runs were skipped; `seconds` of wall clock."""

    outcome: Outcome
    reason: str | None
    evaluated_runs: int
    skipped_runs: int
    findings: int
    seconds: float = 0.0


def run_rules(
    con: duckdb.DuckDBPyConnection,
    rules: Sequence[Rule],
    *,
    everything: bool,
    tunings: Tunings | None = None,
    limits: Limits | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Evaluate every rule and fill `rule_param`, `finding`, `witness` and `rule`.

    `everything` says that no rule was left out by the user; a rule that reads the findings of all others cannot
    be evaluated otherwise. The rules are tuned already; of `tunings` only parameters of some workflows are new.
    `limits` are those of each custom rule. `progress` is told how many rules are evaluated, of how many.
    """
    _store_params(con, rules, tunings or Tunings())
    con.execute(f"CREATE SCHEMA {_FOUND}")
    runs = _Runs.of(con)
    done = 0
    custom = _asked(con, [rule for rule in rules if rule.origin is not None], runs, limits or Limits())
    for reads_findings in (False, True):
        chosen = [rule for rule in rules if rule.reads_findings is reads_findings]
        if reads_findings and not everything:
            rows = [_row(rule, _left_out(runs)) for rule in chosen]
        else:
            rows = []
            for rule, result in zip(chosen, _evaluated(con, chosen, runs, custom), strict=True):
                done += 1
                if progress is not None:
                    progress(done, len(rules))
                if result.findings:
                    _store(con, rule)
                rows.append(_row(rule, result))
        if rows:
            insert(con, "rule", pa.Table.from_pylist(rows))


def _store_params(con: duckdb.DuckDBPyConnection, rules: Sequence[Rule], tunings: Tunings) -> None:
    for rule in rules:
        for param in rule.params:
            con.execute("INSERT INTO rule_param VALUES (?, ?, NULL, ?)", [rule.id, param.name, param.default])
    for id, name, pattern, value in tunings.params_of_workflows():
        con.execute(
            r"""
            DELETE FROM rule_param WHERE rule = $rule AND name = $name AND workflow LIKE $pattern ESCAPE '\';
            """,
            {"rule": id, "name": name, "pattern": pattern},
        )
        con.execute(
            r"""
            INSERT INTO rule_param
            SELECT DISTINCT $rule, $name, workflow, $value::DOUBLE FROM run
            WHERE workflow LIKE $pattern ESCAPE '\'
            """,
            {"rule": id, "name": name, "pattern": pattern, "value": value},
        )


def _evaluated(
    con: duckdb.DuckDBPyConnection, rules: Sequence[Rule], runs: _Runs, custom: Mapping[str, Result]
) -> Iterator[Result]:
    """The results of the rules, in their order; while one is planned, on one core, another one runs."""
    own = threading.local()

    def evaluate(rule: Rule) -> Result:
        if rule.id in custom:
            return custom[rule.id]
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

    def all_have(self, needs: Sequence[Capability]) -> bool:
        return self.having(needs) == self.having([])

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
    if not _may_find(rule, runs):
        return _held(rule, runs)
    sql, _ = findings_query(rule, all_runs=runs.all_have(rule.needs))
    try:
        found = int(con.execute(f"CREATE TABLE {_found(rule)} AS {sql}").fetchall()[0][0])
    except REFUSED as error:
        return _failed(runs, str(error).splitlines()[0])
    proven = "coalesce(len(witness), 0) > 0 AND because IS NOT NULL"
    if found and scalar(con, f"SELECT count(*) FROM {_found(rule)} WHERE NOT ({proven})"):
        return _failed(runs, "it gave a finding without a witness")
    return _with_findings(_held(rule, runs), found)


def _asked(
    con: duckdb.DuckDBPyConnection, rules: Sequence[Rule], runs: _Runs, limits: Limits
) -> dict[str, Result]:
    """The results of the rules of a user, by id. None of their SQL is evaluated in this process."""
    results = {rule.id: _held(rule, runs) for rule in rules}
    asked = [(rule, runs.all_have(rule.needs)) for rule in rules if _may_find(rule, runs)]
    if not asked:
        return results
    with released(con) as path, closing(ask(path, asked, limits)) as answers:
        for rule, answer in answers:
            if answer.findings is None:
                result = _failed(runs, answer.reason)
            else:
                create(con, _found(rule), answer.findings)
                result = _with_findings(results[rule.id], answer.findings.num_rows)
            results[rule.id] = replace(result, seconds=answer.seconds)
    for rule, _ in asked:
        if results[rule.id].findings and (reason := forged(con, _found(rule))):
            results[rule.id] = replace(_failed(runs, reason), seconds=results[rule.id].seconds)
    return results


def _may_find(rule: Rule, runs: _Runs) -> bool:
    return bool(runs.having(rule.needs)) and runs.hold_any_of(rule.only_with)


def _held(rule: Rule, runs: _Runs) -> Result:
    """What is to be said of a rule that finds nothing."""
    evaluated = runs.having(rule.needs)
    skipped = runs.having([]) - evaluated
    reason = runs.why_not(rule.needs) if skipped or not evaluated else None
    return Result(Outcome.HELD if evaluated else Outcome.NOT_EVALUATED, reason, evaluated, skipped, 0)


def _failed(runs: _Runs, reason: str | None) -> Result:
    return Result(Outcome.FAILED, reason, 0, runs.having([]), 0)


def _with_findings(held: Result, found: int) -> Result:
    return replace(held, outcome=Outcome.FOUND, findings=found) if found else held


def _store(con: duckdb.DuckDBPyConnection, rule: Rule) -> None:
    """Number what a rule found, in an order that depends on the log alone, and keep it."""
    first = int(scalar(con, "SELECT coalesce(max(finding_no), 0) FROM finding"))
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
        );

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
        "origin": rule.origin,
        "rule_group": rule.group,
        "rule_severity": rule.worst.value,
        "rule_confidence": rule.confidence.value,
        "about": rule.about,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "evaluated_runs": result.evaluated_runs,
        "skipped_runs": result.skipped_runs,
        "findings": result.findings,
        "seconds": result.seconds,
        "document": rule.document,
    }

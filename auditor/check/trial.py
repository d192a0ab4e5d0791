"""For somebody who has an audit before them: which rules there are, what one would find, what SQL gives."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from auditor.check.catalogue import load
from auditor.check.custom import forged, query_of
from auditor.check.header import Rule
from auditor.check.sandbox import Limits, Rows, evaluate, select
from auditor.database import saved_audit
from auditor.errors import RuleFileError, UsageError

_OUTPUT = 32 * 1024**2
_FOUND = "tried"


@dataclass(frozen=True, slots=True)
class Trial:
    """What a rule would have found in an audit.

    `reason` says why it fails, and `line`, if it is known, which line of its text is at fault. Of `findings`
    (run_id, severity, because, witness) there are the first ones only; `found` is how many there are. On
    `skipped_runs` it was not evaluated, for want of what it needs.
    """

    rule: Rule
    findings: list[dict[str, Any]]
    found: int
    skipped_runs: int
    seconds: float
    reason: str | None = None
    line: int | None = None


def rules(folders: Sequence[str | Path] = ()) -> list[Rule]:
    """Every rule, ours and those in the folders of a user, by id.

    Raises UsageError for a folder without rules, RuleFileError for a rule that is malformed.
    """
    return list(load([Path(folder) for folder in folders]).values())


def read_rule(text: str, group: str, rule_id: str) -> Rule:
    """The rule that a file <group>/<rule_id>.sql with this text is. Raises RuleFileError, which names the line."""
    for word in (group, rule_id):
        if Path(word).name != word or word in ("", "..") or "\0" in word:
            raise RuleFileError("rule", f"{word!r} is not kebab-case")
    with tempfile.TemporaryDirectory(prefix="auditor-") as scratch:
        path = Path(scratch) / group / f"{rule_id}.sql"
        path.parent.mkdir()
        path.write_text(text, "utf-8", newline="\n")
        try:
            return load([Path(scratch)])[rule_id]
        except RuleFileError as error:
            raise RuleFileError(f"{group}/{rule_id}.sql", error.problem, error.line) from None


def try_rule(
    audit_file: str | Path, text: str, group: str, rule_id: str, *, seconds: float = 30.0, most: int = 100
) -> Trial:
    """Evaluate a rule on a finished audit, in the sandbox; the audit stays as it is.

    At most so many findings are shown. Raises RuleFileError if the text is no rule, InputError if the file is no
    audit.
    """
    rule = read_rule(text, group, rule_id)
    limits = Limits(seconds=seconds)
    with saved_audit(Path(audit_file)) as con:
        skipped = con.execute(
            "SELECT count(*) FROM run WHERE NOT list_has_all(capabilities, ?::VARCHAR[])",
            [[need.value for need in rule.needs]],
        ).fetchall()[0][0]
        # The audit was made without this rule: it does not have its parameters.
        params = tuple((rule.id, param.name, param.default) for param in rule.params)
        asked = replace(query_of(rule, all_runs=not skipped, most=limits.findings + 1), params=params)
        (answer,) = evaluate(Path(audit_file), [asked], limits)
        if answer.findings is None:
            line = rule.select_line + answer.line - 1 if answer.line is not None else None
            return Trial(rule, [], 0, skipped, answer.seconds, answer.reason, line)
        con.register(_FOUND, answer.findings)
        if (problem := forged(con, _FOUND)) is not None:
            return Trial(rule, [], 0, skipped, answer.seconds, problem)
        return Trial(rule, _shown(con, most), answer.findings.num_rows, skipped, answer.seconds)


def _shown(con: duckdb.DuckDBPyConnection, most: int) -> list[dict[str, Any]]:
    cursor = con.execute(
        f"""
        WITH shown AS (SELECT row_number() OVER () AS n, * FROM {_FOUND} LIMIT {most}),
        proof AS (
            SELECT n, unnest(witness) AS w, generate_subscripts(witness, 1) AS place FROM shown
        ),
        told AS (
            SELECT
                n,
                list(
                    w.role || ': ' || CASE
                        WHEN w.record = 'event' THEN format('#{{}} {{}}', log."position", log.event_type)
                        ELSE w.record || ' ' || w.no
                    END ORDER BY place
                ) AS witness
            FROM proof LEFT JOIN log ON w.record = 'event' AND log.event_no = w.no
            GROUP BY n
        )
        SELECT run_id, severity, because, told.witness FROM shown JOIN told USING (n) ORDER BY n
        """
    )
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def query(audit_file: str | Path, sql: str, *, seconds: float = 10.0, most: int = 10_000) -> Rows:
    """What one SELECT gives on a finished audit, in the sandbox, at most so many rows.

    Raises QueryFailed if it cannot be answered, or is anything but one SELECT.
    """
    if not sql.strip():
        raise UsageError("there is no SELECT")
    return select(Path(audit_file), sql, Limits(seconds=seconds, output=_OUTPUT, gives="rows"), most)

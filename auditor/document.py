"""`auditor.report/v1`: the whole of an audit as one JSON document; every other report is made from it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import duckdb

from auditor.model.judgement import FindingState, Severity, Verdict

REPORT_SCHEMA = "auditor.report/v1"


def build(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Read the report out of an audit file. Every key is always present; order depends on the log alone."""
    meta = dict(con.execute("SELECT key, value FROM meta").fetchall())
    return {
        "schema": REPORT_SCHEMA,
        "audit": {
            "id": meta["audit"],
            "auditor": meta["auditor"],
            "now": _newest(con),
            "now_source": "--now" if "now" in meta else "each log's own export time, else its newest event",
            "fail_on": meta["fail_on"],
            "config": meta.get("config"),
            "overrides": json.loads(meta["overrides"]),
            "unmatched_workflows": json.loads(meta["unmatched_workflows"]),
            "not_selected": _not_selected(meta),
        },
        "inputs": _rows(
            con,
            """
            SELECT path, format, events, entities, refusals, rejects, merged, skipped, problem
            FROM input ORDER BY input_id
            """,
        ),
        "capabilities": _rows(con, "SELECT name, runs, all_runs FROM capability ORDER BY name"),
        "verdict": meta["verdict"],
        "exit_code": int(meta["exit_code"]),
        "exit_because": meta["exit_because"],
        "counts": _counts(con),
        "fence_coverage": _rows(con, "SELECT * FROM fence_coverage ORDER BY event_type"),
        "rules": _rows(
            con,
            """
            SELECT
                rule AS id, version, title, origin, about, outcome, reason, evaluated_runs, skipped_runs, findings
            FROM rule ORDER BY id
            """,
        ),
        "runs": _runs(con),
        "causes": _causes(con),
        "findings": _findings(con),
        "suppressions": _suppressions(con),
        "baseline": _baseline(con, meta),
        "rejects": _rows(
            con,
            """
            SELECT name AS source, line, run_id, reason
            FROM reject JOIN source USING (source_id)
            ORDER BY source, line, reason
            """,
        ),
    }


def _newest(con: duckdb.DuckDBPyConnection) -> str | None:
    """The latest reference time of any run, ISO 8601."""
    (newest,) = con.execute(f"SELECT {_iso('max(now)')} FROM run").fetchall()[0]
    return str(newest) if newest is not None else None


def _not_selected(meta: dict[str, str]) -> list[str]:
    return [name for name in meta["not_selected"].split(",") if name]


def _counts(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    totals = _rows(
        con,
        """
        SELECT
            (SELECT count(*) FROM run) AS runs,
            (SELECT count(*) FROM event) AS events,
            (SELECT count(*) FROM entity_row) AS entities,
            (SELECT count(*) FROM refusal) AS refusals,
            (SELECT count(*) FROM reject) AS rejects
        """,
    )[0]
    verdicts = dict(con.execute("SELECT log_verdict, count(*) FROM verdict GROUP BY ALL").fetchall())
    found = con.execute("SELECT severity, state, count(*) FROM finding GROUP BY ALL").fetchall()
    standing, new, states = Counter[str](), Counter[str](), Counter[str]()
    for severity, state, number in found:
        states[state] += number
        if state != FindingState.FOLDED:
            standing[severity] += number
        if state == FindingState.NEW:
            new[severity] += number
    return {
        **totals,
        "verdicts": {verdict.value: verdicts.get(verdict, 0) for verdict in Verdict},
        "findings": {severity.value: standing[severity] for severity in Severity},
        "new": {severity.value: new[severity] for severity in Severity},
        "states": {state.value: states[state] for state in FindingState},
    }


def _runs(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    return _rows(
        con,
        """
        SELECT
            run.run_id, workflow, status, spec_version, core_version, run.events,
            log_verdict, runtime_verdict, reason,
            coalesce(instances, []) AS findings
        FROM run
        JOIN verdict USING (run_id)
        LEFT JOIN (
            SELECT run_id, list(instance ORDER BY finding_no) AS instances
            FROM finding
            WHERE kept
            GROUP BY run_id
        ) USING (run_id)
        ORDER BY run.run_id
        """,
    )


def _causes(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    return _rows(
        con,
        f"""
        SELECT
            cause.rule, cause.severity, cause.confidence, diagnosis, workflows, cause.findings, runs, all_runs,
            consequences, {_iso("first_at")} AS first_at, {_iso("last_at")} AS last_at, writers, patterns,
            {{'run_id': run_id, 'instance': instance}} AS example
        FROM cause JOIN finding ON finding_no = example
        ORDER BY cause.cause_no
        """,
    )


def _iso(column: str) -> str:
    return f"strftime({column}, '%Y-%m-%dT%H:%M:%S.%gZ')"


def _findings(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    found = _rows(
        con,
        """
        SELECT
            finding.finding_no, finding.rule, finding.severity, finding.confidence, finding.run_id,
            finding.because,
            {'instance': finding.instance, 'pattern': finding.pattern} AS fingerprint,
            root.instance AS folded_under, finding.state,
            CASE finding.state WHEN 'suppressed' THEN finding.suppression_no END AS suppressed_by
        FROM finding
        LEFT JOIN finding AS root ON root.finding_no = finding.folded_under
        WHERE finding.kept
        ORDER BY
            array_position(['error', 'warning', 'info'], finding.severity), finding.rule,
            finding.run_id NULLS FIRST, finding.place, finding.instance
        """,
    )
    witnesses: dict[int, list[dict[str, Any]]] = {}
    for row in _rows(
        con,
        """
        SELECT
            finding_no, role, record, run_id, event_id, event_type, correlation_id, entity,
            "position", input, source, line
        FROM witness_detail ORDER BY finding_no, place_in_proof
        """,
    ):
        witnesses.setdefault(row.pop("finding_no"), []).append(row)
    for finding in found:
        finding["witness"] = witnesses.get(finding.pop("finding_no"), [])
    return found


def _suppressions(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    return _rows(
        con,
        """
        SELECT
            rule, reason, run, workflow, event, instance, pattern, CAST(expires AS VARCHAR) AS expires,
            decided_by AS by, state, findings
        FROM suppression ORDER BY suppression_no
        """,
    )


def _baseline(con: duckdb.DuckDBPyConnection, meta: dict[str, str]) -> dict[str, Any] | None:
    if "baseline" not in meta:
        return None
    new, known = con.execute(
        "SELECT count(*) FILTER (state = 'new'), count(*) FILTER (state = 'known') FROM finding"
    ).fetchall()[0]
    return {
        "path": meta["baseline"],
        "by": meta["baseline_by"],
        "new": new,
        "known": known,
        "resolved": _missing(con, "rule IN (SELECT rule FROM rule WHERE outcome IN ('held', 'found'))"),
        "gone": _missing(
            con, "rule NOT IN (SELECT rule FROM rule) AND NOT list_contains(?, rule)", _not_selected(meta)
        ),
    }


def _missing(con: duckdb.DuckDBPyConnection, where: str, *parameters: object) -> list[dict[str, Any]]:
    """The entries of the baseline that know more findings than there are."""
    return _rows(
        con,
        f"""
        SELECT rule, fingerprint, ceiling - found AS missing, workflow, message
        FROM baseline
        WHERE found < ceiling AND {where}
        ORDER BY rule, fingerprint
        """,
        *parameters,
    )


def _rows(con: duckdb.DuckDBPyConnection, sql: str, *parameters: object) -> list[dict[str, Any]]:
    cursor = con.execute(sql, parameters)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

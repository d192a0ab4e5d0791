"""An audit at a glance: aggregates only, so that a million events are no matter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from ..triage import STILL_OPEN
from .rows import rows
from .times import EARLIEST, LATEST, in_words

_MOST_BUCKETS = 48
_WIDTHS = (
    dt.timedelta(seconds=1),
    dt.timedelta(seconds=10),
    dt.timedelta(minutes=1),
    dt.timedelta(minutes=10),
    dt.timedelta(hours=1),
    dt.timedelta(hours=6),
    dt.timedelta(days=1),
    dt.timedelta(days=7),
    dt.timedelta(days=30),
)


@dataclass(frozen=True, slots=True)
class Decided:
    """Patterns that somebody has decided about: dealt with, or open all the same."""

    closed: tuple[str, ...]
    reopened: tuple[str, ...]

    @classmethod
    def of(cls, standings: Mapping[str, str]) -> Decided:
        """From what the decisions make of each pattern."""
        reopened = tuple(pattern for pattern, said in standings.items() if said in STILL_OPEN)
        return cls(tuple(pattern for pattern in standings if pattern not in reopened), reopened)


_OPEN = """
    WITH open AS (
        SELECT *
        FROM finding
        WHERE (state = 'new' AND NOT list_contains($closed::VARCHAR[], pattern))
            OR (state = 'known' AND list_contains($reopened::VARCHAR[], pattern))
    )
"""


@dataclass(frozen=True, slots=True)
class OverTime:
    """Open findings by the time of their last witness and severity.

    A bucket: when it begins (`start`, a text) and its `middle`, `severity`, `findings`, `width_ms`. Of all the
    `findings` that are open, `timed` have a witness with a time that was kept, and the buckets hold `drawn`:
    a time before EARLIEST or after LATEST is left out.
    """

    buckets: tuple[dict[str, Any], ...]
    findings: int
    timed: int
    drawn: int


_MOMENTS = f"""{_OPEN},
    moment AS (
        SELECT finding_no, created_at AS seen_at FROM witness JOIN event_core ON record = 'event' AND event_no = no
        UNION ALL
        SELECT finding_no, refused_at FROM witness JOIN refusal ON record = 'refusal' AND refusal_no = no
    ),
    seen AS (
        SELECT severity, max(seen_at) AS seen_at FROM moment JOIN open USING (finding_no)
        GROUP BY finding_no, severity HAVING max(seen_at) IS NOT NULL
    ),
    drawn AS (SELECT * FROM seen WHERE seen_at BETWEEN $earliest AND $latest)
"""


def facts(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """What the audit comes to: `verdict`, `exit_code`, `exit_because`, `events`, `runs`, and their `verdicts`."""
    meta = dict(con.execute("SELECT key, value FROM meta").fetchall())
    verdicts = dict(con.execute("SELECT log_verdict, count(*) FROM verdict GROUP BY ALL").fetchall())
    (events,) = con.execute("SELECT count(*) FROM event_core").fetchall()[0]
    return {
        "verdict": meta["verdict"],
        "exit_code": int(meta["exit_code"]),
        "exit_because": meta["exit_because"],
        "events": events,
        "runs": sum(verdicts.values()),
        "verdicts": verdicts,
    }


def fences(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Decision writes of the runs whose log records fences: `writes`, `fenced`; and how many `runs` these are."""
    return rows(
        con,
        """
        SELECT
            coalesce(sum(writes), 0)::BIGINT AS writes, coalesce(sum(fenced), 0)::BIGINT AS fenced,
            coalesce((SELECT runs FROM capability WHERE name = 'fences'), 0) AS runs
        FROM fence_coverage
        """,
    )[0]


def by_rule(con: duckdb.DuckDBPyConnection, decided: Decided) -> list[dict[str, Any]]:
    """Open findings by rule and severity: the rules with the gravest first, then those with most."""
    return rows(
        con,
        f"""{_OPEN},
        ranked AS (
            SELECT
                rule, min(array_position(['error', 'warning', 'info'], severity)) AS gravity, count(*) AS total
            FROM open GROUP BY rule
        )
        SELECT rule, severity, count(*) AS findings, count(DISTINCT run_id) AS runs
        FROM open JOIN ranked USING (rule)
        GROUP BY rule, severity, gravity, total
        ORDER BY gravity, total DESC, rule, array_position(['error', 'warning', 'info'], severity)
        """,
        _values(decided),
    )


def over_time(con: duckdb.DuckDBPyConnection, decided: Decided) -> OverTime:
    """Open findings by time, in at most some fifty stretches of it."""
    values = {**_values(decided), "earliest": EARLIEST, "latest": LATEST}
    findings, timed, drawn, first, last = con.execute(
        f"""{_MOMENTS}
        SELECT
            (SELECT count(*) FROM open), (SELECT count(*) FROM seen), count(*), min(seen_at), max(seen_at)
        FROM drawn
        """,
        values,
    ).fetchall()[0]
    if not drawn:
        return OverTime((), findings, timed, 0)
    width = next((width for width in _WIDTHS if (last - first) / width <= _MOST_BUCKETS), (last - first) / 12)
    buckets = rows(
        con,
        f"""{_MOMENTS},
        bucket AS (
            SELECT
                time_bucket($width, seen_at, TIMESTAMP '2000-01-03') AS start, severity, count(*) AS findings
            FROM drawn GROUP BY ALL
        )
        SELECT
            {in_words("start")} AS start, {in_words("least(start + $half, $latest)")} AS middle,
            severity, findings, epoch_ms($width) AS width_ms
        FROM bucket ORDER BY bucket.start, severity
        """,
        {**values, "width": width, "half": width / 2},
    )
    return OverTime(tuple(buckets), findings, timed, drawn)


def causes(con: duckdb.DuckDBPyConnection, decided: Decided, limit: int) -> tuple[int, list[dict[str, Any]]]:
    """How many bugs have an open finding; and the gravest of them."""
    return _counted(
        con,
        f"""{_OPEN}
        SELECT
            cause.severity, diagnosis, cause.findings, runs, all_runs, workflows, cause.rule, patterns,
            example.instance, count(*) OVER () AS total
        FROM cause JOIN finding AS example ON example.finding_no = cause.example
        WHERE list_has_any(patterns, (SELECT coalesce(list(DISTINCT pattern), []) FROM open))
        ORDER BY cause.cause_no
        LIMIT $limit
        """,
        {**_values(decided), "limit": limit},
    )


def worst_runs(con: duckdb.DuckDBPyConnection, decided: Decided, limit: int) -> tuple[int, list[dict[str, Any]]]:
    """How many runs have an open finding; and those with most errors, then warnings."""
    return _counted(
        con,
        f"""{_OPEN}
        SELECT
            run_id, workflow, log_verdict AS verdict,
            count(*) FILTER (severity = 'error') AS errors,
            count(*) FILTER (severity = 'warning') AS warnings,
            count(*) AS findings,
            list_sort(list(DISTINCT rule)) AS rules,
            {in_words("last_created_at")} AS last_at,
            count(*) OVER () AS total
        FROM open JOIN run USING (run_id) JOIN verdict USING (run_id)
        GROUP BY run_id, workflow, log_verdict, last_created_at
        ORDER BY errors DESC, warnings DESC, findings DESC, run_id
        LIMIT $limit
        """,
        {**_values(decided), "limit": limit},
    )


def unchecked(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """What could not be checked: `what`, `why`, and `number` of `things`; the gravest first."""
    return rows(
        con,
        """
        SELECT what, why, number, things FROM (
            SELECT 1 AS place, 'An input could not be read, or not to its end' AS what,
                path || ': ' || problem AS why, 1 AS number, path AS things
            FROM input WHERE problem IS NOT NULL
            UNION ALL
            SELECT 2, 'Runs could not be judged', reason, count(*), first(run_id ORDER BY run_id)
            FROM verdict WHERE log_verdict = 'cannot_tell' GROUP BY reason
            UNION ALL
            SELECT 3, 'A rule failed', reason, 1, rule FROM rule WHERE outcome = 'failed'
            UNION ALL
            SELECT 4, 'Rows could not be read', reject.reason, count(*),
                'first in ' || first(source.name || coalesce(':' || line, '') ORDER BY source.name, line)
            FROM reject JOIN source USING (source_id) GROUP BY reject.reason
            UNION ALL
            SELECT 5, 'A file may hold only a part', cut, count(*), first(name ORDER BY name)
            FROM source WHERE cut IS NOT NULL GROUP BY cut
            UNION ALL
            SELECT 6, 'Rules were not evaluated', coalesce(reason, 'no run was there'), count(*),
                string_agg(rule, ', ' ORDER BY rule)
            FROM rule WHERE outcome = 'not_evaluated' GROUP BY reason
            UNION ALL
            SELECT 7, 'Rules were evaluated on some runs only', reason, count(*),
                string_agg(rule, ', ' ORDER BY rule)
            FROM rule WHERE outcome IN ('held', 'found') AND skipped_runs > 0 GROUP BY reason
            UNION ALL
            SELECT 8, 'Rules were left out', 'whoever made the audit left them out',
                len(string_split(value, ',')), replace(value, ',', ', ')
            FROM meta WHERE key = 'not_selected' AND value <> ''
        )
        ORDER BY place, number DESC, why
        """,
    )


def capabilities(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """What the logs record: how many runs have each capability."""
    return rows(con, "SELECT name, runs, all_runs FROM capability ORDER BY name")


def _counted(con: duckdb.DuckDBPyConnection, sql: str, values: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """How many rows there are (`total`, the same in each), and those that the limit leaves."""
    found = rows(con, sql, values)
    return (int(found[0]["total"]) if found else 0), found


def _values(decided: Decided) -> dict[str, Any]:
    return {"closed": list(decided.closed), "reopened": list(decided.reopened)}

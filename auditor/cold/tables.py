"""Cold replay inside an audit: from its log to its tables `replayed` and `replayed_line`, and the exit code.

The log is read run by run, in its order; what is kept of a run is its outcome.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from auditor.cold.history import not_replayed, replay_history
from auditor.cold.outcome import Replayed
from auditor.database import beside, insert, scalar
from auditor.model.judgement import Capability, ExitCode, ReplayOutcome
from auditor.model.rows import Event
from auditor.runtime.registry import Workflow

AT_ONCE = 1_000
"""Events that are fetched, and outcomes that are stored, at a time."""

NAMED = 5
"""Workflows of a log that are named where none of them was asked for."""

_NO = dict.fromkeys(Event._fields)
_PLAIN = {"step_name": "stepName", "error_code": "errorCode", "conflicting_run_id": "conflictingRunId"}
"""What a replay reads of an event beside its payload: the column, and its key in the event's data."""

_EVENTS = """
SELECT
    log.run_id, run.workflow, log.event_no, log."position", log.event_id, log.event_type, log.correlation_id,
    epoch_ms(log.created_at) AS created_at,
    event.step_name, event.error_code, event.conflicting_run_id,
    event.payload, event.payload_encrypted, event.data_sha256
FROM log
JOIN event ON event.event_no = log.event_no
JOIN run ON run.run_id = log.run_id
WHERE list_contains(?, run.workflow) AND run.gap IS NULL AND NOT run.unordered
ORDER BY log.run_id, log."position"
"""
_UNREADABLE = """
SELECT run_id, workflow, coalesce('its history is incomplete: ' || gap, 'its events have no known order')
FROM run
WHERE list_contains(?, workflow) AND (gap IS NOT NULL OR unordered)
ORDER BY run_id
"""
_REPLAYED = pa.schema(
    {
        "run_id": pa.string(),
        "workflow": pa.string(),
        "outcome": pa.string(),
        "reason": pa.string(),
        "event_no": pa.int64(),
        "position": pa.int64(),
        **dict.fromkeys(("expected", "actual", "expected_name", "actual_name"), pa.string()),
    }
)
_LINE = pa.schema(
    {"run_id": pa.string(), "side": pa.string(), "line": pa.int32(), "text": pa.string(), "marked": pa.bool_()}
)


class _Row(NamedTuple):
    """An event of the audit, as _EVENTS selects it."""

    run_id: str
    workflow: str
    event_no: int
    position: int
    event_id: str
    event_type: str
    correlation_id: str | None
    created_at: int | None
    step_name: str | None
    error_code: str | None
    conflicting_run_id: str | None
    payload: str | None
    payload_encrypted: bool
    data_sha256: str | None


def replay_runs(con: duckdb.DuckDBPyConnection, workflows: Mapping[str, Workflow]) -> None:
    """Replay the runs of these workflows, by the names in the log, and fill the tables of the audit.

    A run that was replayed has the capability `replay` from then on.
    """
    outcomes = iter(_outcomes(con, workflows))
    while batch := list(islice(outcomes, AT_ONCE)):
        insert(con, "replayed", pa.Table.from_pylist([_outcome_row(*one) for one in batch], _REPLAYED))
        lines = [row for one, _ in batch for row in _line_rows(one)]
        insert(con, "replayed_line", pa.Table.from_pylist(lines, _LINE))
    con.execute(
        """
        UPDATE run SET capabilities = list_sort(list_append(capabilities, ?))
        WHERE run_id IN (SELECT run_id FROM replayed WHERE outcome <> ?)
        """,
        [Capability.REPLAY.value, ReplayOutcome.NOT_REPLAYED.value],
    ).fetchall()


def decide(con: duckdb.DuckDBPyConnection) -> tuple[ExitCode, str]:
    """The exit code of a cold replay and the fact that decided it. Runs of other workflows do not count."""
    counts = dict(con.execute("SELECT outcome, count(*) FROM replayed GROUP BY outcome").fetchall())
    other = counts.get(ReplayOutcome.DIVERGED, 0) + counts.get(ReplayOutcome.OTHER_TERMINAL, 0)
    if other:
        return ExitCode.FOUND, f"the code does not reproduce {_runs(other)} of {sum(counts.values()):,}"
    doubts = [
        ("input WHERE problem IS NOT NULL", "some input could not be read"),
        ("rule WHERE outcome = 'failed'", "a rule failed"),
        ("reject", "some rows could not be read"),
    ]
    if number := counts.get(ReplayOutcome.NOT_REPLAYED, 0):
        return ExitCode.CANNOT_TELL, f"{_runs(number)} could not be replayed"
    for rows, doubt in doubts:
        if scalar(con, f"SELECT count(*) FROM {rows}"):
            return ExitCode.CANNOT_TELL, doubt
    if not counts:
        return ExitCode.CANNOT_TELL, _nothing(con)
    return ExitCode.CLEAN, f"the code reproduces {_runs(counts[ReplayOutcome.REPRODUCED])}"


def _runs(number: int) -> str:
    return f"{number:,} {'run' if number == 1 else 'runs'}"


def _nothing(con: duckdb.DuckDBPyConnection) -> str:
    """Why no run was replayed, and what could have been asked for."""
    rows = con.execute(
        "SELECT coalesce(workflow, '(unknown)') AS name, count(*) AS runs FROM run GROUP BY name "
        "ORDER BY runs DESC, name"
    ).fetchall()
    if not rows:
        return "no run was read"
    there = [f"{name} ({_runs(number)})" for name, number in rows[:NAMED]]
    more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
    return f"no run is of a workflow that was named; the log holds {', '.join(there)}{more}"


def _outcomes(
    con: duckdb.DuckDBPyConnection, workflows: Mapping[str, Workflow]
) -> Iterator[tuple[Replayed, int | None]]:
    """Every run of these workflows: what became of it, and the event in question."""
    names = list(workflows)
    for run_id, workflow, reason in con.execute(_UNREADABLE, [names]).fetchall():
        yield not_replayed(run_id, workflow, reason), None
    for rows in _histories(con, names):
        replayed = _replayed(workflows[rows[0].workflow], rows)
        numbers = {row.position: row.event_no for row in rows}
        yield replayed, None if replayed.position is None else numbers[replayed.position]


def _histories(con: duckdb.DuckDBPyConnection, names: list[str]) -> Iterator[list[_Row]]:
    # A connection of its own: outcomes are stored while the log is still being read.
    cursor = beside(con).execute(_EVENTS, [names])
    for _, rows in groupby(_fetched(cursor), key=lambda row: row.run_id):
        yield list(rows)


def _fetched(cursor: duckdb.DuckDBPyConnection) -> Iterator[_Row]:
    while rows := cursor.fetchmany(AT_ONCE):
        yield from map(_Row._make, rows)


def _replayed(workflow: Workflow, rows: list[_Row]) -> Replayed:
    run_id = rows[0].run_id
    if any(row.payload_encrypted for row in rows):
        return not_replayed(run_id, workflow.name, "its payloads are encrypted")
    if any(row.created_at is None for row in rows):
        return not_replayed(run_id, workflow.name, "it has an event without a time")
    return replay_history(workflow, _events(rows))


def _events(rows: Iterable[_Row]) -> Iterator[Event]:
    """The events as a world gives them; what a replay has no use for is empty."""
    for row in rows:
        fields: dict[str, Any] = {**_NO, **{name: getattr(row, name) for name in row._fields if name in _NO}}
        plain = {key: value for column, key in _PLAIN.items() if (value := getattr(row, column)) is not None}
        payload = json.loads(row.payload) if row.payload is not None else {}
        yield Event(**{**fields, "data": json.dumps({**plain, **payload})})


def _outcome_row(replayed: Replayed, event_no: int | None) -> dict[str, Any]:
    row = {name: getattr(replayed, name, None) for name in _REPLAYED.names}
    return {**row, "outcome": replayed.outcome.value, "event_no": event_no}


def _line_rows(replayed: Replayed) -> Iterator[dict[str, Any]]:
    for side, lines in (("log", replayed.log), ("code", replayed.code)):
        for number, line in enumerate(lines, start=1):
            yield {
                "run_id": replayed.run_id,
                "side": side,
                "line": number,
                "text": line.text,
                "marked": line.marked,
            }

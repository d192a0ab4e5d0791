"""Is a world what it wrote? Every log is examined, and every row is compared with what its log comes to.

It shows an event that is missing inside a log, or at its end while the run's row still counts it; one that was
edited, or whose data was; one that was written past its fence, or that no world takes where it stands; a row of a
run, step, wait or hook that says something else than the log; and an open run that nothing will ever wake. With a
log that is not whole, or was edited, no rows are compared: they would only say so again.

It does not show what somebody did who computes the chain anew: who rewrites a log from some event on, or removes
its tail and puts the rows back to match, leaves a world without a fault. Against that, keep the hash of a run
somewhere else (`auditor world runs --json` has it) and pass it as `expect`: the log must still hold it. A run that
is gone as a whole is not missed either, unless its hash is expected.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from auditor.model.rows import NONE, Entity, Event, Run
from auditor.world.dumping import dumped, must_have_run
from auditor.world.entities import Key
from auditor.world.examine import Examination, Fault, FaultKind, Report
from auditor.world.folding import Fold
from auditor.world.protocol import StoredMessage, World

MAX_FAULTS = 10_000
"""Faults that are kept; of those beyond only the number is known."""

_RUN_COLUMNS = (
    "status",
    "created_at",
    "updated_at",
    "started_at",
    "completed_at",
    "spec_version",
    "marker",
    "error_code",
    "workflow_name",
    "deployment_id",
    "core_version",
)
_ENTITY_COLUMNS = Entity._fields[3:]
_FROM_DATA = {
    "error_code",
    "workflow_name",
    "deployment_id",
    "core_version",
    "resume_at",
    "retry_after",
    "step_name",
    "token",
    "token_retention_until",
}
"""Columns that say what stood in the data of an event; nobody can say what they should be once it was redacted."""


@dataclass(slots=True)
class Verification:
    """What was verified, and every fault of it.

    `more`: faults beyond those in `faults`. `kept`: the position at which a run's log holds its expected hash.
    """

    runs: int = 0
    events: int = 0
    faults: list[Fault] = field(default_factory=list)
    more: int = 0
    kept: dict[str, int] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """No fault was found. What that does not prove stands at the top of `auditor.world.verify`."""
        return not self.faults

    def report(self, run_id: str) -> Report:
        """Where the faults of one run go."""

        def report(kind: FaultKind, position: int | None, because: str) -> None:
            if len(self.faults) < MAX_FAULTS:
                self.faults.append(Fault(run_id, position, kind, because))
            else:
                self.more += 1

        return report


async def verify(
    world: World,
    expect: Mapping[str, str] | None = None,
    *,
    run_id: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Verify all runs of a world as of one moment, or one run.

    `expect` holds, by run id, hashes that were kept elsewhere; each must be that of an event of its run.
    `progress` is told how many events were read, and how many there are. In memory are the entities of one run at
    a time; the rows of all others wait in a temporary file. Raises NotFound if there is no run `run_id`.
    """
    if run_id is not None:
        await must_have_run(world, run_id)
    found = Verification()
    with closing(_Rows()) as rows:
        logs = _Logs(found, rows, dict(expect or {}))
        async with dumped(world, (*_KEPT, "event"), run_id) as batches:
            async for table, batch in batches:
                if table in _KEPT:
                    rows.keep(table, batch)
                    continue
                for row in batch:
                    logs.take(Event._make(row))
                if progress is not None:
                    progress(found.events, rows.events)
        logs.finish()
    return found


_KEPT: dict[str, type[tuple[Any, ...]]] = {"run": Run, "entity": Entity, "message": StoredMessage}
"""Rows that wait until the log of their run comes by."""


class _OfRun(NamedTuple):
    """The rows of one run beside its events; `states` are those of its messages."""

    run: Run | None
    entities: dict[Key, Entity]
    states: set[str]


class _Rows:
    """The rows beside the events, in a temporary file of their own."""

    def __init__(self) -> None:
        self._con = sqlite3.connect("", isolation_level=None)
        self.events = 0
        """How many events the rows of the runs count."""
        for table, row in _KEPT.items():
            columns = ", ".join(f'"{name}"' for name in row._fields)  # type: ignore[attr-defined]
            self._con.execute(f"CREATE TABLE {table} ({columns})")
            self._con.execute(f"CREATE INDEX {table}_of_run ON {table} (run_id)")

    def keep(self, table: str, batch: Sequence[tuple[Any, ...]]) -> None:
        """Keep a batch of rows."""
        if not batch:
            return
        marks = ", ".join("?" * len(batch[0]))
        self._con.execute("BEGIN")
        self._con.executemany(f"INSERT INTO {table} VALUES ({marks})", batch)
        self._con.execute("COMMIT")
        if table == "run":
            versions = (Run._make(row).version for row in batch)
            self.events += sum(version for version in versions if isinstance(version, int))

    def pop(self, run_id: str) -> _OfRun:
        """The rows of a run, which are not kept any longer."""
        run, entities, messages = (
            self._con.execute(f"DELETE FROM {table} WHERE run_id = ? RETURNING *", (run_id,)).fetchall()
            for table in _KEPT
        )
        known = map(Entity._make, entities)
        return _OfRun(
            Run._make(run[0]) if run else None,
            {(row.kind, row.correlation_id): row for row in known},
            {StoredMessage._make(row).state for row in messages},
        )

    def left(self) -> list[str]:
        """The runs whose rows nobody asked for; those of messages alone do not count."""
        sql = "SELECT run_id FROM run UNION SELECT run_id FROM entity ORDER BY run_id"
        return [run_id for (run_id,) in self._con.execute(sql)]

    def close(self) -> None:
        """Remove the file."""
        self._con.close()


class _Logs:
    """The logs of a world, one after the other, and the rows that each should have come to."""

    def __init__(self, found: Verification, rows: _Rows, expect: dict[str, str]) -> None:
        self._found = found
        self._rows = rows
        self._expect = expect
        self._run_id: str | None = None
        self._log = Examination(found.report(""), None)

    def take(self, event: Event) -> None:
        """Take the next event; the log of its run is complete when one of another run follows."""
        if event.run_id != self._run_id:
            self._end()
            self._run_id = event.run_id
            self._log = Examination(self._found.report(event.run_id), self._expect.get(event.run_id))
        self._log.take(event)
        self._found.events += 1

    def finish(self) -> None:
        """There are no more events: judge what is left."""
        self._end()
        for run_id in self._rows.left():
            self._run_id, self._log = run_id, Examination(self._found.report(run_id), None)
            self._end()
        for run_id in self._expect:
            self._found.report(run_id)(
                FaultKind.EXPECTED, None, "the world has no log of this run, of which a hash was kept elsewhere"
            )

    def _end(self) -> None:
        if self._run_id is None:
            return
        run_id, log = self._run_id, self._log
        report = self._found.report(run_id)
        self._found.runs += 1
        kept = self._expect.pop(run_id, None)
        if log.expected_at is not None:
            self._found.kept[run_id] = log.expected_at
        elif kept is not None:
            report(
                FaultKind.EXPECTED,
                None,
                "no event has the hash that was kept elsewhere: the log was rewritten, or its end was removed",
            )
        of_run = self._rows.pop(run_id)
        if of_run.run is None:
            report(FaultKind.HEAD, None, "the world has no row of this run")
        elif _judge_head(log, of_run.run, report) and log.is_intact:
            _judge_run(log.fold, of_run.run, report)
            _judge_entities(log.fold, of_run.entities, report)
            _judge_outbox(log.fold, of_run.states, report)


def _judge_head(log: Examination, run: Run, report: Report) -> bool:
    """Whether the log goes as far as the row of its run says."""
    if log.last is None:
        report(FaultKind.HEAD, None, f"its row counts {run.version} events up to {run.tail}, and there is none")
        return False
    last = log.last
    same = run.version == last.position
    if same and log.is_last_sure:
        same = run.tail == last.event_id and run.hash in log.hashes
    if not same:
        report(
            FaultKind.HEAD,
            None,
            f"its row names {run.tail or NONE} at #{run.version} as the end of the log, with the hash "
            f"{str(run.hash)[:8]}; the log ends with {last.event_id} at #{last.position}, {str(last.hash)[:8]}",
        )
    return same


def _judge_run(fold: Fold, run: Run, report: Report) -> None:
    if fold.run is not None:
        said = _differences(_RUN_COLUMNS, run, fold.run, is_redacted=None in fold.redacted)
        if said:
            report(FaultKind.RUN, None, f"its row says {said}")


def _judge_entities(fold: Fold, stored: Mapping[Key, Entity], report: Report) -> None:
    for key in sorted(fold.entities.keys() | stored.keys()):
        row, folded = stored.get(key), fold.entities.get(key)
        if key in fold.refused:
            continue
        if row is None:
            report(FaultKind.ENTITY, None, f"there is no row of {key[1]}, which the log creates")
        elif folded is None:
            report(FaultKind.ENTITY, None, f"there is a row of {key[1]}, which the log does not create")
        else:
            said = _differences(_ENTITY_COLUMNS, row, folded, is_redacted=key in fold.redacted)
            if said:
                report(FaultKind.ENTITY, None, f"the row of {key[1]} says {said}")


def _differences(columns: Sequence[str], row: object, folded: object, *, is_redacted: bool) -> str:
    said = []
    for name in columns:
        stored, due = getattr(row, name), getattr(folded, name)
        if stored != due and not (is_redacted and name in _FROM_DATA):
            # A token is a credential: that it differs is all that is said of it.
            said.append(f"{name} {stored}, the log {due}" if name != "token" else "another token than the log")
    return "; ".join(said)


def _judge_outbox(fold: Fold, states: set[str], report: Report) -> None:
    """Whether something will move an open run; a delivery from outside moves one that waits for hooks alone."""
    if fold.ended or states & {"waiting", "leased"}:
        return
    steps, waits, hooks = (fold.open(kind) for kind in ("step", "wait", "hook"))
    opened = f"{steps} steps, {waits} waits and {hooks} hooks are open"
    if states:
        report(
            FaultKind.DEAD_LETTER,
            None,
            f"it is open, and its only message was delivered too often and died; {opened}: redrive it",
        )
    elif steps or waits or not hooks:
        report(
            FaultKind.OUTBOX,
            None,
            f"it is open, and no message waits for it or is leased; {opened}: nothing moves it",
        )

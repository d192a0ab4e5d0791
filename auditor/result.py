"""A finished audit, opened read-only: what programs, reports and pages read."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, TypedDict, Unpack

import duckdb

from auditor.check.decisions import Suppression
from auditor.config import Config, load
from auditor.database import saved_audit
from auditor.document import build
from auditor.errors import InputError, UsageError
from auditor.model.judgement import Capability, ExitCode, Severity, Verdict
from auditor.pipeline import AUDIT_SCHEMA, Options, Progress, run_audit


class Audit:
    """One audit. Close it, or use it in a `with` block; an audit that was not saved ends with it.

    `report` is the whole of it; the other properties are short ways into that.
    """

    def __init__(self, path: Path, owned: tempfile.TemporaryDirectory[str] | None = None) -> None:
        self.path = path
        self._owned = owned
        self.con = saved_audit(path)

    @cached_property
    def report(self) -> dict[str, Any]:
        """The whole `auditor.report/v1`, read when it is first asked for. Raises InputError if it is damaged."""
        try:
            return build(self.con.cursor())
        except (duckdb.Error, LookupError, TypeError, ValueError) as error:
            raise InputError(
                str(self.path), "is damaged, or of another version of auditor; make the audit again"
            ) from error

    @classmethod
    def open(cls, path: str | Path) -> Audit:
        """Open a saved audit file. Raises InputError if it is none."""
        opened = cls(Path(path))
        try:
            rows = opened.con.execute("SELECT value FROM meta WHERE key = 'schema'").fetchall()
        except duckdb.Error:
            rows = []
        if rows != [(AUDIT_SCHEMA,)]:
            opened.close()
            raise InputError(str(path), f"is no audit file ({AUDIT_SCHEMA}); `auditor check --save` writes one")
        return opened

    @property
    def verdict(self) -> Verdict:
        """The worst log verdict: of its runs, and of what was found about the log as a whole."""
        return Verdict(self.report["verdict"])

    @property
    def exit_code(self) -> ExitCode:
        """What `auditor check` returns for it."""
        return ExitCode(self.report["exit_code"])

    @property
    def runs(self) -> list[dict[str, Any]]:
        """Every run, with both verdicts."""
        return list(self.report["runs"])

    @property
    def causes(self) -> list[dict[str, Any]]:
        """What the standing findings come from, the gravest first: one entry a bug."""
        return list(self.report["causes"])

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Every finding that keeps its witness, the worst first."""
        return list(self.report["findings"])

    def events(self, places: Mapping[str, Collection[int]]) -> dict[str, list[dict[str, Any]]]:
        """The events at these positions of these runs, in log order; for showing the log around witnesses.

        `created_at` is a text, `2026-11-22 12:00:03.000`, as a log may name a year that Python has no date for;
        empty if the log does not say it. One call for many runs: each call reads the whole log once.
        """
        asked = [(run_id, at) for run_id, positions in places.items() for at in positions]
        cursor = self.con.execute(
            """
            WITH asked AS (SELECT unnest(?::VARCHAR[]) AS run_id, unnest(?::BIGINT[]) AS "position"),
            chosen AS (SELECT log.* FROM log JOIN asked USING (run_id, "position"))
            SELECT
                chosen.run_id, chosen."position", chosen.event_id, chosen.event_type, chosen.role,
                chosen.correlation_id,
                coalesce(strftime(chosen.created_at, '%Y-%m-%d %H:%M:%S.%g'), '') AS created_at,
                coalesce(chosen.kind || coalesce('#' || ordinal, ''), '') AS entity,
                event.step_name, event.resume_at, event.fence_kind, event.fence_value, known
            FROM chosen
            JOIN event USING (event_no)
            LEFT JOIN entity
                ON entity.run_id = chosen.run_id AND entity.kind = chosen.kind
                AND entity.correlation_id = chosen.correlation_id
            LEFT JOIN write ON write.event_no = chosen.event_no
            ORDER BY chosen.run_id, chosen."position"
            """,
            [[run_id for run_id, _ in asked], [at for _, at in asked]],
        )
        names = [column[0] for column in cursor.description or ()]
        found: dict[str, list[dict[str, Any]]] = {run_id: [] for run_id in places}
        for row in cursor.fetchall():
            found[row[0]].append(dict(zip(names, row, strict=True)))
        return found

    def close(self) -> None:
        """Close the file; an audit that was not saved is removed."""
        self.con.close()
        if self._owned is not None:
            self._owned.cleanup()

    def __enter__(self) -> Audit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def audit(
    *paths: str | Path,
    config: str | Path | Config | None = None,
    save: str | Path | None = None,
    fields: Mapping[str, str] | None = None,
    input_format: str | None = None,
    keep_payloads: bool = False,
    memory_limit: str | None = None,
    progress: Progress | None = None,
    **settings: Unpack[Settings],
) -> Audit:
    """Audit event logs: files, folders or tars in any accepted format.

    `config` is a configuration file (`auditor schema config`); none is looked for. `save` keeps the audit file
    there (replaced if it exists). `fields` maps the columns of a foreign log to our fields, `input_format` reads
    files as what they are not recognised as, `keep_payloads` stores payloads, which are otherwise dropped.
    `memory_limit` (`2GB`) bounds the database. `progress` is called with the phase (`reading`, `replaying`,
    `checking`, `judging`), how much of it is done, and how much there is: inputs, or rules. The other settings win
    over those of the configuration.

    Raises UsageError for a path, rule or option that does not exist. What is wrong inside an input does not raise:
    it is in the report, and the verdict of what it touches is `cannot_tell`.
    """
    if not isinstance(config, Config):
        config = load(Path(config)) if config is not None else Config()
    options = Options(dict(fields or {}), input_format, keep_payloads)
    chosen = _with(config, settings)

    def make(target: Path) -> None:
        run_audit(
            [str(path) for path in paths],
            target,
            chosen,
            options=options,
            memory_limit=memory_limit,
            progress=progress,
        )

    return made(make, save)


class Settings(TypedDict, total=False):
    """What `audit` takes beside a configuration.

    `now` (UTC if it has no zone) is the reference time for everything overdue; by default it is taken from the
    log, never from the clock. `select` and `ignore` name rules or groups, `rules` folders of custom rules.
    `fail_on` (None: never), `max_rejects`, `require`, `baseline` and `suppressions` decide the exit code.
    """

    now: dt.datetime | None
    select: Sequence[str]
    ignore: Sequence[str]
    rules: Sequence[str | Path]
    rule_seconds: float
    fail_on: Severity | str | None
    max_rejects: int
    require: Sequence[Capability | str]
    baseline: str | Path | None
    suppressions: Sequence[Suppression]


def _with(config: Config, settings: Settings) -> Config:
    """The configuration with these settings in place of its own."""
    said: dict[str, Any] = dict(settings)
    now, fail_on, baseline = said.get("now"), said.get("fail_on"), said.get("baseline")
    if now is not None and now.tzinfo is None:
        said["now"] = now.replace(tzinfo=dt.UTC)
    if fail_on is not None:
        said["fail_on"] = Severity(fail_on)
    if baseline is not None:
        said["baseline"] = Path(baseline)
    for name, kind in (("require", Capability), ("rules", Path)):
        if name in said:
            said[name] = tuple(kind(value) for value in said[name])
    for name in ("select", "ignore", "suppressions"):
        if name in said:
            said[name] = tuple(said[name])
    return replace(config, **said)


def made(make: Callable[[Path], None], save: str | Path | None) -> Audit:
    """The audit that `make` writes to the path it is given: `save`, or a file that ends with the audit.

    Raises UsageError if it cannot be saved there.
    """
    owned = None
    if save is None:
        owned = tempfile.TemporaryDirectory(prefix="auditor-")
        target = Path(owned.name) / "audit.duckdb"
    else:
        target = Path(save)
        if target.is_dir():
            raise UsageError(f"{target} is a folder; the audit is saved in a file")
        if not target.parent.is_dir():
            raise UsageError(f"{target.parent}: there is no such folder to save the audit in")
    try:
        make(target)
        return Audit(target, owned)
    except BaseException:
        if owned is not None:
            owned.cleanup()
        raise

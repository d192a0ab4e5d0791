"""The one function that joins ingest, replay, check and the audit file."""

from __future__ import annotations

import datetime as dt
import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

from auditor import __about__
from auditor.check.catalogue import choose, load
from auditor.check.causes import group
from auditor.check.engine import run_rules
from auditor.check.header import Rule
from auditor.check.judge import exit_code, judge
from auditor.database import new_audit, scalar
from auditor.errors import UsageError
from auditor.ingest import Options, Reader
from auditor.model.judgement import Capability, ExitCode, Severity
from auditor.replay import derive

AUDIT_SCHEMA = "auditor.audit/v1"

__all__ = ["AUDIT_SCHEMA", "Evidence", "Options", "run_audit"]


class Evidence(NamedTuple):
    """What somebody who knows more than the log adds to an audit.

    `gather` writes what it found out into the tables of the audit, before the rules are evaluated; `decide` gives
    the exit code, and the fact that decided it, in place of the audit's own.
    """

    gather: Callable[[duckdb.DuckDBPyConnection], None]
    decide: Callable[[duckdb.DuckDBPyConnection], tuple[ExitCode, str]]


def run_audit(
    paths: Sequence[str],
    target: Path,
    *,
    now: dt.datetime | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    fail_on: Severity | None = Severity.ERROR,
    max_rejects: int = 0,
    require: Sequence[Capability] = (),
    options: Options | None = None,
    memory_limit: str | None = None,
    evidence: Evidence | None = None,
) -> None:
    """Audit the logs at `paths` and leave the audit file at `target`.

    `now` is the reference time for everything overdue (UTC); by default each export's own: its manifest's
    `exportedAt`, else its newest `createdAt`. `options` say how inputs are read. `memory_limit` bounds the memory
    of the database (`2GB`); what does not fit is spilled to disk. `evidence` is what is known beside the logs. The
    file is written as `<target>.part` and renamed when complete.

    Raises UsageError for a path, rule or option that does not exist; what is wrong *inside* an input is part of
    the audit.
    """
    if not paths:
        raise UsageError("name at least one file or folder")
    catalogue = load()
    rules = choose(catalogue, select, ignore)
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="auditor-") as folder,
            new_audit(part, Path(folder), memory_limit) as con,
        ):
            _read(con, paths, Path(folder), options or Options())
            if now is not None:
                _meta(con, now=now.astimezone(dt.UTC).replace(tzinfo=None).isoformat(sep=" "))
            derive(con)
            if evidence is not None:
                evidence.gather(con)
            run_rules(con, rules, everything=len(rules) == len(catalogue))
            judge(con, rules)
            group(con, rules)
            _describe(con, catalogue, rules)
            code, because = evidence.decide(con) if evidence else exit_code(con, fail_on, max_rejects, require)
            _meta(
                con,
                exit_code=str(int(code)),
                exit_because=because,
                fail_on=fail_on.value if fail_on else "never",
            )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _read(con: duckdb.DuckDBPyConnection, paths: Sequence[str], scratch: Path, options: Options) -> None:
    reader = Reader(con, scratch, options)
    for path in paths:
        reader.read(path)
    reader.finish()


def _describe(con: duckdb.DuckDBPyConnection, catalogue: dict[str, Rule], rules: Sequence[Rule]) -> None:
    chosen = {rule.id for rule in rules}
    ignored = ",".join(id for id in catalogue if id not in chosen)
    _meta(
        con,
        schema=AUDIT_SCHEMA,
        audit=_identity(con),
        auditor=__about__.__version__,
        not_selected=ignored,
    )


def _identity(con: duckdb.DuckDBPyConnection) -> str:
    """A name of the audit that depends on what was judged and by which rules, not on where or when."""
    judged = """
        SELECT coalesce(string_agg(part, ',' ORDER BY part), '') FROM (
            SELECT concat_ws(':', run_id, events, tail, log_verdict) AS part FROM run JOIN verdict USING (run_id)
            UNION ALL SELECT concat_ws(':', rule, version) FROM rule
            UNION ALL SELECT CAST(max(now) AS VARCHAR) FROM run
        )
    """
    return hashlib.sha256(str(scalar(con, judged)).encode()).hexdigest()[:16]


def _meta(con: duckdb.DuckDBPyConnection, **values: str | None) -> None:
    con.executemany("INSERT INTO meta VALUES (?, ?)", [[key, value] for key, value in values.items()])

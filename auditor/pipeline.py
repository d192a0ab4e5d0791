"""The one function that joins ingest, replay, check and the audit file."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

from auditor import __about__
from auditor.check.baseline import read as read_baseline
from auditor.check.catalogue import choose, find, load
from auditor.check.causes import group
from auditor.check.decisions import like, trim
from auditor.check.engine import run_rules
from auditor.check.header import Rule
from auditor.check.judge import exit_code, judge
from auditor.check.sandbox import Limits
from auditor.config import Config
from auditor.database import new_audit, scalar
from auditor.errors import UnknownParameter, UnknownRule, UsageError
from auditor.ingest import Options, Reader, is_read
from auditor.model.judgement import ExitCode
from auditor.replay import derive

AUDIT_SCHEMA = "auditor.audit/v1"

Progress = Callable[[str, int, int], None]
"""Told the phase (`reading`, `replaying`, `checking`, `judging`), how much of it is done, and how much there is:
inputs that are read, rules that are evaluated."""

__all__ = ["AUDIT_SCHEMA", "Evidence", "Options", "Progress", "run_audit"]


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
    config: Config | None = None,
    *,
    options: Options | None = None,
    memory_limit: str | None = None,
    evidence: Evidence | None = None,
    today: dt.date | None = None,
    progress: Progress | None = None,
) -> None:
    """Audit the logs at `paths` and leave the audit file at `target`.

    `config` says what is checked and what of it counts. `options` say how inputs are read. `memory_limit` bounds
    the memory of the database (`2GB`); what does not fit is spilled to disk. `evidence` is what is known beside
    the logs. `today` (UTC, by default the clock's) is the day on which suppressions hold or have expired; nothing
    else depends on when an audit is made. `progress` is called, in this thread, as the audit goes on. The file is
    written as `<target>.part` and renamed when complete.

    Raises UsageError for a path, rule or option that does not exist, and for a damaged baseline; what is wrong
    *inside* an input is part of the audit.
    """
    if not paths:
        raise UsageError("name at least one file or folder")
    config = config or Config()
    tell = progress or _nobody
    catalogue, rules = _rules(config)
    baseline = read_baseline(config.baseline) if config.baseline is not None else None
    part = target.with_name(target.name + ".part")
    for file in (target, part):
        if is_read(file, paths, options or Options()):
            raise UsageError(f"{file}: a log that is audited would be overwritten; save the audit in another file")
    part.unlink(missing_ok=True)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="auditor-") as folder,
            new_audit(part, Path(folder), memory_limit) as con,
        ):
            _read(con, paths, Path(folder), options or Options(), tell)
            if config.now is not None:
                _meta(con, now=config.now.astimezone(dt.UTC).replace(tzinfo=None).isoformat(sep=" "))
            tell("replaying", 0, 1)
            derive(con)
            if evidence is not None:
                evidence.gather(con)
            run_rules(
                con,
                rules,
                everything=len(rules) == len(catalogue),
                tunings=config.tunings,
                limits=Limits(seconds=config.rule_seconds),
                progress=lambda done, total: tell("checking", done, total),
            )
            tell("judging", 0, 1)
            judge(con, rules, config.suppressions, baseline, today or dt.datetime.now(dt.UTC).date())
            group(con, rules)
            trim(con)
            _describe(con, catalogue, rules, config)
            code, because = (
                evidence.decide(con)
                if evidence
                else exit_code(con, config.fail_on, config.max_rejects, config.require)
            )
            _meta(con, exit_code=str(int(code)), exit_because=because)
            if baseline is not None:
                _meta(con, baseline=str(config.baseline), baseline_by=baseline.by)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _rules(config: Config) -> tuple[dict[str, Rule], list[Rule]]:
    """Every rule that there is, as it is configured, and those that were chosen.

    An error about a rule that a configuration names begins with the file that names it.
    """
    catalogue = load(config.rules)
    try:
        for suppression in config.suppressions:
            find(catalogue, suppression.rule)
        catalogue = config.tunings.apply(catalogue)
        return catalogue, choose(catalogue, config.select, config.ignore)
    except (UnknownRule, UnknownParameter) as error:
        if (file := config.named_in.get(error.name)) is None:
            raise
        raise UsageError(f"{file}: {error}") from None


def _nobody(_phase: str, _done: int, _total: int) -> None:
    """Whoever wants no progress."""


def _read(
    con: duckdb.DuckDBPyConnection, paths: Sequence[str], scratch: Path, options: Options, tell: Progress
) -> None:
    with Reader(con, scratch, options) as reader:
        for done, path in enumerate(paths):
            tell("reading", done, len(paths))
            reader.read(path, paths)
        tell("reading", len(paths), len(paths))
        reader.finish()


def _describe(
    con: duckdb.DuckDBPyConnection, catalogue: dict[str, Rule], rules: Sequence[Rule], config: Config
) -> None:
    chosen = {rule.id for rule in rules}
    ignored = ",".join(id for id in catalogue if id not in chosen)
    overrides = json.dumps(config.tunings.sentences())
    _meta(
        con,
        schema=AUDIT_SCHEMA,
        audit=_identity(con, overrides),
        auditor=__about__.__version__,
        not_selected=ignored,
        overrides=overrides,
        unmatched_workflows=json.dumps(_unmatched(con, config)),
        fail_on=config.fail_on.value if config.fail_on else "never",
    )
    if config.path is not None:
        _meta(con, config=str(config.path))


def _unmatched(con: duckdb.DuckDBPyConnection, config: Config) -> list[str]:
    """The globs of the configuration that match the workflow of no run."""
    matches = r"SELECT count(*) FROM run WHERE workflow LIKE ? ESCAPE '\'"
    return [glob for glob in config.tunings.workflow if not scalar(con, matches, like(glob))]


def _identity(con: duckdb.DuckDBPyConnection, overrides: str) -> str:
    """A name of the audit that depends on what was judged and by which rules, not on where or when."""
    judged = """
        SELECT coalesce(string_agg(part, ',' ORDER BY part), '') FROM (
            SELECT concat_ws(':', run_id, events, tail, log_verdict) AS part FROM run JOIN verdict USING (run_id)
            UNION ALL SELECT concat_ws(':', rule, version) FROM rule
            UNION ALL SELECT CAST(max(now) AS VARCHAR) FROM run
        )
    """
    return hashlib.sha256(f"{scalar(con, judged)}{overrides}".encode()).hexdigest()[:16]


def _meta(con: duckdb.DuckDBPyConnection, **values: str | None) -> None:
    con.executemany("INSERT INTO meta VALUES (?, ?)", [[key, value] for key, value in values.items()])

"""Evaluate the SQL of others where it can do no harm: in a child process that has almost no rights.

A rule of a user, or what a visitor asks of an audit, is hostile until proven otherwise. A database that is locked
down stops what SQL may ask for (files, network, settings), but neither a `repeat('x', 2000000000)` nor an endless
recursion: so the process is bounded as well (`cell.py`), and this side stops the clock. What comes back is not
trusted either: it is checked as any input is (`answers.py`).

One child answers for many rules, because it takes half a second to start; if a rule brings it down, the next rule
has a new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from auditor.errors import QueryFailed

COLUMNS = ("run_id", "witness", "because")
"""What the SELECT of a rule gives."""

_CELL = Path(__file__).with_name("cell.py")
_LENGTH = struct.Struct(">Q")
_MOST_JSON = 1024**2
_MOST_HEADS = 1024**2  # the heads of the batches of an Arrow stream
_LONGEST_REASON = 500
_START_SECONDS = 60.0
_INHERITED = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may use: seconds of wall clock, bytes of memory, findings, bytes of them.

    A rule that finds more says nothing about any of it. `gives` is what the bytes are called.
    """

    seconds: float = 30.0
    memory: int = 1024**3
    findings: int = 100_000
    output: int = 64 * 1024**2
    threads: int = 2
    expression_depth: int = 250
    gives: str = "findings"


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of one rule, or by somebody.

    `select` is the rule's own, `conditions` are the `when` of its severity: each is judged alone before `sql`,
    which holds them all, is evaluated. `above` is the number of lines of `sql` above the `select`, `columns` are
    what it has to give. `params` (rule, name, value) are added to those that the audit was made with.
    """

    rule: str
    select: str
    conditions: tuple[str, ...]
    sql: str
    above: int
    columns: tuple[str, ...] = COLUMNS
    params: tuple[tuple[str, str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one query: its `findings`, or the `reason` why there are none.

    `line`, if it is known, is the line of the SELECT at fault.
    """

    rule: str
    seconds: float
    findings: pa.Table | None = None
    reason: str | None = None
    line: int | None = None


def evaluate(audit_file: Path, queries: Sequence[Query], limits: Limits) -> Generator[Answer, None, None]:
    """Ask every query of the audit, in order; nobody may have the file open for writing meanwhile.

    Findings have the columns run_id, severity, confidence, because and witness, and are as they must be, except
    that a run or a record that they name need not exist.
    """
    child: _Child | None = None
    try:
        for query in queries:
            started = time.monotonic()
            if child is None:
                child = _Child(audit_file, limits)
            rows, reason, line = child.ask(query)
            if child.ended:
                child.close()
                child = None
            findings = None
            if rows is not None:
                from auditor.check.answers import read_findings  # noqa: PLC0415 - slow, and custom rules are few

                found = read_findings(rows, limits.findings)
                findings, reason = (None, found) if isinstance(found, str) else (found, None)
            yield Answer(query.rule, time.monotonic() - started, findings, reason, line)
    finally:
        if child is not None:
            child.close()


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that a SELECT gives: `more` says that there are others.

    Values that Arrow does not hold (INTERVAL, TIME, BIT, UNION and their like) are text, as DuckDB writes them.
    """

    table: pa.Table
    more: bool
    seconds: float


def select(audit_file: Path, sql: str, limits: Limits, most: int) -> Rows:
    """What one SELECT gives, at most so many rows. Raises QueryFailed if it cannot be answered."""
    from auditor.check.answers import read_rows  # noqa: PLC0415 - slow, as above

    started = time.monotonic()
    own = sql.rstrip().rstrip(";")
    child = _Child(audit_file, limits)
    try:
        rows, reason, line = child.ask(Query("", own, (), f"FROM (\n{own}\n) LIMIT {most + 1}", 1, columns=()))
    finally:
        child.close()
    if rows is None:
        raise QueryFailed(str(reason), line)
    table = read_rows(rows)
    if isinstance(table, str):
        raise QueryFailed(table)
    return Rows(table.slice(0, most), table.num_rows > most, time.monotonic() - started)


_Outcome = tuple[bytes | None, str | None, int | None]


class _Child:
    """A process that answers queries, until one of them ends it."""

    def __init__(self, audit_file: Path, limits: Limits) -> None:
        self.ended = False
        self._limits = limits
        self._late = False
        self._process = subprocess.Popen(  # noqa: S603 - our own file, by our own interpreter
            [sys.executable, "-I", str(_CELL)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Where the interpreter was built to need it, it does not start without; nothing else is passed on.
            env={name: os.environ[name] for name in _INHERITED if name in os.environ},
            close_fds=True,
            start_new_session=True,  # Ctrl-C is for us; we end it
        )
        first = self._exchange({"path": str(audit_file.absolute()), **asdict(limits)}, _START_SECONDS)
        self._no_start = "it did not answer" if first is None else first[0].get("refused")

    def ask(self, query: Query) -> _Outcome:
        """The rows of one query as an Arrow stream; or why there are none, and the line at fault."""
        if self._no_start is not None:
            self.ended = True
            return None, f"the sandbox could not be started: {_one_line(self._no_start)}", None
        answer = self._exchange(asdict(query), self._limits.seconds)
        if answer is None:
            return None, self._why_it_ended(), None
        said, rows = answer
        if said.get("out_of_memory"):
            self.ended = True  # what is left of its memory is in pieces
            return None, self._too_much_memory(), None
        if "refused" in said:
            line = said.get("line")
            return None, _refusal(said), line if isinstance(line, int) else None
        return rows, None, None

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        with contextlib.suppress(OSError):
            self._process.communicate()

    def _exchange(self, message: dict[str, Any], seconds: float) -> tuple[dict[str, Any], bytes] | None:
        """Send a message and wait for its answer; None if the process ended, or took too long and was stopped."""
        stdin = cast("IO[bytes]", self._process.stdin)
        stdout = cast("IO[bytes]", self._process.stdout)
        clock = threading.Timer(seconds, self._stop)
        clock.start()
        try:
            text = json.dumps(message).encode()
            stdin.write(_LENGTH.pack(len(text)) + text)
            stdin.flush()
            said = json.loads(_frame(stdout, _MOST_JSON))
            if not isinstance(said, dict):
                raise TypeError
            return said, _frame(stdout, self._limits.output + _MOST_HEADS)
        except (OSError, EOFError, TypeError, ValueError):
            self.ended = True
            return None
        finally:
            clock.cancel()
            clock.join()
            self.ended |= self._late  # stopped just after it had answered

    def _stop(self) -> None:
        self._late = True
        self._process.kill()

    def _why_it_ended(self) -> str:
        self._process.kill()
        code = self._process.wait()
        if self._late or code == -signal.SIGXCPU:
            return f"it took longer than {self._limits.seconds:g} s and was stopped"
        if code == -signal.SIGABRT:
            return self._too_much_memory()
        return "its evaluation broke down: it used too much memory, or its SQL is too deeply nested"

    def _too_much_memory(self) -> str:
        return f"it used more than {self._limits.memory // 1024**2} MiB of memory"


def _refusal(said: dict[str, Any]) -> str:
    sentence = _one_line(said["refused"])
    if sentence.startswith("Permission Error"):
        sentence = f"it tried to leave the sandbox: {sentence}"
    return f"in a `when` of its severity: {sentence}" if said.get("where") == "when" else sentence


def _one_line(text: Any) -> str:
    return " ".join(str(text).split())[:_LONGEST_REASON]


def _frame(stream: IO[bytes], most: int) -> bytes:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    length = _LENGTH.unpack(head)[0]
    if length > most:
        raise ValueError
    body = stream.read(length)
    if len(body) < length:
        raise EOFError
    return body

"""What runs in the sandbox: a process of its own that evaluates the SQL of others on an audit file.

`sandbox.py` starts it and says over stdin where the audit is, then sends one query at a time. Each answer goes to
stdout: a JSON object, then the rows as an Arrow stream. Nothing of ours is imported, so there is nothing to be
found in this process but the audit, which who asks may read anyway.

Two walls. DuckDB opens the file read-only, without files, network, extensions, Python's variables or any setting
that could be changed. And the process may not write a file, take more memory than was agreed, start another one,
or run on after its parent is gone. What a system cannot limit is left as it was: macOS ignores the limit of
memory, and root may always start processes.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import re
import resource
import struct
import sys
import warnings
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa

MARGIN = 512 * 1024**2
"""Address space beyond the memory of the database: stacks of threads, and what allocators reserve."""

_LINE = re.compile(r"^LINE (\d+):", re.MULTILINE)
_NOT_IN_ARROW = re.compile(
    r"\b(INTERVAL|UHUGEINT|BIT|TIME_NS|UNION|BIGNUM|VARINT|VARIANT|GEOMETRY)\b|(?<!TIMESTAMP WITH )\bTIME\b"
)
"""Types whose values Arrow does not hold, or not all of them, or whose Arrow next to nobody reads."""

_LENGTH = struct.Struct(">Q")
_LONGEST = 10_000  # characters of a sentence
_ROWS_A_BATCH = 2048
_MOST_FILES = 16  # DuckDB looks at /proc now and then, and does not survive that it cannot


class _Refusal(Exception):
    """Why a query is not evaluated; `line` of its SELECT, or `where` else it is."""

    def __init__(self, sentence: str, line: int | None = None, where: str = "select") -> None:
        super().__init__(sentence)
        self.line = line
        self.where = where


def main() -> None:
    """Answer one query after the other until there is none left."""
    warnings.simplefilter("ignore")
    asked = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    limits = _receive(asked)
    if limits is None:
        return
    try:
        con = _opened(limits)
        _evaluate(con, "SELECT run_id FROM run LIMIT 1", limits)  # loads what it needs while it may
        _confine(limits)
    except duckdb.Error as error:
        _send(answers, {"refused": str(error)})
        return
    _send(answers, {})
    while (query := _receive(asked)) is not None:
        _bound_cpu(limits)
        rows = b""
        answer: dict[str, Any] = {}
        try:
            rows = _answered(con, query, limits)
        except _Refusal as refusal:
            answer = {"refused": str(refusal)[:_LONGEST], "line": refusal.line, "where": refusal.where}
        except Exception as error:  # noqa: BLE001 - whatever it is, the rule has failed and the next one is asked
            answer = {"refused": str(error)[:_LONGEST], "out_of_memory": _is_out_of_memory(error)}
        _send(answers, answer, rows)


def _receive(stream: BinaryIO) -> dict[str, Any] | None:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    message: dict[str, Any] = json.loads(stream.read(_LENGTH.unpack(head)[0]))
    return message


def _send(stream: BinaryIO, answer: dict[str, Any], rows: bytes = b"") -> None:
    for part in (json.dumps(answer).encode(), rows):
        stream.write(_LENGTH.pack(len(part)) + part)
    stream.flush()


def _opened(limits: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(
        limits["path"],
        read_only=True,
        config={
            "temp_directory": "",
            "autoload_known_extensions": "false",
            "autoinstall_known_extensions": "false",
            "allow_community_extensions": "false",
            "python_enable_replacements": "false",
            "memory_limit": f"{limits['memory']}B",
            "threads": str(limits["threads"]),
        },
    )
    con.execute("SET enable_external_access = false")  # from now on for good; before, no temp_directory may be set
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET enable_progress_bar = false")
    con.execute(f"SET max_expression_depth = {int(limits['expression_depth'])}")
    con.execute("SET lock_configuration = true")
    return con


def _confine(limits: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # there is no /proc, so no limit of memory that would hold
        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - a path costs an import
            now = int(statm.read().split()[0]) * resource.getpagesize()
        _bound("RLIMIT_AS", now + limits["memory"] + MARGIN)
    _bound("RLIMIT_FSIZE", 0)
    _bound("RLIMIT_CORE", 0)
    _bound("RLIMIT_NPROC", 0)
    _bound("RLIMIT_NOFILE", _MOST_FILES)


def _bound(name: str, value: int) -> None:
    with contextlib.suppress(AttributeError, OSError, ValueError):
        resource.setrlimit(getattr(resource, name), (value, value))


def _bound_cpu(limits: dict[str, Any]) -> None:
    """The parent's clock stops a rule; this stops one whose parent is gone."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = math.ceil(used.ru_utime + used.ru_stime + limits["seconds"] * limits["threads"]) + 1
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.RLIM_INFINITY))


def _answered(con: duckdb.DuckDBPyConnection, query: dict[str, Any], limits: dict[str, Any]) -> bytes:
    """The rows of a query whose parts, each on its own, are what they should be."""
    select, above = query["select"], query["above"]
    _one_select(con, select, "select")
    _set_params(con, query["params"])
    for condition in query["conditions"]:
        _one_select(con, f"SELECT\n{condition}", "when")
    # A comment at the end must not swallow the bracket: it stands on a line of its own.
    try:
        described = con.execute(f"FROM (\n{select}\n) LIMIT 0").description or ()
    except duckdb.Error as error:
        raise _refusal(error, -1, select) from None
    columns = [column[0] for column in described]
    if missing := [name for name in query["columns"] if name not in columns]:
        raise _Refusal(f"its SELECT has no column {', '.join(missing)}; it has {', '.join(columns)}")
    sql = query["sql"]
    if not query["columns"]:
        sql, above = _for_anybody(sql, {column[0]: str(column[1]) for column in described}), above + 1
    try:
        return _evaluate(con, sql, limits)
    except duckdb.Error as error:
        if _is_out_of_memory(error):
            raise
        refusal = _refusal(error, -above, select)
        if not query["conditions"]:
            refusal.where = "select"
        raise refusal from None


def _set_params(con: duckdb.DuckDBPyConnection, params: list[list[Any]]) -> None:
    """Parameters that the audit does not have, or has with other values, because it was made without this rule."""
    if params:
        # The macro param() reads whatever is called so, and a temporary table comes first.
        con.execute("CREATE OR REPLACE TEMP TABLE rule_param AS FROM main.rule_param").fetchall()
        con.executemany("DELETE FROM temp.rule_param WHERE rule = ?", [[rule] for rule, _, _ in params])
        con.executemany("INSERT INTO temp.rule_param VALUES (?, ?, NULL, ?)", params)


def _one_select(con: duckdb.DuckDBPyConnection, sql: str, where: str) -> None:
    try:
        statements = con.extract_statements(sql)
    except duckdb.Error as error:
        raise _refusal(error, 0, sql, where) from None
    if len(statements) != 1:
        raise _Refusal(f"it must be one SELECT, and there are {len(statements)} statements", where=where)
    if (kind := statements[0].type) != duckdb.StatementType.SELECT:
        raise _Refusal(f"it must be one SELECT, and this is {kind.name}", where=where)


def _for_anybody(sql: str, types: dict[str, str]) -> str:
    """The same rows, where Arrow holds every value; what it cannot hold is text, as DuckDB writes it."""
    columns = []
    for name, type_ in types.items():
        column = '"' + name.replace('"', '""') + '"'
        if _NOT_IN_ARROW.search(type_):
            columns.append(f"CAST({column} AS VARCHAR) AS {column}")
        elif type_ == "HUGEINT":  # the type of every sum; Arrow has 38 digits, and a number with more is refused
            columns.append(f"CAST({column} AS DECIMAL(38, 0)) AS {column}")
        else:
            columns.append(column)
    return f"SELECT {', '.join(columns)} FROM (\n{sql}\n)"


def _refusal(error: duckdb.Error, shift: int, select: str, where: str = "select") -> _Refusal:
    """DuckDB's sentence, and the line of the SELECT that it speaks of; a line elsewhere is one of a `when`."""
    text = str(error)
    found = _LINE.search(text)
    sentence = text[: found.start()] if found else text
    line = int(found[1]) + shift if found and where == "select" else None
    if line is not None and not 1 <= line <= select.count("\n") + 1:
        line, where = None, "when"
    return _Refusal(sentence, line, where)


def _is_out_of_memory(error: Exception) -> bool:
    # The class alone does not say: what turns rows into Arrow says it with another one.
    return isinstance(error, MemoryError) or str(error).startswith(("Out of Memory Error", "malloc of size"))


def _evaluate(con: duckdb.DuckDBPyConnection, sql: str, limits: dict[str, Any]) -> bytes:
    reader: pa.RecordBatchReader = con.execute(sql).to_arrow_reader(_ROWS_A_BATCH)
    rows, size = io.BytesIO(), 0
    with pa.ipc.new_stream(rows, reader.schema) as stream:
        for batch in reader:
            size += batch.nbytes
            if size > limits["output"]:
                raise _Refusal(f"it gave more than {limits['output'] // 1024**2} MiB of {limits['gives']}")
            stream.write_batch(batch)
    return rows.getvalue()


if __name__ == "__main__":
    main()

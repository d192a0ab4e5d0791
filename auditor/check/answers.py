"""What a sandbox answers, judged as any input from outside: rows, or a sentence that says what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from auditor.model.judgement import Confidence, Severity

_MOST_WITNESSES = 10_000
_LONGEST = {"run_id": 1_000, "role": 200, "because": 2_000}
_COLUMNS = ["run_id", "severity", "confidence", "because", "witness"]
_RECORDS = ["event", "refusal", "entity", "export"]
_WITNESS = pa.struct([("role", pa.string()), ("record", pa.string()), ("no", pa.int64())])
_SCHEMA = pa.schema([(name, pa.string()) for name in _COLUMNS[:-1]] + [("witness", pa.list_(_WITNESS))])
_NO_WITNESS = "it gave a finding without a witness"
_BROKEN = "its rows came back broken"


def read_rows(rows: bytes) -> pa.Table | str:
    """The rows in an Arrow stream, whatever their columns; or why they are none, in a sentence."""
    try:
        found = pa.ipc.open_stream(rows).read_all().combine_chunks()
        found.validate(full=True)
    except (pa.ArrowException, OSError):
        return _BROKEN
    return found


def read_findings(rows: bytes, most: int) -> pa.Table | str:
    """The findings in an Arrow stream, at most so many; or why they are none, in a sentence.

    That the runs and records they name exist is not known here.
    """
    found = read_rows(rows)
    if isinstance(found, str):
        return found
    if found.column_names != _COLUMNS:
        return _BROKEN
    if not found.num_rows:
        return _SCHEMA.empty_table()
    problem = next(_wrong_types(found), None)
    if problem is not None:
        return problem
    found = found.cast(_SCHEMA)
    return next(_wrong_values(found, most), found)


def _wrong_types(found: pa.Table) -> Iterator[str]:
    for name in _COLUMNS[:-1]:
        column = found[name]
        all_null = column.null_count == found.num_rows  # NULL alone has any type
        if column.type != pa.string() and not all_null:
            yield f"its {name} is {column.type}, not VARCHAR"
    witness = found["witness"].type
    if pa.types.is_list(witness) and pa.types.is_null(witness.value_type):
        yield _NO_WITNESS
    if not pa.types.is_list(witness) or not _is_witness(witness.value_type):
        yield f"its witness is {witness}, not a list of witness(role, event_no)"


def _is_witness(type_: pa.DataType) -> bool:
    return bool(pa.types.is_struct(type_) and pa.struct(list(type_)) == _WITNESS)


def _wrong_values(found: pa.Table, most: int) -> Iterator[str]:
    if found.num_rows > most:
        yield f"it gave more than {most:,} findings"
    if found["because"].null_count:
        yield "it gave a finding without a because"
    length = pc.list_value_length(found["witness"])
    if length.null_count or _any(pc.equal(length, 0)):
        yield _NO_WITNESS
    if _any(pc.greater(length, _MOST_WITNESSES)):
        yield f"it gave a finding with more than {_MOST_WITNESSES:,} witnesses"
    proof = pc.list_flatten(found["witness"])
    role, record, no = (pc.struct_field(proof, name) for name in ("role", "record", "no"))
    if role.null_count or record.null_count or no.null_count:
        yield "it gave a witness that names no record"
    for name, column, words in (
        ("record", record, _RECORDS),
        ("severity", found["severity"], [word.value for word in Severity]),
        ("confidence", found["confidence"], [word.value for word in Confidence]),
    ):
        if not _all_in(column, words):
            yield f"it gave a {name} that is none of {', '.join(words)}"
    for name, text in (("run_id", found["run_id"]), ("role", role), ("because", found["because"])):
        if _any(pc.greater(pc.utf8_length(text), _LONGEST[name])):
            yield f"it gave a {name} of more than {_LONGEST[name]:,} characters"


def _any(mask: Any) -> bool:
    return bool(pc.any(mask).as_py())


def _all_in(column: Any, words: Sequence[str]) -> bool:
    return bool(pc.all(pc.is_in(column, pa.array(words))).as_py())

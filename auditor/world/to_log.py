"""Rows of a world as records of auditor.log/v1: a line of JSON each, in printable ASCII.

What the store holds is written as it is, also where it should not be there: a time that is none, data that is no
JSON. The audit is to see it, and to reject the row by its line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any

from auditor.model.records import (
    ENTITY,
    EVENT,
    FIRST_MOMENT,
    HEAD,
    LAST_MOMENT,
    PLAIN_DATA,
    REFUSAL,
    RUN,
    Record,
)
from auditor.model.rows import NONE, Entity, Event, Refusal, Run
from auditor.world.chain import digest
from auditor.world.draft import iso

Row = Sequence[Any]
Encode = Callable[[Any], str]

COLUMNS: dict[str, tuple[str, ...]] = {
    "event": Event._fields,
    "refusal": ("refusal_no", *Refusal._fields),
    "run": Run._fields,
    "entity": Entity._fields,
}
"""The columns of a row as `World.dump` gives it, by table."""

OF_TABLE: dict[str, tuple[Record, ...]] = {
    "event": (EVENT,),
    "refusal": (REFUSAL,),
    "entity": (ENTITY,),
    "run": (RUN, HEAD),
}
"""The records that a row of each table becomes, in the order of a log: the head of a run is its last line."""

_CREDENTIAL = "token"
_HASHED = "tokenSha256"
_BLANKS = str.maketrans("\n\r\t", "   ")
_SPECIAL = re.compile("[^ -~]")
_compact = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Lines:
    """Makes lines of one kind of record. Without `payloads`, data lacks them, and tokens are hashed."""

    def __init__(self, record: Record, *, payloads: bool = True) -> None:
        columns = COLUMNS[record.table]
        self._start = "{" + ",".join(f'"{key}":"{value}"' for key, value in record.fixed.items())
        self._fields: list[tuple[int, str, Encode, bool]] = []
        for name, column, holds in record.fields:
            key, encode = name, _ENCODE[holds]
            if not payloads and name == _CREDENTIAL:
                key, encode = _HASHED, _hashed
            elif not payloads and name == "eventData":
                encode = _without_payloads
            # Null is a value of a fence alone: its writer sent nothing.
            always = name == "fence" or holds == "tail"
            self._fields.append((columns.index(column), f',"{key}":', encode, always))

    def line(self, row: Row) -> str:
        """One row as a line, without a line break."""
        parts = [self._start]
        for index, key, encode, always in self._fields:
            value = row[index]
            if value is not None or always:
                parts += (key, encode(value))
        return "".join(parts) + "}"

    def record(self, row: Row) -> dict[str, Any]:
        """One row as the object that its line is."""
        record: dict[str, Any] = json.loads(self.line(row))
        return record


def lines_of(table: str, rows: Iterable[Row], *, payloads: bool = True) -> Iterator[str]:
    """The lines of a batch of rows, of one kind of record after the other."""
    rows = list(rows)
    for record in OF_TABLE[table]:
        line = Lines(record, payloads=payloads).line
        for row in rows:
            yield line(row)


def plain_data(text: object) -> str | None:
    """The data of an event without payloads and without its token, as JSON; None if it is no JSON object."""
    data = _parsed(text)
    if data is None:
        return None
    plain = {key: value for key in PLAIN_DATA if _is_plain(value := data.get(key))}
    context = data.get("executionContext")
    if isinstance(context, dict) and _is_plain(core := context.get("workflowCoreVersion")):
        plain["executionContext"] = {"workflowCoreVersion": core}
    if data.get(_CREDENTIAL) is not None:
        plain[_HASHED] = token_digest(data[_CREDENTIAL])
    return _compact(plain)


def token_digest(token: object) -> str:
    """What stands for a token that is not exported."""
    return digest(str(token))


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int)


def is_object(text: object) -> bool:
    """Whether a column holds one JSON object."""
    return _parsed(text) is not None


def _parsed(text: object) -> dict[str, Any] | None:
    try:
        value = _decode(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


_decode = json.JSONDecoder(parse_constant=_refused).decode


def _text(value: object) -> str:
    return encode_basestring_ascii(str(value))


def _number(value: object) -> str:
    return str(value) if type(value) is int else _text(value)


def _time(value: object) -> str:
    if type(value) is int and FIRST_MOMENT <= value <= LAST_MOMENT:
        return _moment(value)
    return _text(value)


@lru_cache(1024)
def _moment(milliseconds: int) -> str:
    # The events of a batch share it, and so do the entities that they change.
    return f'"{iso(milliseconds)}"'


def _json(value: object) -> str:
    if value is None:
        return "null"
    if not isinstance(value, str) or not is_object(value):
        return _text(value)
    if value.isascii() and value.isprintable():
        return value
    # White space that is no blank stands between the tokens of JSON; all else that is not printable, inside them.
    return _SPECIAL.sub(lambda found: encode_basestring_ascii(found[0])[1:-1], value.translate(_BLANKS))


def _hashed(token: object) -> str:
    return f'"{token_digest(token)}"'


def _without_payloads(value: object) -> str:
    # What is no JSON object may hold anything: that it is not one is all that is said of it.
    return plain_data(value) or _text("no JSON object")


def _tail(value: object) -> str:
    return _text(NONE if value is None else value)


def _core(value: object) -> str:
    return f'{{"workflowCoreVersion":{_text(value)}}}'


_ENCODE: dict[str, Encode] = {
    "text": _text,
    "number": _number,
    "time": _time,
    "json": _json,
    "tail": _tail,
    "core": _core,
}

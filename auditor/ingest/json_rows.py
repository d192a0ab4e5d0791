"""The tolerant reader: one JSON text at a time, good ones kept, bad ones named.

Used only where DuckDB's vectorised reader refused a file. What it lets through that reader accepts, so the second
attempt cannot fail; and what that reader takes of a file without bad rows, this one takes too: numbers without
bound, NaN and infinity. Of a key that stands twice the last one counts, as in JavaScript.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import IO, Any

import cbor2

MAX_ROW_BYTES = 16 * 1024 * 1024
"""The longest JSON text that is read; DuckDB's own bound for one object."""

MAX_DIGITS = 4_000
"""The longest integer that is read as one; beyond it is infinite."""

TOO_LONG = f"longer than {MAX_ROW_BYTES // 1024 // 1024} MiB"

_RUN_ID = re.compile(rb'"run_?[iI]d"\s*:\s*"([!#-\[\]-~]{1,128})"')
_OBJECTS = ("eventData", "fence", "params")
_SCALARS = ("runId", "eventId", "eventType", "correlationId", "createdAt", "resumeId", "specVersion")


class BadRow(ValueError):
    """Why one row was rejected, in words for the user; `run_id` is the run it belongs to, if that can be told."""

    def __init__(self, reason: str, run_id: str | None = None) -> None:
        super().__init__(reason)
        self.run_id = run_id


def clean(raw: bytes) -> bytes:
    """One JSON text, re-written so that DuckDB can read it. Raises BadRow with the reason."""
    return written(parsed(raw))


def written(value: dict[str, Any]) -> bytes:
    """A row as JSON that DuckDB can read. Raises BadRow with the reason why it could not be."""
    for key in _SCALARS:
        if isinstance(value.get(key), dict | list):
            raise BadRow(f"{key} is {_kind(value[key])}, not text")
    for key in _OBJECTS:
        if not isinstance(value.get(key), dict | None):
            raise BadRow(f"{key} is {_kind(value[key])}, not an object")
    for holder in (value, value.get("eventData") or {}):
        if not isinstance(context := holder.get("executionContext"), dict | None):
            raise BadRow(f"executionContext is {_kind(context)}, not an object")
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        raise BadRow("half of a surrogate pair in a string") from None
    except RecursionError:
        raise BadRow("nested too deeply") from None
    if len(text) > MAX_ROW_BYTES:
        raise BadRow(TOO_LONG)
    return text


def parsed(raw: bytes) -> dict[str, Any]:
    """One JSON object. Raises BadRow with the reason."""
    if len(raw) > MAX_ROW_BYTES:
        raise BadRow(TOO_LONG)
    try:
        value = json.loads(raw.strip().decode("utf-8-sig"), parse_int=integer)
    except UnicodeDecodeError as error:
        raise BadRow(f"not UTF-8 (byte {error.start + 1})") from None
    except RecursionError:
        raise BadRow("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise BadRow(f"not JSON: {error.msg} (column {error.colno})") from None
    if not isinstance(value, dict):
        raise BadRow(f"not a JSON object but {_kind(value)}")
    return value


def plain(value: Any) -> Any:
    """Any value as JSON values: bytes as the SDK writes them to JSON, times as text in UTC."""
    match value:
        case dict():
            return {str(key): plain(part) for key, part in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(part) for part in value]
        case bytes():
            return {"__type": "Uint8Array", "data": base64.b64encode(value).decode("ascii")}
        case cbor2.CBORTag():
            return plain(value.value)
        case dt.datetime():
            moment = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
            return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
        case str() | bool() | int() | None:
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            # Not `1E+1000000000`, whose digits would be written out.
            whole = value.is_finite() and abs(value.adjusted()) < MAX_DIGITS and value == value.to_integral_value()
            return int(value) if whole else str(value)
    return None if value is cbor2.undefined else str(value)


def lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, each with its number; of one that is too long only the beginning."""
    line = 0
    while raw := stream.readline(MAX_ROW_BYTES + 2):
        line += 1
        while not raw.endswith(b"\n") and len(raw) > MAX_ROW_BYTES:
            rest = stream.readline(MAX_ROW_BYTES)
            if not rest or rest.endswith(b"\n"):
                break
        if raw.strip():
            yield line, raw


def run_id_of(raw: bytes) -> str | None:
    """The run a broken row most likely belongs to; None if its text does not say."""
    found = {match.decode("ascii") for match in _RUN_ID.findall(raw[:MAX_ROW_BYTES])}
    return found.pop() if len(found) == 1 else None


def storable(text: str) -> str:
    """A text from outside as it can be stored: half a surrogate pair, or a byte of no encoding, is spelt out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def integer(digits: str) -> int | float:
    """An integer of JSON. CPython refuses to read longer ones: it takes time that grows with their square."""
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


def _kind(value: Any) -> str:
    match value:
        case list():
            return "an array"
        case dict():
            return "an object"
        case str():
            return "a string"
        case bool():
            return "a boolean"
        case None:
            return "null"
    return "a number"

"""What travels through the log: JSON, and errors as the SDK writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from auditor.errors import InvalidEvent, UsageError
from auditor.model.rows import Event
from auditor.world.draft import json_text

LONGEST_KEPT = 1_000
"""Characters of the data of an event that is parsed once, and not again at every replay."""


def must_be_json(value: object, what: str) -> None:
    """Raise UsageError if a world would not take a value into the log."""
    try:
        json_text({"value": value})
    except InvalidEvent as error:
        raise UsageError(f"{what} must be JSON, which the log keeps: {error}") from None


def data_of(event: Event) -> dict[str, Any]:
    """The data of an event."""
    return {} if event.data is None else _parsed(event.data)


def field_of(event: Event, name: str) -> Any:
    """One field of the data of an event, or None. A list or an object is a new one: who gets it may change it."""
    text = event.data
    if text is None:
        return None
    if len(text) > LONGEST_KEPT:
        return data_of(event).get(name)
    value = _kept(text).get(name)
    return data_of(event)[name] if isinstance(value, (dict, list)) else value


@lru_cache(maxsize=4_096)
def _kept(text: str) -> Mapping[str, Any]:
    return _parsed(text)


def _parsed(text: str) -> dict[str, Any]:
    data = json.loads(text)
    return data if isinstance(data, dict) else {}


def called(data: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments that a creation carries: positional, by name."""
    taken = data.get("input")
    if not isinstance(taken, dict):
        return [], {}
    return list(taken.get("args") or ()), dict(taken.get("kwargs") or {})


def error_data(error: BaseException) -> dict[str, str]:
    """An error as the log keeps it: its class and what it says. No stack: it names files of this machine."""
    # Names of files may hold what no log can: half a surrogate pair.
    return {"name": type(error).__name__, "message": str(error).encode("utf-8", "backslashreplace").decode()}


def error_of(data: dict[str, Any]) -> tuple[str, str]:
    """The class and the message of an error in the log."""
    error = data.get("error")
    if not isinstance(error, dict):
        return "Error", str(error or "an error that the log does not hold")
    return str(error.get("name") or "Error"), str(error.get("message") or "")

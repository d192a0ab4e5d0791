"""What travels through the log: JSON, and errors as the SDK writes them."""

from __future__ import annotations

import json
from typing import Any

from auditor.errors import InvalidEvent, UsageError
from auditor.model.rows import Event
from auditor.world.draft import json_text


def must_be_json(value: object, what: str) -> None:
    """Raise UsageError if a world would not take a value into the log."""
    try:
        json_text({"value": value})
    except InvalidEvent as error:
        raise UsageError(f"{what} must be JSON, which the log keeps: {error}") from None


def data_of(event: Event) -> dict[str, Any]:
    """The data of an event."""
    if event.data is None:
        return {}
    data = json.loads(event.data)
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

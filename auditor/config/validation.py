"""Whether what a configuration file says is what its schema allows, and what to say if it is not."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.exceptions import best_match

from auditor import schemas
from auditor.errors import UsageError

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LARGEST = 2**63
_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date", raises=ValueError)
def _is_date(value: Any) -> bool:
    return not isinstance(value, str) or bool(dt.date.fromisoformat(value))


@_FORMATS.checks("date-time", raises=ValueError)
def _is_moment(value: Any) -> bool:
    if isinstance(value, str):
        try:
            dt.datetime.fromisoformat(value).astimezone(dt.UTC)
        except OverflowError as error:
            raise ValueError(str(error)) from None
    return True


def validated(path: Path, text: str, document: Any) -> dict[str, Any]:
    """The document in the words of JSON, if it is of the schema `config`.

    Raises UsageError that names the file, the key, and the line of `text` where only one sets that key.
    """
    try:
        raw: Any = _as_json(document)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None
    validator = Draft202012Validator(json.loads(schemas.text("config")), format_checker=_FORMATS)
    if (problem := best_match(validator.iter_errors(raw))) is not None:
        raise UsageError(_problem(path, text, problem))
    return cast("dict[str, Any]", raw)


def _as_json(value: Any, *at: str | int) -> Any:
    """TOML's dates and times as the text that the schema speaks of. Raises ValueError for what JSON cannot say."""
    if isinstance(value, dict):
        return {key: _as_json(item, *at, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item, *at, place) for place, item in enumerate(value)]
    if isinstance(value, int | float) and not abs(value) < _LARGEST:  # so is NaN
        raise ValueError(f"{_dotted(at)}: a number must be finite, and fit in 64 bits")
    if isinstance(value, dt.datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value


def _problem(path: Path, text: str, error: ValidationError) -> str:
    at = list(error.absolute_path)
    if error.validator == "additionalProperties":
        schema: Any = error.schema
        known = list(schema["properties"])
        (unknown, *_) = [key for key in cast("dict[str, Any]", error.instance) if key not in known]
        near = get_close_matches(unknown, known, 3, 0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"known are {', '.join(known)}."
        return f"{_place(path, text, unknown)}: there is no setting {_dotted([*at, unknown])}; {hint}"
    if error.validator == "anyOf" and at[:1] == ["suppressions"]:
        what = "a suppression needs at least one of run, workflow, event, instance, pattern"
        return f"{path}: {_dotted(at)}: {what}; to switch a rule off, use `ignore`"
    named = [part for part in at if isinstance(part, str)]
    message = error.message
    if error.validator in ("pattern", "format"):
        # The schema says in words what its expression says to a machine.
        message = f"{error.instance!r} is not this: {cast('Any', error.schema)['description']}"
    return f"{_place(path, text, named[-1] if named else '')}: {_dotted(at)}: {message[:300]}"


def _dotted(at: Sequence[str | int]) -> str:
    """A key as TOML writes it, so that nothing in it is taken for something else."""
    steps = (f"[{key}]" if isinstance(key, int) else f".{_key(key)}" for key in at)
    return "".join(steps).removeprefix(".") or "the configuration"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key)


def _place(path: Path, text: str, key: str) -> str:
    """The file, and the line where only one line sets this key or heads this table."""
    name = re.escape(key)
    sets = re.compile(rf"^\s*(?:\[.*)?[\"']?{name}[\"']?\s*(?:=|\]|\.)|[{{,]\s*[\"']?{name}[\"']?\s*=")
    lines = [number for number, line in enumerate(text.split("\n"), 1) if key and sets.search(line)]
    return f"{path}:{lines[0]}" if len(lines) == 1 else str(path)

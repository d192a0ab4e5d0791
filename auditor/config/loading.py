"""Read a configuration file, and those that it extends."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from pathlib import Path
from typing import Any

from auditor.check.decisions import Suppression
from auditor.check.tuning import Tuning, Tunings
from auditor.config.model import Config
from auditor.errors import UsageError
from auditor.model.judgement import Capability, Severity

_SECTION = re.compile(r"^\s*\[+\s*tool\s*\.\s*auditor\s*[].]", re.MULTILINE)
_TABLES = ("severity", "params", "workflow")
_PATHS = ("rules", "baseline")


def load(path: Path) -> Config:
    """The configuration in a file: `[tool.auditor]` of a pyproject.toml, the whole of any other TOML file.

    Paths in it are relative to it. With `extend`, what this file does not say is taken from the other one: tables
    key by key, everything else as a whole; of two globs for workflows that of this file is the later one. Raises
    UsageError, naming the file, and the line where it is known.
    """
    raw, named_in = _extended(path, ())
    fail_on = raw.get("fail_on", Severity.ERROR)
    default = Config()
    return Config(
        path=path,
        fail_on=None if fail_on == "never" else Severity(fail_on),
        max_rejects=raw.get("max_rejects", default.max_rejects),
        require=tuple(Capability(name) for name in raw.get("require", ())),
        select=tuple(raw.get("select", ())),
        ignore=tuple(raw.get("ignore", ())),
        rules=tuple(raw.get("rules", ())),
        rule_seconds=raw.get("rule_seconds", default.rule_seconds),
        now=dt.datetime.fromisoformat(raw["now"]) if "now" in raw else None,
        baseline=raw.get("baseline"),
        tunings=Tunings(_tuning(raw), {glob: _tuning(own) for glob, own in raw.get("workflow", {}).items()}),
        suppressions=tuple(_suppression(row) for row in raw.get("suppressions", ())),
        notify_hosts=tuple(raw.get("notify_hosts", ())),
        named_in=named_in,
    )


def has_section(path: Path) -> bool:
    """Whether a pyproject.toml says anything to us.

    One that is no TOML does, if our section seems to be in it, and so does one that cannot be read: to pass it by
    could weaken an audit without a word.
    """
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return True
    try:
        return _section(tomllib.loads(text)) is not None
    except (ValueError, RecursionError):
        return _SECTION.search(text) is not None


def _section(document: dict[str, Any]) -> Any:
    tool = document.get("tool")
    return tool.get("auditor") if isinstance(tool, dict) else None


def _extended(path: Path, above: tuple[Path, ...]) -> tuple[dict[str, Any], dict[str, Path]]:
    """What a file says with those that it extends, and which of them names what `_names` gives."""
    raw = _read(path)
    resolved = path.resolve()
    if resolved in above:
        raise UsageError(f"{path}: configurations extend each other in a circle; take one `extend` out")
    for key in _PATHS:
        if key in raw:
            raw[key] = _beside(path, raw[key])
    here = dict.fromkeys(_names(raw), path)
    if "extend" not in raw:
        return raw, here
    try:
        under, there = _extended(path.parent / raw.pop("extend"), (*above, resolved))
    except UsageError as error:
        raise UsageError(f"{error} ({path} extends it)") from None
    merged = _merged(under, raw)
    return merged, {name: (there | here)[name] for name in _names(merged)}


def _names(raw: dict[str, Any]) -> set[str]:
    """The rules and groups that a configuration names, and the parameters, as `rule.parameter`."""
    tunings = [raw, *raw.get("workflow", {}).values()]
    suppressed = [row["rule"] for row in raw.get("suppressions", ())]
    severities = [rule for tuning in tunings for rule in tuning.get("severity", {})]
    params = [row for tuning in tunings for row in tuning.get("params", {}).items()]
    return {
        *(*raw.get("select", ()), *raw.get("ignore", ()), *suppressed, *severities),
        *(rule for rule, _ in params),
        *(f"{rule}.{name}" for rule, values in params for name in values),
    }


def _beside(path: Path, names: str | list[str]) -> Path | list[Path]:
    return path.parent / names if isinstance(names, str) else [path.parent / name for name in names]


def _merged(under: dict[str, Any], over: dict[str, Any], tables: tuple[str, ...] = _TABLES) -> dict[str, Any]:
    # What `over` says comes last: the order of globs says which one wins.
    merged = {key: value for key, value in under.items() if key not in over} | over
    for key in under.keys() & over.keys():
        if key in tables or (not tables and isinstance(over[key], dict)):
            merged[key] = _merged(under[key], over[key], ())
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: the configuration is not UTF-8") from None
    except OSError as error:
        raise UsageError(f"{path}: the configuration cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise UsageError(f"{path}: this is no name of a configuration: {error}") from None
    try:
        return _valid(path, text)
    except RecursionError:
        raise UsageError(f"{path}: the configuration is nested too deeply") from None


def _valid(path: Path, text: str) -> dict[str, Any]:
    try:
        document: Any = tomllib.loads(text)
    except ValueError as error:
        raise UsageError(f"{path}: the configuration is not TOML: {error}") from None
    if path.name == "pyproject.toml" and (document := _section(document)) is None:
        raise UsageError(f"{path}: there is no [tool.auditor] in it")
    from auditor.config.validation import validated  # noqa: PLC0415 - slow, and most audits have no configuration

    return validated(path, text, document)


def _tuning(raw: dict[str, Any]) -> Tuning:
    severity = {rule: Severity(word) for rule, word in raw.get("severity", {}).items()}
    return Tuning(severity, raw.get("params", {}))


def _suppression(row: dict[str, Any]) -> Suppression:
    expires = dt.date.fromisoformat(row["expires"]) if "expires" in row else None
    return Suppression(**(row | {"expires": expires}))

"""A rule file: a YAML header and Markdown in one block comment, then one SELECT.

    /*
    title: A step was started again after its outcome
    severity:
      - {when: run.tolerates_restart, is: info}
      - {is: error}
    confidence: proof
    needs: [complete]
    implies: [runtime-corruption-verdict]
    only_with: [accusation]
    since: 0.1.0
    params:
      grace_seconds: {default: 60, meaning: how long ...}
    diagnosis: Step {step of outcome} is started again after its outcome[ by {sites of started again}].
    ---
    ## What it means
    ...
    */
    SELECT run_id, [witness('outcome', event_no), ...] AS witness, format(...) AS because FROM ...

The file's name is the rule's id, its folder the rule's group. The SELECT may return more columns; a `when` may
use them as `finding.<column>`, and those of the relation `run` as `run.<column>`.

`implies` names the rules whose findings are consequences; its own, if the first in a run brings the later ones. A
rule of a user can name rules of users only.

`only_with` saves work: in a log without an event of one of these types, and without any of the rows that CONTENTS
names, there is nothing that the rule could find, so it holds.

`diagnosis` is the sentence for all findings of one cause, and says how far findings differ to have two; without
it, all findings of the rule have one, and its title is the sentence. What it may ask for is in `diagnosis.py`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from auditor.check import front_matter
from auditor.check.diagnosis import Diagnosis
from auditor.errors import RuleFileError
from auditor.model.events import EventType
from auditor.model.judgement import Capability, Confidence, Severity

HEADINGS = (
    "What it means",
    "Why it happens",
    "Example",
    "How to confirm",
    "What to do",
    "When it is wrong",
    "References",
)
"""The headings of every rule's explanation, in this order."""

CONTENTS = {
    "accusation": "accusation",
    "after_terminal": "run WHERE last_position > terminal_position",
    "awaiting": "event_core JOIN event_more USING (event_no) WHERE awaiting IS NOT NULL",
    "gap": "run WHERE gap IS NOT NULL",
    "in_band": "event_core JOIN event_more USING (event_no) WHERE in_band IS NOT NULL",
    "open_run": "run WHERE status = 'running'",
    "refusal": "refusal",
    "restart": "entity WHERE started > 1",
    "runtime_verdict": "run WHERE runtime_signature IS NOT NULL",
}
"""In `only_with`, beside types of events: rows that most logs have none of."""

_LARGEST_FILE = 1024**2
_SHOWN = 100
_LONGEST_LIST = 300

_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_W = TypeVar("_W", Confidence, Severity, Capability, EventType)
_KEYS = {
    "title",
    "severity",
    "confidence",
    "needs",
    "implies",
    "since",
    "params",
    "about",
    "reads",
    "only_with",
    "diagnosis",
}


@dataclass(frozen=True, slots=True)
class SeverityCase:
    """One row of a rule's severity: `severity` where the SQL condition `when` holds; the last has none.

    `configured`: the user says so, not the rule.
    """

    when: str | None
    severity: Severity
    configured: bool = False


@dataclass(frozen=True, slots=True)
class Param:
    """A number that a user may set, with what it means."""

    name: str
    default: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, as its file declares it."""

    id: str
    group: str
    path: Path
    origin: str | None
    title: str
    severity: tuple[SeverityCase, ...]
    confidence: Confidence
    needs: tuple[Capability, ...]
    implies: tuple[str, ...]
    only_with: tuple[str, ...]
    since: str
    params: tuple[Param, ...]
    about: str
    reads_findings: bool
    diagnosis: Diagnosis | None
    document: str
    select: str
    select_line: int

    @property
    def version(self) -> str:
        """A digest of all that can change this rule's findings; the explanation is not part of it."""
        parts = [
            self.select,
            [[case.when, case.severity] for case in self.severity],
            self.confidence,
            self.needs,
            self.only_with,
            [[param.name, param.default] for param in self.params],
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]

    @property
    def worst(self) -> Severity:
        """The highest severity the rule can give."""
        return max((case.severity for case in self.severity), key=lambda severity: severity.rank)

    @property
    def mildest(self) -> Severity:
        """The lowest severity the rule itself can give: what it says where a version is unknown."""
        own = [case.severity for case in self.severity if not case.configured]
        return min(own or [case.severity for case in self.severity], key=lambda severity: severity.rank)


def parse(path: Path, origin: str | None = None) -> Rule:
    """Read one rule file; `origin` is the folder that a user named for it, None for ours.

    Raises RuleFileError, naming file and line, if it is not as a rule must be.
    """
    text = _text_of(path)
    opening, headed, rest = text.partition("\n---\n")
    document, commented, after = rest.partition("*/\n")
    if not (opening.startswith("/*\n") and headed and commented):
        raise RuleFileError(path, "must be a /* header --- Markdown */ comment, then one SELECT", 1)
    if not _ID.fullmatch(path.stem):
        raise RuleFileError(path, f"a rule id is kebab-case, {path.stem!r} is not")
    if origin is not None and not _ID.fullmatch(path.parent.name):
        raise RuleFileError(
            path, f"a group, which is the folder of a rule, is kebab-case; {path.parent.name!r} is not"
        )
    header = _header(path, opening.removeprefix("/*\n"))
    if origin is not None and "reads" in header:
        raise RuleFileError(path, "a rule of your own cannot read what other rules find; leave out `reads`", 2)
    document, select = document.strip(), after.lstrip()
    _check_headings(path, document, opening.count("\n") + 3)
    return Rule(
        id=path.stem,
        group=path.parent.name,
        path=path,
        origin=origin,
        title=_text(path, header, "title"),
        severity=_severity(path, header.get("severity")),
        confidence=_word(path, "confidence", header.get("confidence"), Confidence),
        needs=tuple(_word(path, "needs", name, Capability) for name in _list(path, header, "needs")),
        implies=tuple(_rule_id(path, name) for name in _list(path, header, "implies")),
        only_with=tuple(_event_type(path, name) for name in _list(path, header, "only_with")),
        since=_text(path, header, "since"),
        params=_params(path, header.get("params", {})),
        about=_about(path, header.get("about", "log")),
        reads_findings="finding" in _list(path, header, "reads"),
        diagnosis=_diagnosis(path, header, select),
        document=document,
        select=select.rstrip().rstrip(";"),
        select_line=text[: len(text) - len(select)].count("\n") + 1,
    )


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise RuleFileError(path, f"is larger than {_LARGEST_FILE:,} bytes")
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise RuleFileError(path, "is not UTF-8") from None
    except OSError as error:
        raise RuleFileError(path, f"cannot be read: {error.strerror or error}") from None


def _header(path: Path, text: str) -> dict[str, Any]:
    try:
        header = front_matter.read(text)
    except front_matter.NotAHeader as error:
        raise RuleFileError(path, str(error), None if error.line is None else error.line + 2) from None
    if unknown := sorted(header.keys() - _KEYS):
        raise RuleFileError(
            path, f"unknown header key {_shown(unknown[0])}; known are {', '.join(sorted(_KEYS))}", 2
        )
    return header


def _shown(value: Any) -> str:
    """What stands in a header, as far as an error repeats it."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _check_headings(path: Path, document: str, first_line: int) -> None:
    found = re.findall(r"^## (.+)$", document, re.MULTILINE)
    if tuple(found) != HEADINGS:
        wanted, there = " / ".join(HEADINGS), " / ".join(found)
        raise RuleFileError(path, f"the headings must be: {wanted}; found: {there[:_LONGEST_LIST]}", first_line)


def _text(path: Path, header: dict[str, Any], key: str) -> str:
    value = header.get(key)
    if not isinstance(value, str) or not value.strip():
        raise RuleFileError(path, f"the header has no {key}", 2)
    return value.strip()


def _list(path: Path, header: dict[str, Any], key: str) -> list[Any]:
    values = header.get(key, [])
    if not isinstance(values, list):
        raise RuleFileError(path, f"{key} is {_shown(values)}, not a list", 2)
    return values


def _word(path: Path, key: str, value: Any, words: type[_W]) -> _W:
    try:
        return words(value)
    except ValueError:
        known = ", ".join(word.value for word in words)
        raise RuleFileError(path, f"{key} is {_shown(value)}, not one of {known}", 2) from None


def _rule_id(path: Path, value: Any) -> str:
    if not isinstance(value, str):
        raise RuleFileError(path, f"implies holds {_shown(value)}, which is no id of a rule", 2)
    return value


def _event_type(path: Path, value: Any) -> str:
    return (
        str(value)
        if isinstance(value, str) and value in CONTENTS
        else _word(path, "only_with", value, EventType).value
    )


def _severity(path: Path, value: Any) -> tuple[SeverityCase, ...]:
    if isinstance(value, str):
        return (SeverityCase(None, _word(path, "severity", value, Severity)),)
    if not isinstance(value, list) or not value:
        raise RuleFileError(path, "severity is neither a word nor a list of {when, is}", 2)
    cases = tuple(
        SeverityCase(case.get("when"), _word(path, "severity", case.get("is"), Severity))
        for case in value
        if isinstance(case, dict)
    )
    if len(cases) != len(value) or cases[-1].when is not None or any(c.when is None for c in cases[:-1]):
        raise RuleFileError(path, "every row of severity but the last has a `when`, and only the last has none", 2)
    if wrong := [case.when for case in cases[:-1] if not isinstance(case.when, str)]:
        raise RuleFileError(path, f"a `when` of severity is {_shown(wrong[0])}, not a condition in SQL", 2)
    return cases


def _params(path: Path, values: Any) -> tuple[Param, ...]:
    if not isinstance(values, dict):
        raise RuleFileError(path, f"params is {_shown(values)}, not a mapping of names to {{default, meaning}}", 2)
    return tuple(_param(path, name, value) for name, value in values.items())


def _param(path: Path, name: str, value: Any) -> Param:
    said = value if isinstance(value, dict) else {}
    default, meaning = _number(said.get("default")), said.get("meaning", "")
    if default is None or not isinstance(meaning, str):
        raise RuleFileError(path, f"param {_shown(name)} needs a numeric `default` and a `meaning`", 2)
    return Param(name, default, meaning)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _diagnosis(path: Path, header: dict[str, Any], select: str) -> Diagnosis | None:
    if "diagnosis" not in header:
        return None
    try:
        diagnosis = Diagnosis.parse(_text(path, header, "diagnosis"))
    except ValueError as error:
        raise RuleFileError(path, f"the diagnosis {error}", 2) from None
    roles = {placeholder.role for placeholder in diagnosis.placeholders if placeholder.role}
    if unknown := sorted(role for role in roles if f"'{role}'" not in select):
        raise RuleFileError(path, f"the diagnosis names the role {unknown[0]!r}, which no witness has", 2)
    return diagnosis


def _about(path: Path, value: Any) -> str:
    if value not in ("log", "runtime"):
        raise RuleFileError(path, f"about is {_shown(value)}, not log or runtime", 2)
    return str(value)

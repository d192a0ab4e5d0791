"""A baseline: the findings that are known today, as sorted JSON Lines (`auditor.baseline/v1`).

It is debt, not a decision: what is in it does not fail a check, what is not in it does. By `pattern` an entry
names a bug, and how many findings of it are known; by `instance` single occurrences. No path, line or time stands
in it, so the file changes only when the findings do.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor import schemas
from auditor.errors import UsageError

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

SCHEMA = "auditor.baseline/v1"
BY = ("pattern", "instance")
"""What the entries of a baseline may name."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """Up to `count` findings of this pattern are known; of an instance all are, and `count` is 1.

    `workflow` and `message` are for people.
    """

    rule: str
    fingerprint: str
    count: int
    workflow: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is known, by `pattern` or `instance`; each fingerprint once, in the order of the file."""

    by: str
    entries: tuple[Entry, ...]

    @classmethod
    def of_patterns(cls, known: Iterable[tuple[str, str, int, str | None, str]]) -> Baseline:
        """Of these bugs: rule, fingerprint, how many findings are known, workflow and sentence of each."""
        return cls("pattern", tuple(sorted(Entry(*one) for one in known)))

    def text(self) -> str:
        """The file: the header, then the entries by rule and fingerprint."""
        lines = [{"schema": SCHEMA, "by": self.by}, *(self._line(entry) for entry in self.entries)]
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)

    def _line(self, entry: Entry) -> dict[str, Any]:
        count = {"count": entry.count} if self.by == "pattern" else {}
        return {
            "rule": entry.rule,
            self.by: entry.fingerprint,
            **count,
            "workflow": entry.workflow,
            "message": entry.message,
        }

    def without(self, missing: dict[str, int]) -> Baseline:
        """The same without so many findings of these fingerprints: what is resolved is known no more."""
        fewer = (replace(entry, count=entry.count - missing.get(entry.fingerprint, 0)) for entry in self.entries)
        return Baseline(self.by, tuple(entry for entry in fewer if entry.count > 0))


@dataclass(frozen=True, slots=True)
class Change:
    """What a rewritten baseline says of one fingerprint: how many findings were known, and how many will be."""

    entry: Entry
    before: int
    after: int


def changes(old: Baseline | None, new: Baseline) -> list[Change]:
    """What differs between two baselines, by rule and fingerprint; all of it, if they name different things."""
    before = {entry.fingerprint: entry for entry in (old.entries if old else ())}
    after = {entry.fingerprint: entry for entry in new.entries}
    found = [
        Change(after.get(name) or before[name], _count(before.get(name)), _count(after.get(name)))
        for name in before.keys() | after.keys()
    ]
    return sorted((c for c in found if c.before != c.after), key=lambda c: (c.entry.rule, c.entry.fingerprint))


def _count(entry: Entry | None) -> int:
    return entry.count if entry else 0


def known_now(
    by: str,
    findings: Iterable[tuple[str, str, str | None, str]],
    old: Baseline | None = None,
    unasked: Collection[str] = (),
) -> Baseline:
    """The baseline of these findings: (rule, fingerprint, workflow, sentence) each, the first sentence kept.

    What `old`, by the same, says of a fingerprint in words stays, so that a rewritten file differs only where
    findings do. Its entries of the rules in `unasked` stay as they are: nobody looked for them.
    """
    entries = {entry.fingerprint: entry for entry in (old.entries if old else ())}
    counts = Counter({name: entry.count for name, entry in entries.items() if entry.rule in unasked})
    for rule, fingerprint, workflow, message in findings:
        counts[fingerprint] += 1
        entries.setdefault(fingerprint, Entry(rule, fingerprint, 1, workflow, message))
    known = (replace(entries[name], count=count if by == "pattern" else 1) for name, count in counts.items())
    return Baseline(by, tuple(sorted(known)))


def read(path: Path) -> Baseline:
    """Read a baseline file. Raises UsageError, naming file and line, if there is none or it is damaged.

    A damaged baseline is an error and never an empty one, which would make everything new, or a partial one, which
    would hide what was cut off.
    """
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such baseline; `auditor baseline write` makes one") from None
    except UnicodeDecodeError as error:
        raise _damaged(path, error.object.count(b"\n", 0, error.start) + 1, "is not UTF-8") from None
    except OSError as error:
        raise UsageError(f"{path}: the baseline cannot be read: {error.strerror or error}") from None
    lines = text.split("\n")
    if lines[-1]:
        raise _damaged(path, len(lines), "has no end of line: the file was cut off")
    header, *rows = [_json(path, number, line) for number, line in enumerate(lines[:-1], 1)] or [None]
    _check(path, 1, header, "header")
    by = str(header["by"])
    for number, row in enumerate(rows, 2):
        _check(path, number, row, f"{by}Entry")
    entries = [
        Entry(row["rule"], row[by], int(row.get("count", 1)), row["workflow"], row["message"]) for row in rows
    ]
    _check_order(path, entries)
    return Baseline(by, tuple(entries))


def _json(path: Path, number: int, line: str) -> Any:
    try:
        value = json.loads(line)
        # JSON can spell NaN and half of a surrogate pair; a file in UTF-8 and an audit cannot hold them.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise _damaged(path, number, f"is not JSON: {error}") from None
    return value


@cache
def _validator(kind: str) -> Draft202012Validator:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - slow, and most audits have no baseline

    schema = json.loads(schemas.text("baseline"))
    return Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]})


def _check(path: Path, number: int, value: Any, kind: str) -> None:
    if (error := next(iter(_validator(kind).iter_errors(value)), None)) is not None:
        raise _damaged(path, number, f"is no {kind} of {SCHEMA}: {error.message[:200]}")


def _check_order(path: Path, entries: Sequence[Entry]) -> None:
    lines: dict[str, int] = {}
    last = ("", "")
    for number, entry in enumerate(entries, 2):
        if (first := lines.setdefault(entry.fingerprint, number)) != number:
            raise _damaged(path, number, f"repeats the fingerprint of line {first}")
        if last > (last := (entry.rule, entry.fingerprint)):
            raise _damaged(path, number, "is not in order: entries are sorted by rule and fingerprint")


def _damaged(path: Path, number: int, what: str) -> UsageError:
    return UsageError(
        f"{path}:{number}: this line of the baseline {what}; mend it, restore it, or remove it and write it anew"
    )

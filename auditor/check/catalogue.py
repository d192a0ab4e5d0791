"""The rules that exist, and which of them an audit uses."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from auditor.check.header import Rule, parse
from auditor.errors import RuleFileError, UnknownRule, UsageError
from auditor.resources import rules_folder

MOST_FILES = 100_000
"""Files and folders in a folder of rules, samples aside."""


def load(folders: Sequence[Path] = ()) -> dict[str, Rule]:
    """Every rule, ours and those in the folders of a user, by id, in the order of their ids.

    Raises UsageError for a folder without rules, RuleFileError for a rule that is malformed, has the id of another
    one, or implies anything but rules of a user.
    """
    rules = {rule.id: rule for rule in _ours()}
    custom = [rule for folder in dict.fromkeys(folders) for rule in of_folder(folder)]
    for rule in custom:
        if rule.id in rules:
            raise RuleFileError(rule.path, f"there is another rule of this name: {rules[rule.id].path}")
        rules[rule.id] = rule
    by_id = {rule.id: rule for rule in custom}
    for rule in custom:
        _check_implications(rule, by_id)
    return dict(sorted(rules.items()))


def of_folder(folder: Path) -> list[Rule]:
    """The rules of a user. Raises UsageError if there are none, RuleFileError if one is malformed or misplaced."""
    rules = [parse(path, str(folder)) for path in rule_files(folder)]
    if not rules:
        raise UsageError(f"{folder}: no rule is in there; a rule is a file <group>/<rule-id>.sql")
    return rules


def rule_files(folder: Path) -> list[Path]:
    """The files of a user's rules, <group>/<rule-id>.sql, in order; what lies in folders of samples is none.

    Raises UsageError if there is no such folder, RuleFileError for SQL in any other place: who put it there
    believes that it is evaluated.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder of rules")
    found = sorted(path for path in _files(folder) if path.suffix.lower() == ".sql")
    for path in found:
        if path.suffix != ".sql" or path.parent.parent != folder:
            raise RuleFileError(path, f"a rule stands at {folder}/<group>/<rule-id>.sql; move it there, or away")
    return found


def _files(folder: Path) -> Iterator[Path]:
    """Every file in a folder, wherever links lead, each place once; not those in folders of samples."""
    number = 0
    been = set[str]()
    for top, folders, names in os.walk(folder, followlinks=True, onerror=_unreadable):
        if (place := os.path.realpath(top)) in been:
            folders.clear()
            continue
        been.add(place)
        folders[:] = sorted(name for name in folders if Path(top) == folder or not name.endswith(".samples"))
        number += len(folders) + len(names)
        if number > MOST_FILES:
            raise UsageError(f"{folder}: more than {MOST_FILES:,} files are in there; name a folder of rules only")
        yield from (Path(top, name) for name in names)


def _unreadable(error: OSError) -> None:
    raise RuleFileError(error.filename, f"cannot be read: {error.strerror or error}")


@cache
def _ours() -> tuple[Rule, ...]:
    return tuple(parse(path) for path in sorted(rules_folder().glob("*/*.sql")))


def _check_implications(rule: Rule, custom: dict[str, Rule]) -> None:
    """A rule of a user may imply only rules of users: what is decided about it must not hide what ours find.

    Two rules that imply each other would each fold under the other, and nothing would be left to report.
    """
    waiting, reached = [id for id in rule.implies if id != rule.id], set()
    while waiting:
        id = waiting.pop()
        if id == rule.id:
            raise RuleFileError(rule.path, "it implies rules that imply it", 2)
        if id not in custom:
            raise RuleFileError(rule.path, _not_implied(id, custom), 2)
        if id not in reached:
            reached.add(id)
            waiting.extend(custom[id].implies)


def _not_implied(id: str, custom: dict[str, Rule]) -> str:
    if any(rule.id == id for rule in _ours()):
        return f"it implies {id}, one of our rules; a rule of your own can imply only rules of your own"
    return f"in `implies`: {UnknownRule(id, custom)}"


def choose(rules: dict[str, Rule], select: Sequence[str] = (), ignore: Sequence[str] = ()) -> list[Rule]:
    """The rules named by `select` (all, if empty) without those named by `ignore`; each a rule id or a group.

    Raises UnknownRule, with near matches, for a name that is neither.
    """
    chosen = _expand(rules, select) if select else set(rules)
    chosen -= _expand(rules, ignore)
    if not chosen:
        raise UsageError("--select and --ignore leave no rule to check")
    return [rule for id, rule in rules.items() if id in chosen]


def find(rules: dict[str, Rule], name: str) -> Rule:
    """One rule by id. Raises UnknownRule with near matches."""
    if name not in rules:
        raise UnknownRule(name, rules)
    return rules[name]


def _expand(rules: dict[str, Rule], names: Iterable[str]) -> set[str]:
    groups = {rule.group for rule in rules.values()}
    ids: set[str] = set()
    for name in names:
        if name in rules:
            ids.add(name)
        elif name in groups:
            ids |= {id for id, rule in rules.items() if rule.group == name}
        else:
            raise UnknownRule(name, [*rules, *groups])
    return ids

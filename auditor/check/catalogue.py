"""The rules that exist, and which of them an audit uses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from auditor.check.header import Rule, parse
from auditor.errors import RuleFileError, UnknownRule, UsageError
from auditor.resources import rules_folder


def load(folders: Sequence[Path] = ()) -> dict[str, Rule]:
    """Every rule, ours and those in the folders of a user, by id, in the order of their ids.

    Raises UsageError for a folder without rules, RuleFileError for a rule that is malformed, has the id of another
    one, or implies a rule that there is not.
    """
    rules = {rule.id: rule for rule in _ours()}
    custom = [rule for folder in dict.fromkeys(folders) for rule in of_folder(folder)]
    for rule in custom:
        if rule.id in rules:
            raise RuleFileError(rule.path, f"there is another rule of this name: {rules[rule.id].path}")
        rules[rule.id] = rule
    for rule in custom:
        _check_implications(rule, rules)
    return dict(sorted(rules.items()))


def of_folder(folder: Path) -> list[Rule]:
    """The rules of a user. Raises UsageError if there are none, RuleFileError if one is malformed."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder of rules")
    rules = [parse(path, str(folder)) for path in sorted(folder.glob("*/*.sql"))]
    if not rules:
        raise UsageError(f"{folder}: no rule is in there; a rule is a file <group>/<rule-id>.sql")
    return rules


@cache
def _ours() -> tuple[Rule, ...]:
    return tuple(parse(path) for path in sorted(rules_folder().glob("*/*.sql")))


def _check_implications(rule: Rule, rules: dict[str, Rule]) -> None:
    """Two rules that imply each other would each fold under the other, and nothing would be left to report."""
    waiting, reached = [id for id in rule.implies if id != rule.id], set()
    while waiting:
        id = waiting.pop()
        if id == rule.id:
            raise RuleFileError(rule.path, "it implies rules that imply it", 2)
        if id not in rules:
            raise RuleFileError(rule.path, f"it implies {UnknownRule(id, rules)}", 2)
        if id not in reached:
            reached.add(id)
            waiting.extend(rules[id].implies)


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

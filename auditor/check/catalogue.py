"""The rules that exist, and which of them an audit uses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from auditor.check.header import Rule, parse
from auditor.errors import UnknownRule, UsageError


def rules_folder() -> Path:
    """Where the rules are: `auditor/_rules` in an installed wheel, `rules/` in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_rules", package.parent / "rules"):
        if folder.is_dir():
            return folder
    raise UsageError(f"the rules are missing beside {package}; install auditor again")


def load(folder: Path | None = None) -> dict[str, Rule]:
    """Every rule, by id, in the order of their ids. Raises RuleFileError if one is malformed."""
    return dict(_parsed(folder or rules_folder()))


@cache
def _parsed(root: Path) -> tuple[tuple[str, Rule], ...]:
    rules = (parse(path) for path in sorted(root.glob("*/*.sql")))
    return tuple(sorted((rule.id, rule) for rule in rules))


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

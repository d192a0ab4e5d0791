"""Rules of one's own: files <group>/<rule-id>.sql in the folder `rules` of the dashboard.

Every later audit takes part of them: the worker hands the folder to `auditor.audit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from auditor import Rule, RuleFileError, read_rule, rules

from .state import State


@dataclass(frozen=True, slots=True)
class CustomRules:
    """The rules of one dashboard, and what is noted when somebody changes them."""

    folder: Path
    state: State

    def catalogue(self) -> list[Rule]:
        """Every rule, ours and these. Raises RuleFileError if a file was put there by hand and is no rule."""
        return rules([self.folder] if holds_rules(self.folder) else [])

    def names(self) -> list[str]:
        """Each as `group/rule-id`."""
        return sorted(str(path.relative_to(self.folder).with_suffix("")) for path in self.folder.glob("*/*.sql"))

    def text(self, name: str) -> str:
        """The text of one of them."""
        return self._existing(name).read_text("utf-8")

    def save(self, group: str, rule_id: str, text: str, who: str) -> Rule:
        """Keep a rule, in place of the one of this name. Raises RuleFileError if it may not be."""
        rule = read_rule(text, group, rule_id)
        name = f"{rule.group}/{rule.id}"
        if other := next(
            (known for known in self.names() if known != name and known.endswith(f"/{rule.id}")), None
        ):
            raise RuleFileError(f"{name}.sql", f"there is a rule of this name already: {other}")
        path = self.folder / rule.group / f"{rule.id}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        # An audit may begin at any time: it finds the old text, or the new one.
        part = path.with_suffix(".part")
        part.write_text(text, "utf-8", newline="\n")
        part.replace(path)
        with self.state.change() as con:
            self.state.note(con, who, "rule saved", name, version=rule.version, text=text)
        return rule

    def delete(self, name: str, who: str) -> None:
        """Remove one of them; audits that are made already keep what it found."""
        path = self._existing(name)
        with self.state.change() as con:
            self.state.note(con, who, "rule deleted", name, text=path.read_text("utf-8"))
        path.unlink()

    def _existing(self, name: str) -> Path:
        if name not in self.names():
            raise RuleFileError(name, "there is no such rule")
        return self.folder / f"{name}.sql"


def holds_rules(folder: Path) -> bool:
    """Whether there is SQL in a folder, even where no rule stands: then reading it is an error that says so."""
    found = (*folder.glob("*/*"), *folder.rglob("*"))
    return any(path.suffix.lower() == ".sql" for path in found)

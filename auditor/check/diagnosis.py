"""One sentence for findings of one cause, filled in from their witnesses.

    Writes of {event types of stale write} are accepted from snapshots that missed {event types of missed}.
    Fences are dropped on {event types of written without a fence}[ at {sites}].
    Nothing starts step {step of created}.

    Fences are dropped on[ {class of written without a fence}:] {event types of written without a fence}.

`{facts}` lists what all witnesses say, `{facts of role}` only those of that role. A part in square brackets is
left out where a fact in it is unknown; where one outside of them is, the rule's title stands for the sentence.

A fact in the plural is a list and joins: findings that differ in it have one cause. In the singular it divides:
one cause for each value. So a cause is never finer than its sentence, and a pattern never has two of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

FACTS = {
    "class": "class",
    "event types": "event_type",
    "steps": "step",
    "entities": "entity",
    "sites": "site",
    "fences": "fence",
    "workflows": "workflow",
}
"""What can be listed: types of events, names of steps, kinds of entities, sites and fence kinds of writes. The
`class` is the name that all those types of events have in common, if there are several and they have one."""

DIVIDING = {"event type": "event_type", "step": "step", "workflow": "workflow"}
"""What can divide. All of it is part of the fingerprint `pattern`."""

FENCED_TYPES = "fenced types"
"""The one fact that is not of witnesses: the types of decision writes that carry a fence wherever they are."""

CLASSES = {
    "terminal event types": {"run_completed", "run_failed"},
    "lazily resolved event types": {"wait_completed", "run_completed", "run_failed"},
    "creations": {"hook_created", "step_created", "wait_created"},
}
"""Types of decision writes that one path of a writer sends, the narrowest first (lazily: vercel/workflow#2113)."""

SHOWN = 5
"""Values of one fact that a sentence names; the others are counted."""

_TOKEN = re.compile(r"\{(?P<fact>[^{}\[\]]*)\}|(?P<bracket>[\[\]])|(?P<text>[^{}\[\]]+)|(?P<stray>[{}])")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A fact that a sentence asks for: a column of the witnesses, of one role if it names one."""

    fact: str
    role: str | None
    divides: bool


@dataclass(frozen=True, slots=True)
class _Part:
    pieces: tuple[str | Placeholder, ...]
    optional: bool = False

    def placeholders(self) -> Iterator[Placeholder]:
        return (piece for piece in self.pieces if isinstance(piece, Placeholder))


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A sentence with placeholders, as a rule's header gives it."""

    parts: tuple[_Part, ...]

    @classmethod
    def parse(cls, text: str) -> Diagnosis:
        """Read a template. Raises ValueError, saying what is wrong, if it is none."""
        parts: list[_Part] = []
        pieces: list[str | Placeholder] = []
        inside = False
        for token in _TOKEN.finditer(text):
            if token["stray"] or (token["bracket"] and inside is (token["bracket"] == "[")):
                raise ValueError(f"has a {token[0]!r} without its other half, or inside another")
            if token["bracket"]:
                parts.append(_Part(tuple(pieces), inside))
                pieces, inside = [], not inside
            else:
                pieces.append(token["text"] or _placeholder(token["fact"]))
        if inside:
            raise ValueError("has a '[' without its other half")
        return cls((*parts, _Part(tuple(pieces))))

    @property
    def placeholders(self) -> tuple[Placeholder, ...]:
        """Every placeholder once, in the order of the sentence."""
        return tuple(dict.fromkeys(placeholder for part in self.parts for placeholder in part.placeholders()))

    @property
    def subject(self) -> str | None:
        """The role that the sentence is about: the first that it names."""
        return next((placeholder.role for placeholder in self.placeholders if placeholder.role), None)

    def sentence(self, values: Mapping[Placeholder, Sequence[str]]) -> str | None:
        """The sentence with these values; None if it cannot be said."""
        words = {asked: _words(asked, values.get(asked, ())) for asked in self.placeholders}
        told = []
        for part in self.parts:
            if all(words[asked] for asked in part.placeholders()):
                told += [piece if isinstance(piece, str) else words[piece] for piece in part.pieces]
            elif not part.optional:
                return None
        return "".join(told)


def _placeholder(text: str) -> Placeholder:
    name, _, role = text.partition(" of ")
    if text == FENCED_TYPES:
        return Placeholder(FENCED_TYPES, None, divides=False)
    if name in FACTS:
        return Placeholder(FACTS[name], role or None, divides=False)
    if name in DIVIDING:
        return Placeholder(DIVIDING[name], role or None, divides=True)
    known = ", ".join([*FACTS, *DIVIDING, FENCED_TYPES])
    raise ValueError(f"asks for {text!r}, which is none of {known}")


def _words(asked: Placeholder, values: Sequence[str]) -> str:
    if asked.fact != "class":
        return _listed(values)
    names = (name for name, types in CLASSES.items() if len(values) > 1 and types.issuperset(values))
    return next(names, "")


def _listed(values: Sequence[str]) -> str:
    """The values as a person says them: a, b and c. Names of the SDK lose their modules if they still differ."""
    names = [value.rsplit("//", 1)[-1] for value in values]
    if len(set(names)) < len(values):
        names = list(values)
    rest = len(names) - SHOWN
    shown = [*names[:SHOWN], f"{rest} more"] if rest > 1 else names
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))

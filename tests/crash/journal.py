"""What a writer wanted and what it was told, in a file that outlives it.

One line before each request and one after each answer, each written with one system call to a file that is opened
for appending: what a killed process had written is in the file. A line that it was writing when it died may be
torn; then the request was not sent, or its answer counts as never received.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from auditor.model.events import EventType, FenceKind
from auditor.world import Appended, Fence, NewEvent

Place = tuple[int, str]
"""Where an event was said to be: its position and its id."""


@dataclass(frozen=True)
class Intent:
    """One request to append, word for word, so that another process can send it again."""

    request: str
    run: str
    events: list[list[Any]]
    fence: list[str | None]
    key: str | None

    @classmethod
    def of(cls, request: str, run: str, events: Iterable[NewEvent], fence: Fence, key: str | None) -> Intent:
        told = [[e.event_type.value, e.correlation_id, e.data, e.resume_id] for e in events]
        return cls(request, run, told, [fence.kind.value, fence.value, fence.reason], key)

    @property
    def sent(self) -> list[NewEvent]:
        return [NewEvent(EventType(kind), entity, data, resume) for kind, entity, data, resume in self.events]

    @property
    def condition(self) -> Fence:
        kind, value, reason = self.fence
        return Fence(FenceKind(str(kind)), value, reason)

    @property
    def resume(self) -> str | None:
        return self.events[0][3]


@dataclass
class History:
    """What all writers wanted, and what became of it as far as they know."""

    intents: dict[str, Intent] = field(default_factory=dict)
    acknowledged: dict[str, list[Place]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    leases_given_back: set[str] = field(default_factory=set)
    points: set[str] = field(default_factory=set)

    @property
    def unanswered(self) -> list[Intent]:
        """What a client that comes up again must send again."""
        known = self.acknowledged.keys() | self.refused.keys()
        return [intent for request, intent in self.intents.items() if request not in known]

    def learn(self, line: bytes) -> None:
        try:
            record = json.loads(line)
        except ValueError:  # torn
            return
        if "wants" in record:
            intent = Intent(**record["wants"])
            self.intents[intent.request] = intent
        elif "done" in record:
            self.acknowledged[record["done"]] = [(at, event) for at, event in record["events"]]
        elif "refused" in record:
            self.refused[record["refused"]] = record["code"]
        elif "lease" in record:
            self.leases_given_back.add(record["lease"])
        elif "points" in record:
            self.points |= set(record["points"])


class Journal:
    """The end of the file that a writer holds."""

    def __init__(self, path: Path) -> None:
        torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        if torn:
            os.write(self._fd, b"\n")

    def wants(self, intent: Intent) -> None:
        self._write({"wants": asdict(intent)})

    def done(self, request: str, appended: Appended) -> None:
        self._write({"done": request, "events": [[e.position, e.event_id] for e in appended.events]})

    def refused(self, request: str, code: str) -> None:
        self._write({"refused": request, "code": code})

    def gave_back(self, lease: str) -> None:
        self._write({"lease": lease})

    def saw(self, points: Iterable[str]) -> None:
        self._write({"points": sorted(points)})

    def _write(self, record: dict[str, Any]) -> None:
        os.write(self._fd, json.dumps(record).encode() + b"\n")


class Reading:
    """Follows a journal while it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0

    def into(self, history: History) -> None:
        """Learn the lines that are complete now."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        end = text.rfind(b"\n") + 1
        self._read += end
        for line in text[:end].splitlines():
            history.learn(line)


def read(folder: Path) -> History:
    """The journals of a folder."""
    history = History()
    for path in sorted(folder.glob("*.journal")):
        Reading(path).into(history)
    return history

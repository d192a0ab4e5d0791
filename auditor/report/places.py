"""Where a finding stands in a repository: what an alert or an annotation is attached to."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from auditor.report.standing import seat


@dataclass(frozen=True, slots=True)
class Place:
    """A file and a line of it.

    `path` has `/` and is relative to the folder in which the audit is reported; of what lies elsewhere it is the
    name alone. `inside` says that there is such a file in that folder.
    """

    path: str
    line: int
    inside: bool

    @property
    def uri(self) -> str:
        """The path as a relative URI."""
        return quote(self.path, errors="replace")


class Places:
    """Finds the places of one report, seen from a folder (the current one).

    A record inside an archive is at line 1 of the archive. What was read from stdin, from a URL or from outside of
    the folder is at the configuration file, if that is inside, else at the name of the input: neither a path of
    the machine nor a host or a user of a database is ever in a report.
    """

    def __init__(self, report: dict[str, Any], root: Path | None = None) -> None:
        self._root = root or Path.cwd()
        config = report["audit"]["config"]
        self._config = self._inside(Path(config)) if config is not None else None
        self._known: dict[tuple[str, str], tuple[Place, bool]] = {}

    def of(self, finding: dict[str, Any]) -> Place:
        """Where a finding stands: its last event, else its first record."""
        return self.of_witness(seat(finding))

    def of_witness(self, witness: dict[str, Any]) -> Place:
        """Where a record stands."""
        name, source, line = witness["input"], witness["source"], witness["line"]
        if (name, source) not in self._known:
            file, whole = _holder(Path(name), source)
            place = self._place(name, file)
            self._known[name, source] = place, whole and place.path != self._config
        place, has_lines = self._known[name, source]
        return replace(place, line=line) if has_lines and line is not None else place

    def of_input(self, name: str) -> Place:
        """Where an input stands as a whole."""
        return self._place(name, Path(name))

    def _place(self, name: str, file: Path) -> Place:
        if not _is_remote(name) and (path := self._inside(file)) is not None:
            return Place(path, 1, inside=True)
        if self._config is not None:
            return Place(self._config, 1, inside=True)
        return Place(_short(name), 1, inside=False)

    def _inside(self, path: Path) -> str | None:
        """The path relative to the folder, by its own name or by where links lead; None if it is not in it."""
        # A link that the repository holds is a path of the repository, so links are not followed at first.
        written = Path(os.path.abspath(self._root / path))  # noqa: PTH100
        try:
            views = [(written, self._root), (written.resolve(), self._root.resolve())]
        except (OSError, ValueError):  # links in a circle, or a name that no file can have
            views = [(written, self._root)]
        inside = (here.relative_to(root) for here, root in views if here.is_relative_to(root) and here != root)
        return next((path.as_posix() for path in inside), None)


def _is_remote(name: str) -> bool:
    return name == "<stdin>" or "://" in name


def _short(name: str) -> str:
    if name == "<stdin>":
        return "stdin"
    scheme, remote, rest = name.partition("://")
    if remote:
        return rest.partition("?")[0].partition("/")[2].rpartition("/")[2] or scheme
    return Path(name).name or "input"


def _holder(path: Path, source: str) -> tuple[Path, bool]:
    """The file that holds a source of an input, and whether it is that source itself, not an archive of it."""
    if not path.is_dir():
        return path, source == path.name
    parts = PurePosixPath(source).parts
    file = path
    for number, part in enumerate(parts, 1):
        file /= part
        if _is_file(file):
            return file, number == len(parts)
    return path, False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # names inside an archive may be longer than a file system takes
        return False

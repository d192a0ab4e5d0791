"""Links, and where they lead. None is followed, and none is passed over in silence.

What a link leads to within that which is read, is read under its own name: such a link loses nothing.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence

OUT_OF_A_FOLDER = "is a link out of this folder; links are not followed: name what it points to"
OUT_OF_AN_ARCHIVE = "is a link to what is not in this archive: pack what it points to"
NO_FILE = "is neither a file nor a folder, so it is not read"

MAX_LINKS = 20_000
"""Links of one archive."""

MAX_STEPS = 500
"""Steps from a folder into the next one that a link of an archive may take; as many characters of a path twice."""


def problem_of(path: str, roots: Sequence[str]) -> str | None:
    """Why the link at `path` is a problem; None if it leads into one of these folders, or to one of these files.

    `roots` are absolute, and no links themselves.
    """
    try:
        target = os.path.realpath(path, strict=True)
    except OSError as error:
        return f"is a link that leads nowhere: {error.strerror or error}"
    inside = any(target == root or target.startswith(f"{root.rstrip(os.sep)}{os.sep}") for root in roots)
    return None if inside else OUT_OF_A_FOLDER


class Names:
    """The names in one archive, in any order, and which of its links lead to none of them."""

    def __init__(self) -> None:
        self._held = array("q")  # hashes: an archive may hold millions of names
        self._folder = ""
        self._links: dict[str, str] = {}

    def add(self, name: str) -> None:
        """A file or a folder; so are the folders that it lies in."""
        path = "/".join(_parts(name))
        self._held.append(hash(path))
        folder = path.rpartition("/")[0]
        if folder != self._folder:
            self._folder = folder
            while folder:
                self._held.append(hash(folder))
                folder = folder.rpartition("/")[0]

    def link(self, name: str, target: str, *, hard: bool = False) -> bool:
        """A link; a hard one leads from the top of the archive. False if it is one too many, or too long."""
        parts = _parts(name)
        if len(self._links) == MAX_LINKS or max(len(name), len(target)) > 2 * MAX_STEPS:
            return False
        up = "../" * (len(parts) - 1) if hard else ""
        self._links["/".join(parts)] = up + (target.lstrip("/") if hard else target)
        return True

    def lost(self) -> list[str]:
        """The links that lead out of the archive, to nothing in it, or in a circle."""
        ends = {name: self._end(name) for name in self._links}
        missing = {hash(end) for end in ends.values() if end}
        missing.difference_update(self._held)
        return [name for name, end in ends.items() if end is None or hash(end) in missing]

    def _end(self, name: str) -> str | None:
        """Where a path leads, through all links on the way; the top of the archive is the empty path."""
        left, done = name.split("/")[::-1], list[str]()
        for _ in range(MAX_STEPS):
            if not left:
                return "/".join(done)
            part = left.pop()
            if part == "..":
                if not done:
                    return None
                done.pop()
            elif part not in ("", "."):
                done.append(part)
                if (target := self._links.get("/".join(done))) is not None:
                    if target.startswith("/"):
                        return None
                    done.pop()
                    left += target.split("/")[::-1]
        return None


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]

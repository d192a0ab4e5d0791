"""Find the configuration that holds for some inputs: the closest one upward from each of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from auditor.config.loading import has_section, load
from auditor.config.model import Config
from auditor.errors import UsageError

VARIABLE = "AUDITOR_CONFIG"
"""The environment variable that names the configuration."""

OWN_FILE = "auditor.toml"
SHARED_FILE = "pyproject.toml"
_REPOSITORY = (".git", ".hg", ".jj")


def found(inputs: Sequence[str]) -> Config:
    """The configuration of some inputs where nobody names one: that of VARIABLE, else the one `discover` finds.

    Raises UsageError as `discover` and `load` do.
    """
    named = os.environ.get(VARIABLE)
    path = Path(named) if named else discover(inputs)
    return load(path) if path is not None else Config()


def discover(inputs: Sequence[str]) -> Path | None:
    """The one configuration file that is closest to every input, or None.

    Looked for from the folder of an input (the input itself, if it is a folder) upward to the root of its
    repository, and if there is none, from the current folder; for stdin, URLs and no input only from there. A
    `pyproject.toml` without our section is passed by. Raises UsageError if two inputs are under different ones.
    """
    here = _closest(Path.cwd())
    found = {_of_input(name) or here: name for name in reversed(inputs)}
    if len(found) > 1:
        places = "; ".join(f"{name}: {path or 'none'}" for path, name in reversed(found.items()))
        raise UsageError(
            f"the inputs are under different configurations ({places}); "
            "audit them one by one, or name one with --config"
        )
    return next(iter(found), here)


def _of_input(name: str) -> Path | None:
    path = Path(name)
    try:
        if name == "-" or "://" in name or not path.exists():
            return None
    except OSError:
        return None  # no name of a file; whoever reads it says so
    path = path.resolve()
    return _closest(path if path.is_dir() else path.parent)


def _closest(folder: Path) -> Path | None:
    found = next((path for upper in _upward(folder) for path in _in_folder(upper)), None)
    here = Path.cwd()
    # As a person in this folder names it: a report does not say where on a machine it was made.
    return found.relative_to(here) if found is not None and found.is_relative_to(here) else found


def _upward(folder: Path) -> Iterator[Path]:
    for upper in (folder, *folder.parents):
        yield upper
        if any((upper / mark).exists() for mark in _REPOSITORY):
            return


def _in_folder(folder: Path) -> Iterator[Path]:
    if (own := folder / OWN_FILE).is_file():
        yield own
    elif (shared := folder / SHARED_FILE).is_file() and has_section(shared):
        yield shared

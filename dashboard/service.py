"""The one thing that pages and API share in a process: settings, audits, the worker that makes them."""

from __future__ import annotations

from dataclasses import dataclass, field

from .library import Library
from .lost import LostUploads
from .settings import Settings
from .triage import Triage
from .worker import Worker


@dataclass(frozen=True, slots=True)
class Service:
    """A dashboard, without its face."""

    settings: Settings
    library: Library
    triage: Triage
    worker: Worker
    lost: LostUploads = field(default_factory=LostUploads)

    @classmethod
    def of(cls, settings: Settings) -> Service:
        """Open the folder; the worker is not started yet."""
        library = Library(settings.folder)
        triage = Triage(library.state)
        return cls(settings, library, triage, Worker(settings, library, triage))


_installed: list[Service] = []


def install(service: Service) -> None:
    """Say which dashboard the pages of this process show."""
    _installed[:] = [service]


def current() -> Service:
    """The dashboard that the pages of this process show."""
    return _installed[0]

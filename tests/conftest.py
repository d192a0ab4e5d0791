"""What every part of the suite may use."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from postgres import Server


# In a shell's background a process is born deaf to Ctrl-C, and so are its children, which some tests stop by it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server of this test process alone."""
    import postgres  # noqa: PLC0415 - only where it is asked for

    with postgres.server() as running:
        yield running

"""What every part of the suite may use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from postgres import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server of this test process alone."""
    import postgres  # noqa: PLC0415 - only where it is asked for

    with postgres.server() as running:
        yield running

"""What every part of the suite may use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from postgres import Server


TOGETHER = ("corpora", "sample_logs")
"""Folders whose tests share what costs most: the audits of whole corpora. Each stays in one worker."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in TOGETHER:
            if item.path.parent.name == name:
                item.add_marker(pytest.mark.xdist_group(name))
        if "server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("server"))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server of this test process alone."""
    import postgres  # noqa: PLC0415 - only where it is asked for

    with postgres.server() as running:
        yield running

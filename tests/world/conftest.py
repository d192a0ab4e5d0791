"""The stores that the contract is held against."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from stores import Harness, Place, in_memory, in_postgres, in_sqlite, postgres_template

from auditor.world import create_world
from auditor.world.base import BaseWorld

if TYPE_CHECKING:
    from postgres import Server

STORES = ("memory", "sqlite", "postgres")
"""Every store. Those in CLOCKS let a test set their clock."""

CLOCKS = ("memory", "sqlite")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty world in a file."""
    path = tmp_path_factory.mktemp("template") / "world.db"
    asyncio.run(create_world(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def template_database(server: Server) -> str:
    """An empty world in a database, by name."""
    return postgres_template(server)


def _place(store: str, request: pytest.FixtureRequest, folder: Path) -> Place:
    if store == "memory":
        return in_memory()
    if store == "sqlite":
        return in_sqlite(request.getfixturevalue("sqlite_template"), folder)
    return in_postgres(request.getfixturevalue("server"), request.getfixturevalue("template_database"))


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where the worlds of a test live, for each store."""
    return _place(request.param, request, tmp_path)


@pytest.fixture(params=CLOCKS)
def clock_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """The same, for the stores whose clock a test can set."""
    return _place(request.param, request, tmp_path)


@pytest.fixture
async def harness(place: Place) -> AsyncIterator[Harness]:
    """A new, empty world in which time can be moved."""
    async with place.opened() as harness:
        yield harness


@pytest.fixture
async def world(harness: Harness) -> BaseWorld:
    """A new, empty world."""
    return harness.world


@pytest.fixture
async def timed(clock_place: Place) -> AsyncIterator[Harness]:
    """A new, empty world whose clock can also be set back."""
    async with clock_place.opened() as harness:
        yield harness

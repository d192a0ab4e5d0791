"""A dump that ends when its reader does, also where the reader gives up half-way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from auditor.errors import NotFound
from auditor.world.protocol import World

Batches = AsyncIterator[tuple[str, Sequence[tuple[Any, ...]]]]


@asynccontextmanager
async def dumped(world: World, tables: Sequence[str], run_id: str | None = None) -> AsyncIterator[Batches]:
    """`World.dump` for the length of a block, so its transaction is not left open behind an error."""
    batches = world.dump(tables, run_id)
    try:
        yield batches
    finally:
        if isinstance(batches, AsyncGenerator):
            await batches.aclose()


async def must_have_run(world: World, run_id: str) -> None:
    """Raise NotFound unless the world has this run."""
    if await world.run(run_id) is None:
        raise NotFound(f"there is no run {run_id}", reason="no_such_run")

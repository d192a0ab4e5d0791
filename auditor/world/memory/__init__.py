"""A world in memory: for tests, and for the simulator, which decides at its scheduling points who goes on."""

from auditor.world.memory.store import MemoryWorld

__all__ = ["MemoryWorld"]

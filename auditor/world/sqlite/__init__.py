"""A world in one SQLite file, for any number of threads and processes."""

from auditor.world.sqlite.store import SqliteWorld

__all__ = ["SqliteWorld"]

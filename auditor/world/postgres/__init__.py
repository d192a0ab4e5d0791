"""A world in PostgreSQL, for many machines."""

from auditor.world.postgres.store import PostgresWorld

__all__ = ["PostgresWorld"]

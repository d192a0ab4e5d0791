"""SQLite files of our own world."""

from __future__ import annotations

from auditor.errors import InputError
from auditor.ingest.intake import Intake
from auditor.ingest.members import Member

MAGIC = b"SQLite format 3\0"


def read(member: Member, intake: Intake) -> None:
    """Read one file."""
    raise InputError(member.name, "not yet")

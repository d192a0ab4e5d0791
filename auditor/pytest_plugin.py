"""The pytest plugin of auditor: the fixture `audit_log`.

Every pytest run of every user imports this module, so it imports nothing of ours: the database is loaded by the
first test that asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from auditor.testing import AuditedLog


@pytest.fixture
def audit_log() -> Iterator[Callable[..., AuditedLog]]:
    """Audit an event log: `audit_log(path).assert_sound()`, or `.assert_finds("orphaned-wait")`.

    Options are those of `auditor.audit`, such as `fail_on="warning"` or `baseline="auditor-baseline.jsonl"`. The
    configuration is the one that `auditor check` finds; `config="auditor.toml"` names another, `config=None` none.
    """
    from auditor.testing import AuditedLog  # noqa: PLC0415 - only where it is asked for

    with ExitStack() as opened:

        def open_log(path: str | Path, **options: Any) -> AuditedLog:
            log = AuditedLog(path, **options)
            opened.enter_context(log.audit)
            return log

        yield open_log

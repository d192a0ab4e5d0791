from __future__ import annotations

import logging

import pytest


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Divergences are what these tests provoke; a warning for each of them helps nobody."""
    caplog.set_level(logging.CRITICAL, "auditor.runtime")

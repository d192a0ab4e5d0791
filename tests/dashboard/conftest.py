"""A dashboard with real audits in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import SAMPLES, put

from auditor import audit
from dashboard import service
from dashboard.settings import Settings


@pytest.fixture(autouse=True)
def same_main() -> Iterator[None]:
    """AppTest makes our script the main module; a process that a later test spawns would run it."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def samples_audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The audit of all sample logs: every verdict and most rules."""
    path = tmp_path_factory.mktemp("audits") / "samples.duckdb"
    audit(SAMPLES, save=path).close()
    return path


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[service.Service]:
    """A dashboard without an audit, installed for the pages of this process."""
    made = service.Service.of(Settings(tmp_path / "dashboard"))
    service.install(made)
    yield made
    made.worker.stop()


@pytest.fixture
def full(empty: service.Service, samples_audit: Path) -> service.Service:
    """The same with one audit, called `samples`."""
    put(empty.library, samples_audit, "samples")
    return empty

"""Audits that every report is made of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from audited import decided, doubtful

from auditor import Audit


@pytest.fixture(scope="module")
def of_every_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audit]:
    with decided(tmp_path_factory.mktemp("decided")) as result:
        yield result


@pytest.fixture(scope="module")
def in_doubt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audit]:
    with doubtful(tmp_path_factory.mktemp("doubtful")) as result:
        yield result

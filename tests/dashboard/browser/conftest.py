"""A real Chromium before a real server. Whatever a page asks of another host fails the test that saw it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from chromium import Visit, chromium, settled
from dashboards import Dashboard, running
from pages import SAMPLES
from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """A browser for one file: as long as Playwright runs, no coroutine of another test can."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def dash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard that the tests of one file share."""
    with running(tmp_path_factory.mktemp("served") / "dashboard") as dashboard:
        yield dashboard


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dashboard, str, dict[str, str]]]:
    """A dashboard that was started on the sample logs; their audit; and the run and instance of a stale write."""
    with running(tmp_path_factory.mktemp("samples") / "dashboard", SAMPLES) as dashboard:
        audit_id = dashboard.finished(SAMPLES.name)
        found = dashboard.ask(f"/api/v1/audits/{audit_id}/findings?rule=stale-snapshot-write")["findings"]
        yield dashboard, audit_id, {"run": found[0]["run_id"], "finding": found[0]["fingerprint"]["instance"]}


@pytest.fixture
def visit(chrome: Browser) -> Iterator[Visit]:
    """`visit(url, width=1440, scheme="light")`: a page in a fresh browser, drawn to its end."""
    contexts = []
    foreign: list[str] = []
    broken: list[str] = []

    def to(url: str, *, width: int = 1440, height: int = 900, scheme: str = "light") -> Page:
        context = chrome.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            accept_downloads=True,
        )
        contexts.append(context)
        context.set_default_timeout(30_000)
        page = context.new_page()
        host = urlsplit(url).netloc
        page.on("request", lambda sent: foreign.append(sent.url) if not is_ours(sent.url, host) else None)
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.goto(url)
        return settled(page)

    yield to
    for context in contexts:
        context.close()
    assert not foreign, "the page asked another host"
    assert not broken, "a script of the page failed"


def is_ours(url: str, host: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob", "about") or parts.netloc == host

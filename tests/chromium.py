"""A real Chromium, driven by Playwright. Without one the tests fail, and say how to get it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

HOW_TO_GET_ONE = (
    "These tests need Chromium or Chrome: `chromium` or `google-chrome` on the PATH. `make test` as root on "
    "Debian or Ubuntu installs it; else `apt-get install chromium`, `dnf install chromium`, "
    "`brew install --cask chromium`."
)
Visit = Callable[..., Page]
"""Goes to an address, and gives the page when it is drawn."""

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",  # root, as in a container, has none
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.fail(HOW_TO_GET_ONE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def settled(page: Page) -> Page:
    """Wait until the page has been drawn, and nothing of it is still to come."""
    page.wait_for_function(
        """() => document.querySelector('[data-test-script-state]')?.dataset.testScriptState === 'notRunning'
            && document.querySelector('[data-testid=stMain]')?.innerText.trim()
            && !document.querySelector('[data-testid=stSkeleton]')""",
        timeout=60_000,
    )
    return page

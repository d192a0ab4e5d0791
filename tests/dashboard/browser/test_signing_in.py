"""Signing in with OpenID Connect: a real provider, a real browser, and what each account may see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from chromium import settled
from dashboards import Dashboard, free_port, running
from openid import Provider, provider, write_secrets
from pages import SAMPLES
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

ALICE = {"sub": "1001", "email": "alice@example.org", "email_verified": True}
MALLORY = {"sub": "6666", "email": "alice@example.org", "email_verified": False}
STRANGER = {"sub": "7", "email": "[stranger](https://elsewhere.example)", "email_verified": True}
API_TOKEN = "a-token-for-machines-only"  # noqa: S105 - of these tests alone
ROLES = ("--role", "alice@example.org=admin", "--role", "ci=viewer")


@pytest.fixture(scope="module")
def openid() -> Iterator[Provider]:
    with provider(free_port(), {}) as made:
        yield made


@pytest.fixture(scope="module")
def dash(tmp_path_factory: pytest.TempPathFactory, openid: Provider) -> Iterator[Dashboard]:
    """A dashboard that knows one person, and a token for the API."""
    folder = tmp_path_factory.mktemp("openid") / "dashboard"
    port = free_port()
    write_secrets(folder, openid.secrets(f"http://127.0.0.1:{port}/oauth2callback"))
    tokens = {"AUDITOR_DASHBOARD_TOKENS": f"ci:{API_TOKEN}"}
    with running(folder, SAMPLES, "--auth", "oidc", *ROLES, environment=tokens, port=port) as made:
        yield made


@pytest.fixture
def context(chrome: Browser) -> Iterator[BrowserContext]:
    made = chrome.new_context(viewport={"width": 1440, "height": 900})
    made.set_default_timeout(30_000)
    yield made
    made.close()


def signed_in(context: BrowserContext, dash: Dashboard, openid: Provider, account: dict[str, Any]) -> Page:
    """The page after the button, as the account of this visitor sees it."""
    openid.account = account
    page = context.new_page()
    page.goto(dash.url)
    settled(page)
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("button", name="Sign out")).to_be_visible(timeout=30_000)
    return settled(page)


def findings_page(page: Page) -> Locator:
    return page.get_by_role("link", name="Findings", exact=True)


def test_before_it_a_page_shows_nothing_but_the_button(context: BrowserContext, dash: Dashboard) -> None:
    page = context.new_page()
    page.goto(f"{dash.url}/findings")
    settled(page)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert findings_page(page).count() == 0
    assert context.request.get(f"{dash.url}/api/v1/audits").status == 401


def test_a_person_with_a_role_sees_the_dashboard_and_signs_out_again(
    context: BrowserContext, dash: Dashboard, openid: Provider
) -> None:
    page = signed_in(context, dash, openid, ALICE)
    expect(page.get_by_text("alice@example.org, admin")).to_be_visible()
    expect(findings_page(page)).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=30_000)


@pytest.mark.parametrize(
    ("account", "name"),
    [(STRANGER, STRANGER["email"]), (MALLORY, MALLORY["sub"])],
    ids=["an account that nobody named", "an address that the provider has not verified"],
)
def test_somebody_without_a_role_learns_why_they_see_nothing(
    context: BrowserContext, dash: Dashboard, openid: Provider, account: dict[str, Any], name: str
) -> None:
    page = signed_in(context, dash, openid, account)
    expect(page.get_by_text(f"You are signed in as {name}, who has no role here.")).to_be_visible()
    assert findings_page(page).count() == 0
    assert context.request.get(f"{dash.url}/media/0123.csv").status == 403
    assert context.request.get(f"{dash.url}/api/v1/audits").status == 401

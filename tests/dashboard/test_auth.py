"""Who gets in, as whom, and how far."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from dashboards import Dashboard, running
from openid import Provider, write_secrets
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from dashboard.security.gate import Gate
from dashboard.security.keys import session_key
from dashboard.security.sessions import Sessions
from dashboard.settings import Auth, Settings

ALICE = "alice-has-a-long-token"
BOB = "bob-has-a-long-token-too"
CI = "ci-pushes-with-this-token"
TOKENS = {"AUDITOR_DASHBOARD_TOKENS": f"alice:{ALICE},bob:{BOB},ci:{CI}"}
ROLES = ("--role", "alice=admin", "--role", "ci=triager")
VISIT = {"Accept": "text/html"}
NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("tokens") / "dashboard"
    with running(folder, "--auth", "token", *ROLES, environment=TOKENS) as made:
        yield made


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """Behind a proxy on this machine, which says who the user is."""
    folder = tmp_path_factory.mktemp("proxy") / "dashboard"
    proxied = ("--auth", "proxy", "--trusted-proxy", "127.0.0.0/8", "--user-header", "X-User")
    with running(folder, *proxied, *ROLES, environment=TOKENS) as made:
        yield made


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


PATHS = [
    "/",
    "/findings",
    "/api/v1/audits",
    "/api/openapi.json",
    "/metrics",
    "/_stcore/health",
    "/_stcore/host-config",
    "/_stcore/metrics",
    "/media/0123.csv",
    "/static/js/index.js",
]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_but_its_health_is_shown_to_a_stranger(tokens: Dashboard, path: str) -> None:
    answer = httpx2.get(tokens.url + path, headers={"X-Auditor-User": "alice"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert httpx2.get(f"{tokens.url}/healthz").text == "ok\n"


def test_a_stranger_may_open_no_socket_and_upload_nothing(tokens: Dashboard) -> None:
    wanted = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    assert httpx2.get(f"{tokens.url}/_stcore/stream", headers=wanted).status_code == 403
    assert httpx2.put(f"{tokens.url}/_stcore/upload_file/a/b", content=b"x").status_code == 401


def test_a_visitor_signs_in_with_a_token_and_gets_where_they_wanted(tokens: Dashboard) -> None:
    with httpx2.Client(base_url=tokens.url, headers=VISIT) as browser:
        sent = browser.get("/findings?rule=stale-snapshot-write")
        assert sent.status_code == 303
        assert sent.headers["location"] == "/signin?next=%2Ffindings%3Frule%3Dstale-snapshot-write"
        form = browser.get(sent.headers["location"])
        assert 'value="/findings?rule=stale-snapshot-write"' in form.text
        assert "<script" not in form.text
        answer = browser.post("/signin", data={"token": BOB, "next": "/findings?rule=stale-snapshot-write"})
        assert answer.status_code == 303
        assert answer.headers["location"] == "/findings?rule=stale-snapshot-write"
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert BOB not in cookie
        assert browser.get("/findings").status_code == 200
        assert browser.get("/api/v1/audits").status_code == 200
        assert browser.post("/signout").headers["location"] == "/signin"
        assert browser.get("/findings").status_code == 303


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nX: y"])
def test_signing_in_leads_nowhere_else(tokens: Dashboard, target: str) -> None:
    answer = httpx2.post(f"{tokens.url}/signin", data={"token": BOB, "next": target})
    assert answer.headers["location"] == "/"
    form = httpx2.get(f"{tokens.url}/signin", params={"next": '/"><script>alert(1)</script>'})
    assert "<script" not in form.text


def test_a_link_on_another_site_still_works_for_those_who_are_signed_in(tokens: Dashboard) -> None:
    """The browser sends no strict cookie along with it; asked again by a page of ours, it does."""
    answer = httpx2.get(f"{tokens.url}/findings", headers={**VISIT, "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert 'http-equiv="refresh"' in answer.text


def test_another_site_can_sign_nobody_in(tokens: Dashboard) -> None:
    headers = {"Origin": "http://evil.example"}
    answer = httpx2.post(f"{tokens.url}/signin", data={"token": BOB}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_role_says_what_its_owner_may_do(tokens: Dashboard) -> None:
    with httpx2.Client(base_url=f"{tokens.url}/api/v1") as api:
        assert api.get("/audits", headers=bearer(BOB)).status_code == 200
        refused = api.post("/audits", headers=bearer(BOB), content=b"{}")
        assert refused.status_code == 403
        assert refused.json()["detail"] == "This needs the role triager; 'bob' has the role viewer."
        made = api.post("/audits", headers=bearer(CI), content=b"{}")
        assert made.status_code == 202
        path = f"/audits/{made.json()['id']}"
        assert api.get(path, headers=bearer(BOB)).json()["created_by"] == "ci"
        assert api.delete(path, headers=bearer(CI)).status_code == 403
        assert api.delete(path, headers=bearer(CI) | {"X-Auditor-User": "alice"}).status_code == 403
        assert api.delete(path, headers=bearer(ALICE)).status_code == 204
    upload = f"{tokens.url}/_stcore/upload_file/session/file"
    assert httpx2.put(upload, headers=bearer(BOB), content=b"x").status_code == 403


def test_a_proxy_that_is_trusted_says_who_the_user_is(proxy: Dashboard) -> None:
    api = f"{proxy.url}/api/v1/audits"
    assert httpx2.get(proxy.url).status_code == 401
    assert httpx2.get(api, headers={"X-User": "carol"}).status_code == 200
    assert httpx2.post(api, headers={"X-User": "carol"}, content=b"{}").status_code == 403
    assert httpx2.delete(f"{api}/{NOBODY}", headers={"X-User": "alice"}).status_code == 404
    assert httpx2.get(api, headers=bearer(CI)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Auditor-User", "alice")],
        [("X-Forwarded-User", "alice")],
        [("X-User", "")],
        [("X-User", "alice"), ("X-User", "bob")],
        [("X-User", "a\x01b")],
        [("X-User", "a" * 201)],
    ],
    ids=["our own header", "another header", "empty", "two users", "control character", "endless"],
)
def test_a_proxy_is_not_believed_whatever_it_says(proxy: Dashboard, headers: list[tuple[str, str]]) -> None:
    assert httpx2.get(f"{proxy.url}/api/v1/audits", headers=headers).status_code in {400, 401}


def asking(settings: Settings, address: str) -> httpx2.AsyncClient:
    """The gate alone, asked from an address; behind it is what repeats who came through."""

    async def repeat(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(Headers(scope=scope).get("x-auditor-user", ""))(scope, receive, send)

    gate = Gate(repeat, settings, b"key")
    transport = httpx2.ASGITransport(gate, client=(address, 1234))
    return httpx2.AsyncClient(transport=transport, base_url="http://localhost")


@pytest.mark.parametrize(
    ("address", "status"),
    [("10.1.2.3", 200), ("::ffff:10.1.2.3", 200), ("2001:db8::7", 200), ("192.0.2.1", 401), ("", 401)],
)
async def test_only_a_proxy_of_ours_is_believed(tmp_path: Path, address: str, status: int) -> None:
    proxies = ("10.0.0.0/8", "2001:db8::7")
    settings = Settings(tmp_path, auth=Auth.PROXY, trusted_proxies=proxies)
    headers = {"X-Forwarded-User": "alice", "X-Forwarded-For": "10.0.0.1"}
    async with asking(settings, address) as client:
        answer = await client.get("/", headers=headers)
    assert answer.status_code == status
    assert status != 200 or answer.text == "alice"


def test_with_openid_connect_pages_ask_and_machines_show_a_token(tmp_path: Path) -> None:
    folder = tmp_path / "dashboard"
    write_secrets(folder, Provider("http://localhost:9", {}).secrets("http://localhost/oauth2callback"))
    with running(folder, "--auth", "oidc", *ROLES, environment=TOKENS) as made:
        assert httpx2.get(made.url, headers=VISIT).status_code == 200
        for path in ("/api/v1/audits", "/metrics"):
            forged = {"X-Auditor-User": "alice", "Cookie": "_streamlit_user=forged"}
            assert httpx2.get(made.url + path, headers=forged).status_code == 401
            assert httpx2.get(made.url + path, headers=bearer(CI)).status_code == 200
            assert httpx2.get(made.url + path, headers=bearer(BOB)).status_code == 403, "Bob has no role"
        assert httpx2.get(f"{made.url}/media/0123.csv", headers=VISIT).status_code == 401
        upload = f"{made.url}/_stcore/upload_file/session/file"
        assert httpx2.put(upload, headers={"Cookie": "_streamlit_user=forged"}, content=b"x").status_code == 401


async def test_guessing_tokens_is_slow_and_ends_no_session(tmp_path: Path) -> None:
    settings = Settings(tmp_path, auth=Auth.TOKEN, tokens={BOB: "bob"})
    async with asking(settings, "192.0.2.1") as browser:
        assert (await browser.post("/signin", data={"token": BOB})).status_code == 303
        guesses = [await browser.get("/api", headers=bearer("a wrong token")) for _ in range(11)]
        assert [guess.status_code for guess in guesses] == [401] * 10 + [429]
        late = await browser.post("/signin", data={"token": BOB})
        assert late.status_code == 429
        assert int(late.headers["retry-after"]) > 0
        assert (await browser.get("/api")).text == "bob"


def test_a_cookie_ends_with_its_token_and_cannot_be_made_elsewhere(tmp_path: Path) -> None:
    key = session_key(tmp_path)
    assert session_key(tmp_path) == key
    assert (tmp_path / "session.key").stat().st_mode & 0o777 == 0o600
    cookie = Sessions({ALICE: "alice"}, key).cookie(ALICE)
    assert Sessions({ALICE: "alice"}, key).name(cookie) == "alice"
    assert Sessions({BOB: "alice"}, key).name(cookie) is None
    assert Sessions({ALICE: "alice"}, b"another key").name(cookie) is None
    assert Sessions({ALICE: "alice"}, key).name(cookie[:-2]) is None

"""What a stranger, another site, or a clumsy client cannot make the server do."""

from __future__ import annotations

import asyncio
import http.client
import socket
import sqlite3
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from chromium import chromium, settled
from dashboards import Dashboard, running
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from dashboard import api, metrics
from dashboard.library import Library
from dashboard.lost import LostUploads
from dashboard.security.failures import Failures
from dashboard.security.headers import CONTENT_SECURITY_POLICY
from dashboard.security.origins import host_name
from dashboard.security.uploads import PageUploads
from dashboard.service import Service
from dashboard.settings import Limits, Settings
from dashboard.worker import Worker

MIB = 1024**2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, samples_audit: Path) -> Iterator[Dashboard]:
    """A dashboard that takes uploads of 1 MiB, and is called `audits.example`, too."""
    folder = tmp_path_factory.mktemp("safety") / "dashboard"
    with running(folder, samples_audit, "--max-upload", "1MB", "--allowed-host", "audits.example") as made:
        yield made


def shake_hands(server: Dashboard, **headers: str) -> int:
    """The answer to a browser that wants the socket of the pages."""
    address = urlsplit(server.url).netloc
    connection = http.client.HTTPConnection(address, timeout=10)
    wanted = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    connection.request("GET", "/_stcore/stream", headers={**wanted, **headers})
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    "path", ["/", "/findings", "/api/v1/audits", "/metrics", "/static/nothing.js", "/healthz"]
)
def test_every_answer_tells_the_browser_to_be_careful(server: Dashboard, path: str) -> None:
    headers = httpx2.get(server.url + path, headers={"Origin": "http://localhost:3000"}).headers
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert "permissions-policy" in headers
    assert "server" not in headers
    assert not [name for name in headers if name.startswith("access-control-")]


def test_no_script_but_streamlits_own_may_run() -> None:
    (scripts,) = (part for part in CONTENT_SECURITY_POLICY.split("; ") if part.startswith("script-src"))
    assert "unsafe" not in scripts


def test_a_page_with_table_and_figure_works_under_the_policy_and_asks_nobody_else(server: Dashboard) -> None:
    (audit,) = httpx2.get(f"{server.url}/api/v1/audits").json()["audits"]
    findings = httpx2.get(f"{server.url}/api/v1/audits/{audit['id']}/findings?rule=stale-snapshot-write").json()
    run = findings["findings"][0]["run_id"]
    said: list[str] = []
    asked: list[str] = []
    with chromium() as browser:
        page = browser.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{server.url}/run?audit={audit['id']}&run={run}")
        settled(page).locator(".js-plotly-plot .main-svg").first.wait_for()
    assert not [text for text in said if "Content Security Policy" in text]
    ours = (server.url, server.url.replace("http", "ws"), "data:", "blob:")
    assert not [url for url in asked if not url.startswith(ours)]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8601", 200),
        ("AUDITS.example", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 421),
        ("", 421),
    ],
)
def test_only_names_of_ours_are_answered(server: Dashboard, host: str, status: int) -> None:
    assert httpx2.get(f"{server.url}/api/v1/audits", headers={"Host": host}).status_code == status
    assert httpx2.get(server.url, headers={"Host": host}).status_code == status
    assert shake_hands(server, Host=host) == (101 if status == 200 else 403)


@pytest.mark.parametrize("header", ["", "a/b", "a:b", "[::1", "a?b", "a#b", "user@host"])
def test_what_is_no_host_is_no_host(header: str) -> None:
    assert host_name(header) is None


def test_another_site_can_change_nothing(server: Dashboard) -> None:
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = httpx2.post(f"{server.url}/api/v1/audits", headers=headers, content=b"{}")
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
        assert shake_hands(server, **headers) == 403
    assert shake_hands(server, Origin=server.url) == 101


@pytest.mark.parametrize("told", [True, False], ids=["told beforehand", "found out"])
def test_an_upload_that_is_too_large_leaves_nothing(server: Dashboard, told: bool) -> None:
    before = httpx2.get(f"{server.url}/api/v1/audits").json()["total"]
    body = b" " * (MIB + 1)
    answer = httpx2.post(f"{server.url}/api/v1/audits", content=body if told else iter([body]))
    assert answer.status_code == 413
    assert answer.json()["detail"] == "An upload may have 1 MiB (--max-upload)."
    assert httpx2.get(f"{server.url}/api/v1/audits").json()["total"] == before
    assert not list((server.folder / "uploads").glob("*"))


@contextmanager
def an_upload_under_way(server: Dashboard) -> Iterator[None]:
    address = urlsplit(server.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as client:
        client.sendall(b"POST /api/v1/audits HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{}")
        wait_for(lambda: list((server.folder / "uploads").glob("*")))
        yield


def test_a_server_that_ends_during_an_upload_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "dashboard"
    with ExitStack() as uploads, running(folder) as made:
        uploads.enter_context(an_upload_under_way(made))
    assert not list(folder.glob("uploads/*"))
    assert "Traceback" not in folder.with_suffix(".log").read_text("utf-8")


def test_an_aborted_upload_leaves_nothing(server: Dashboard) -> None:
    with an_upload_under_way(server):
        pass
    wait_for(lambda: not list((server.folder / "uploads").glob("*")))
    assert {audit["state"] for audit in httpx2.get(f"{server.url}/api/v1/audits").json()["audits"]} == {"done"}
    assert 'uploads_refused_total{reason="aborted"} 1.0' in httpx2.get(f"{server.url}/metrics").text


def test_an_upload_through_a_page_is_bounded_before_it_is_in_memory(server: Dashboard) -> None:
    path = f"{server.url}/_stcore/upload_file/session/file"
    assert httpx2.put(path, content=b" " * 3 * MIB).status_code == 413
    assert httpx2.put(path, content=iter([b"x"])).status_code == 411
    assert 'uploads_refused_total{reason="length_required"} 1.0' in httpx2.get(f"{server.url}/metrics").text


@contextmanager
def a_page(server: Dashboard) -> Iterator[str]:
    """Somebody has a page open. Yields where it puts its uploads."""
    address = server.url.replace("http", "ws", 1) + "/_stcore/stream"
    with connect(
        address, subprotocols=[Subprotocol("streamlit")], origin=Origin(server.url), max_size=None
    ) as page:
        page.send(BackMsg(rerun_script=ClientState()).SerializeToString())
        while True:
            message = ForwardMsg.FromString(page.recv(timeout=30))
            if message.WhichOneof("type") == "new_session":
                session = message.new_session.initialize.session_id
                yield f"{server.url}/_stcore/upload_file/{session}"
                return


def test_what_pages_hold_in_memory_is_bounded_by_page_and_in_sum(server: Dashboard) -> None:
    with httpx2.Client() as browser, ExitStack() as open_pages:
        browser.get(f"{server.url}/_stcore/health")
        browser.headers["X-Xsrftoken"] = browser.cookies["_streamlit_xsrf"]
        pages = [open_pages.enter_context(a_page(server)) for _ in range(4)]
        content = {"file": ("log.ndjson", b" " * (MIB - 1000))}

        def put(page: str, name: str) -> int:
            return browser.put(f"{page}/{name}", files=content).status_code

        assert [put(pages[0], name) for name in "abc"] == [204, 204, 413]
        assert browser.delete(f"{pages[0]}/a").status_code == 204
        assert put(pages[0], "d") == 204
        assert [put(page, name) for page in pages[1:] for name in "ab"] == [204, 204, 204, 507, 507, 507]
        refused = browser.put(f"{pages[3]}/a", files=content)
    assert "try again in a moment, or use the API" in refused.text


def test_nobody_else_on_the_machine_can_read_the_folder(server: Dashboard) -> None:
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in server.folder.iterdir()}
    assert not {name: oct(mode) for name, mode in modes.items() if mode & 0o077}


def wait_for(holds: object, seconds: float = 10) -> None:
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def asking(empty: Service, limits: Limits) -> tuple[Service, httpx2.AsyncClient]:
    """The API in this process, under limits that no command line sets."""
    service = replace(empty, settings=Settings(empty.settings.folder, limits=limits))
    app = api.app(service, metrics.Metrics(service.library))
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost/v1")
    return service, client


async def test_an_upload_that_is_too_slow_is_ended(empty: Service) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b"{}"
        await asyncio.sleep(30)
        yield b"{}"

    service, client = asking(empty, Limits(upload_patience=0.2))
    async with client:
        answer = await client.post("/audits", content=slowly())
    assert answer.status_code == 408
    assert not service.library.entries()
    assert not list(service.library.folder.glob("uploads/*"))


async def test_files_of_a_folder_wait_for_their_turn_and_a_slow_one_gives_its_place_to_them() -> None:
    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()
        await Response(status_code=204)(scope, receive, send)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"{}"
        await asyncio.sleep(30)
        yield b"{}"

    lost = LostUploads()
    limits = Limits(upload_patience=0.2, uploads_at_once=1)
    app = PageUploads(
        page, Settings(Path(), limits=limits), lambda session, status, why: lost.note(session, f"{status} {why}")
    )
    path = "/_stcore/upload_file/session/file"
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client:
        slow = asyncio.create_task(client.put(path, content=slowly(), headers={"Content-Length": "4"}))
        await asyncio.sleep(0.05)
        others = await asyncio.gather(*(client.put(path, content=b"{}") for _ in range(20)))
        assert {answer.status_code for answer in others} == {204}
        assert (await slow).status_code == 408
    assert lost.of("session") == {"408 The upload came too slowly": 1}


async def test_an_upload_that_waits_for_the_disk_keeps_nobody_else_waiting(
    empty: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(call: Callable[..., Any]) -> Callable[..., Any]:
        def slowly(*args: Any, **kwargs: Any) -> Any:
            time.sleep(0.5)
            return call(*args, **kwargs)

        return slowly

    for owner, name in ((Library, "begin"), (Library, "rename"), (Library, "abandon"), (Worker, "submit")):
        monkeypatch.setattr(owner, name, slow(getattr(owner, name)))
    loop = asyncio.get_running_loop()
    waited = []

    async def others() -> None:
        while True:
            before = loop.time()
            await asyncio.sleep(0.01)
            waited.append(loop.time() - before)

    _, client = asking(empty, Limits())
    beating = asyncio.create_task(others())
    async with client:
        statuses = [(await client.post("/audits", content=content)).status_code for content in (b"{}", b"")]
    beating.cancel()
    assert statuses == [202, 400]
    assert max(waited) < 0.4


@pytest.mark.parametrize("begun", [True, False])
async def test_an_upload_that_finds_a_full_disk_is_told_so(
    empty: Service, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    def full(*_: Any, **__: Any) -> None:
        with closing(sqlite3.connect(":memory:")) as con:
            con.execute("PRAGMA max_page_count = 1")
            con.execute("CREATE TABLE row (x)")

    monkeypatch.setattr(Library, "received_all" if begun else "begin", full)
    service, client = asking(empty, Limits())
    async with client:
        answer = await client.post("/audits", content=b"{}")
    assert answer.status_code == 507
    assert answer.json()["detail"] == "The disk of the server is full."
    assert not service.library.entries()


@pytest.mark.parametrize("limits", [Limits(waiting=0), Limits(uploads_at_once=0)], ids=["waiting", "at once"])
async def test_too_many_uploads_are_told_to_come_back(empty: Service, limits: Limits) -> None:
    service, client = asking(empty, limits)
    async with client:
        answer = await client.post("/audits", content=b"{}")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert not service.library.entries()


def test_wrong_tokens_are_counted_by_address_and_forgotten_after_a_minute() -> None:
    now = 0.0
    failures = Failures(most=3, seconds=60, clock=lambda: now)
    for _ in range(3):
        assert failures.wait("1.2.3.4") == 0
        failures.count("1.2.3.4")
    assert failures.wait("1.2.3.4") == 61
    assert failures.wait("5.6.7.8") == 0
    now = 60.0
    assert failures.wait("1.2.3.4") == 0

"""Alerts, against a receiver that listens on this machine."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from logs import Log, manifest, write

from auditor import Audit, UsageError, audit
from auditor.alerts import Kind, Target, notify, targets
from auditor.alerts.messages import LISTED, LONGEST, News
from auditor.errors import AlertFailed

SCHEMA = json.loads((Path(__file__).parents[2] / "auditor/schemas/alert.schema.json").read_text("utf-8"))
CERTIFICATE = Path(__file__).with_name("good.example.pem")
KEY = "correct horse battery staple"
PATH = "/services/T000/B000/not-for-logs?key=hidden"
HOSTILE = "<!channel> & @here\n*bold* \x1b[31m `code` \u202eabc http://evil.example ::error::x"


class Receiver:
    """A server that answers as it is told, and remembers what it was sent."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((self.path, dict(self.headers), body))
                status, headers = receiver.answers.pop(0) if receiver.answers else (200, {})
                self.send_response(status)
                for name, value in (headers | {"Content-Length": "0"}).items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def will(self, status: int, **headers: str) -> None:
        self.answers.append((status, {name.replace("_", "-"): value for name, value in headers.items()}))

    def url(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server.server_port}{PATH}"

    @property
    def header(self) -> dict[str, str]:
        return self.requests[-1][1]

    @property
    def document(self) -> Any:
        return json.loads(self.requests[-1][2])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture(scope="module")
def corrupt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audit]:
    """A wait that was created and completed twice: an error, and what follows from it."""
    log = Log().life("wait", 0, "created", "completed", "created", resumeAt="2026-11-22T12:01:00.000Z")
    path = write(tmp_path_factory.mktemp("logs") / "log.ndjson", manifest(), log.events)
    with audit(path) as result:
        assert result.report["counts"]["new"]["error"]
        yield result


def to(*names: str, hosts: tuple[str, ...] = ("127.0.0.1",), **environ: str) -> list[Target]:
    return targets(names, hosts, {"AUDITOR_WEBHOOK_SECRET": KEY} | environ)


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """What a name server may say tomorrow of a name that is allowed today."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]
    resolve = socket.getaddrinfo

    def answer(host: str, *rest: Any, **more: Any) -> Any:
        return found if host[0].isalpha() else resolve(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", answer)


# What arrives -------------------------------------------------------------------------------------------------


def test_a_webhook_gets_the_new_findings_by_the_schema_of_alerts(corrupt: Audit, receiver: Receiver) -> None:
    notify(corrupt, to(f"webhook={receiver.url()}"))
    ((path, header, _),) = receiver.requests
    assert path == PATH
    assert header["Content-Type"] == "application/json"
    assert header["User-Agent"].startswith("auditor/")
    Draft202012Validator(SCHEMA).validate(receiver.document)
    expected = [f["fingerprint"] for f in corrupt.findings if (f["state"], f["severity"]) == ("new", "error")]
    assert [f["fingerprint"] for f in receiver.document["findings"]] == expected


def test_the_receiver_can_verify_who_sent_it(corrupt: Audit, receiver: Receiver) -> None:
    notify(corrupt, to(f"webhook={receiver.url()}"))
    signed = receiver.header["X-Auditor-Timestamp"].encode() + b"." + receiver.requests[0][2]
    digest = hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest()
    assert receiver.header["X-Auditor-Signature"] == f"v1={digest}"


def test_the_same_findings_have_the_same_key_and_others_have_another(corrupt: Audit, receiver: Receiver) -> None:
    for _ in range(2):
        notify(corrupt, to(f"webhook={receiver.url()}"))
    first, second = (header["Idempotency-Key"] for _, header, _ in receiver.requests)
    assert first == second
    news = News.of(corrupt)
    assert first == news.key(Kind.WEBHOOK) != news.key(Kind.SLACK)


def test_a_finding_more_is_another_key_though_a_report_lists_no_more_than_a_thousand(tmp_path: Path) -> None:
    keys = set()
    for number in (1000, 1001, 1100):
        runs = [
            Log(f"wrun_{run:026d}").life("step", 0, "created", "completed", "started") for run in range(number)
        ]
        path = write(tmp_path / "log.ndjson", *(run.events for run in runs))
        with audit(path, select=["step-restarted-after-outcome"], fail_on="info") as result:
            news = News.of(result)
        assert (len(news.findings), news.total) == (1000, number)
        keys.add(news.key(Kind.WEBHOOK))
    assert len(keys) == 3


def test_no_new_finding_no_request(tmp_path: Path, receiver: Receiver) -> None:
    sound = Log().life("step", 0, "created", "started", "completed", stepName="charge").add("run_completed")
    with audit(write(tmp_path / "log.ndjson", manifest(), sound.events)) as result:
        notify(result, to(f"webhook={receiver.url()}"))
    assert receiver.requests == []


@pytest.mark.parametrize(("fail_on", "sent"), [("error", False), ("info", True), (None, True)])
def test_what_does_not_count_for_the_exit_code_is_no_alert_unless_nothing_does(
    tmp_path: Path, receiver: Receiver, fail_on: str | None, sent: bool
) -> None:
    informs = Log().life("wait", 0, "created", resumeAt="2026-11-22T12:01:00.000Z").add("run_completed")
    with audit(write(tmp_path / "log.ndjson", manifest(), informs.events), fail_on=fail_on) as result:
        new = result.report["counts"]["new"]
        assert new["info"]
        assert not new["error"]
        notify(result, to(f"webhook={receiver.url()}"))
    assert bool(receiver.requests) is sent


def test_fifty_findings_are_listed_and_the_others_counted(corrupt: Audit) -> None:
    news = News.of(corrupt)
    crowd = replace(news, findings=[news.findings[0]] * 60, total=3000)
    document = crowd.body(Kind.WEBHOOK)
    Draft202012Validator(SCHEMA).validate(document)
    assert (len(document["findings"]), document["more"]) == (LISTED, 3000 - LISTED)


# Trouble on the way -------------------------------------------------------------------------------------------


def test_a_receiver_that_is_down_for_a_moment_gets_the_alert_under_the_same_key(
    corrupt: Audit, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    receiver.will(503)
    notify(corrupt, to(f"webhook={receiver.url()}"))
    assert len(receiver.requests) == 2
    assert len({header["Idempotency-Key"] for _, header, _ in receiver.requests}) == 1
    assert "not-for-logs" not in caplog.text


def test_a_receiver_that_asks_to_wait_is_given_the_time(
    corrupt: Audit, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("auditor.alerts.delivery.time.sleep", slept.append)
    receiver.will(429, Retry_After="7")
    notify(corrupt, to(f"webhook={receiver.url()}"))
    assert slept == [7]
    assert len(receiver.requests) == 2


def test_nobody_waits_for_longer_than_half_a_minute(corrupt: Audit, receiver: Receiver) -> None:
    receiver.will(429, Retry_After="3600")
    with pytest.raises(AlertFailed, match="429 and asks to wait 3600 s"):
        notify(corrupt, to(f"webhook={receiver.url()}"))
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("asked", ["soon", "-1", "9" * 5000])
def test_a_wait_that_cannot_be_read_is_the_usual_one(
    corrupt: Audit, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("auditor.alerts.delivery.time.sleep", slept.append)
    receiver.will(503, Retry_After=asked)
    notify(corrupt, to(f"webhook={receiver.url()}"))
    assert slept == [0.5]


def test_it_gives_up_after_four_attempts_and_names_host_and_status_only(
    corrupt: Audit, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.alerts.delivery.time.sleep", lambda _: None)
    for _ in range(9):
        receiver.will(502)
    with pytest.raises(AlertFailed) as failed:
        notify(corrupt, to(f"webhook={receiver.url()}"))
    assert str(failed.value) == "the webhook alert did not reach 127.0.0.1: it answered 502 (4 attempts)"
    assert len(receiver.requests) == 4


@pytest.mark.parametrize("status", [400, 401, 404, 413])
def test_a_refusal_is_not_repeated(corrupt: Audit, receiver: Receiver, status: int) -> None:
    receiver.will(status)
    with pytest.raises(AlertFailed, match=f"127.0.0.1: it answered {status}$"):
        notify(corrupt, to(f"webhook={receiver.url()}"))
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(corrupt: Audit, receiver: Receiver, status: int) -> None:
    receiver.will(status, Location=receiver.url())
    with pytest.raises(AlertFailed, match="redirects are not followed"):
        notify(corrupt, to(f"webhook={receiver.url()}"))
    assert len(receiver.requests) == 1


def test_nobody_listens(corrupt: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.alerts.delivery.time.sleep", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as idle:
        port = idle.getsockname()[1]
    with pytest.raises(AlertFailed, match=r"127.0.0.1: no connection \(4 attempts\)"):
        notify(corrupt, to(f"webhook=http://127.0.0.1:{port}/"))


def test_one_receiver_that_fails_does_not_keep_the_alert_from_the_others(
    corrupt: Audit, receiver: Receiver
) -> None:
    receiver.will(400)
    with pytest.raises(AlertFailed):
        notify(corrupt, to(f"webhook={receiver.url()}", f"slack={receiver.url()}"))
    assert len(receiver.requests) == 2


def test_the_next_address_of_a_name_is_tried_if_nobody_listens_at_the_first(
    corrupt: Audit, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, "127.0.0.2", "127.0.0.1")
    notify(corrupt, to(f"webhook={receiver.url('localhost')}", hosts=("localhost",)))
    assert receiver.header["Host"] == f"localhost:{receiver.server.server_port}"


# Where it may go ----------------------------------------------------------------------------------------------

REFUSED_URLS = {
    "a host that nobody allowed": ("webhook=https://evil.example/x", "evil.example is not allowed"),
    "a host that only ends like one": ("webhook=https://not.good.example/x", "not allowed"),
    "a host that only begins like one": ("webhook=https://good.example.evil.example/x", "not allowed"),
    "slack elsewhere": ("slack=https://hooks.slack.com.evil.example/x", "not allowed"),
    "an address in disguise": ("webhook=http://2130706433/x", "not allowed"),
    "http to another machine": ("webhook=http://good.example/x", "https"),
    "a user name": ("webhook=https://me:hidden@good.example/x", "user name"),
    "another scheme": ("webhook=file:///etc/hidden", "https://"),
    "no URL": ("webhook=hidden", "https://"),
    "a URL with a hole": ("webhook=https://[::1/hidden", "not a URL"),
    "an unknown kind": ("mail=https://good.example/hidden", "KIND"),
    "nothing": ("webhook", "KIND"),
    "a variable that is not set": ("webhook=env:NO_SUCH", "NO_SUCH"),
}


@pytest.mark.parametrize(("name", "said"), REFUSED_URLS.values(), ids=REFUSED_URLS)
def test_a_url_is_refused_before_anything_is_resolved(
    monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was resolved"))
    with pytest.raises(UsageError, match=said) as refused:
        to(name, hosts=("good.example",))
    assert "hidden" not in str(refused.value)


def test_a_url_may_stand_in_the_environment(corrupt: Audit, receiver: Receiver) -> None:
    notify(corrupt, to("slack=env:ALERTS", ALERTS=receiver.url()))
    assert receiver.requests[0][0] == PATH


def test_slack_needs_no_permission() -> None:
    assert to("slack=https://hooks.slack.com/services/x", hosts=())[0].host == "hooks.slack.com"
    with pytest.raises(UsageError, match="not allowed"):
        to("webhook=https://hooks.slack.com/services/x", hosts=())


def test_a_webhook_without_a_key_to_sign_it_with_is_refused() -> None:
    with pytest.raises(UsageError, match="AUDITOR_WEBHOOK_SECRET"):
        targets(["webhook=https://good.example"], ["good.example"], {})


def test_a_target_shows_neither_its_path_nor_its_key(receiver: Receiver) -> None:
    shown = repr(to(f"webhook={receiver.url()}"))
    assert "not-for-logs" not in shown
    assert KEY not in shown


PRIVATE = [
    "10.0.0.5",
    "127.0.0.1",
    "169.254.169.254",
    "100.100.100.200",
    "192.168.1.1",
    "0.0.0.0",  # noqa: S104 - refused
    "224.0.0.1",
    "::1",
    "fe80::1",
    "fd00:ec2::254",
    "::ffff:10.0.0.5",
    "64:ff9b::a00:5",
    "2002:a00:5::",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_resolves_to_an_address_that_is_not_public_is_refused(
    corrupt: Audit, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolving(monkeypatch, "93.184.215.14", address)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was made"))
    with pytest.raises(UsageError, match="is not public") as refused:
        notify(corrupt, to("webhook=https://good.example/hidden", hosts=("good.example",)))
    assert "hidden" not in str(refused.value)
    permitted = to("webhook=https://good.example/", hosts=("good.example", address))[0]
    assert permitted.addresses() == ["93.184.215.14", address]


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f::1", "64:ff9b::5db8:d70e"])
def test_a_public_address_is_fine(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolving(monkeypatch, address)
    assert to("webhook=https://good.example/", hosts=("good.example",))[0].addresses() == [address]


def test_plain_http_stays_on_this_machine_whatever_localhost_resolves_to(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "93.184.215.14")
    (target,) = to("webhook=http://localhost/", hosts=("localhost", "93.184.215.14"))
    with pytest.raises(UsageError, match="not this machine"):
        target.addresses()


def test_a_name_that_does_not_resolve(corrupt: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(AlertFailed, match=r"good.example: the name cannot be resolved"):
        notify(corrupt, to("webhook=https://good.example/", hosts=("good.example",)))


# TLS ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def encrypted(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    """A receiver on this machine that speaks TLS, and is good.example."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    resolving(monkeypatch, "127.0.0.1")
    return receiver


def over_tls(host: str, receiver: Receiver) -> list[Target]:
    return to(f"webhook=https://{host}:{receiver.server.server_port}{PATH}", hosts=(host, "127.0.0.1"))


def test_the_certificate_is_that_of_the_name_although_the_connection_goes_to_the_address(
    corrupt: Audit, encrypted: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    notify(corrupt, over_tls("good.example", encrypted))
    assert encrypted.header["Host"] == f"good.example:{encrypted.server.server_port}"
    with pytest.raises(AlertFailed, match=r"other.example: no TLS connection: .*mismatch"):
        notify(corrupt, over_tls("other.example", encrypted))
    assert len(encrypted.requests) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(corrupt: Audit, encrypted: Receiver) -> None:
    with pytest.raises(AlertFailed, match=r"good.example: no TLS connection: self-signed certificate"):
        notify(corrupt, over_tls("good.example", encrypted))
    assert encrypted.requests == []


# Words of a hostile log ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audit]:
    """Sixty runs whose names are not nice."""
    logs = [
        Log(f"{HOSTILE}{number}", workflow=f"workflow//./flows//{HOSTILE * 30}").life(
            "wait", 0, "created", "completed", "created"
        )
        for number in range(60)
    ]
    path = write(tmp_path_factory.mktemp("logs") / "log.ndjson", manifest(), *(log.events for log in logs))
    with audit(path) as result:
        yield result


def test_slack_shows_hostile_words_and_does_not_act_on_them(hostile: Audit, receiver: Receiver) -> None:
    notify(hostile, to(f"slack={receiver.url()}"))
    document = receiver.document
    assert "X-Auditor-Signature" not in receiver.header
    blocks = [block["text"] for block in document["blocks"]]
    assert len(blocks) <= 50
    assert max(len(block["text"]) for block in blocks) <= 3000
    assert all(block.get("verbatim") or block["type"] == "plain_text" for block in blocks)
    assert not document["link_names"]
    shown = "".join([document["text"], *(block["text"].replace("\n", "") for block in blocks)])
    assert "&lt;!channel&gt; &amp; @\u2060here" in shown
    assert not {"<", ">", "@h", "@c", "\x1b", "\u202e"} & {*shown, *map("".join, itertools.pairwise(shown))}
    assert f"… and {News.of(hostile).total - 10} more" in shown


def test_a_webhook_carries_hostile_words_as_they_are_and_cuts_them(hostile: Audit, receiver: Receiver) -> None:
    notify(hostile, to(f"webhook={receiver.url()}"))
    assert receiver.requests[0][2].isascii()
    document = receiver.document
    Draft202012Validator(SCHEMA).validate(document)
    assert document["findings"][0]["run_id"].startswith(HOSTILE)
    assert len(document["findings"][0]["workflow"]) == LONGEST
    assert document["findings"][0]["workflow"].endswith("…")

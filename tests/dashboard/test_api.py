"""The HTTP API, asked as other programs ask it."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from dashboards import Dashboard, running
from pages import SAMPLES

from auditor import FORMATS, Audit, Verdict
from dashboard.metrics import Metrics
from dashboard.service import Service

MIB = 1024**2
FORM = "multipart/form-data"
PART = b"--x\r\nContent-Disposition: form-data; name=field"
LOG = SAMPLES / "stale-snapshot-write.ndjson"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, samples_audit: Path) -> Iterator[Dashboard]:
    """A dashboard that shows the audit of the samples."""
    with running(tmp_path_factory.mktemp("api") / "dashboard", samples_audit) as made:
        yield made


@pytest.fixture
def api(server: Dashboard) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"{server.url}/api/v1", timeout=30) as client:
        yield client


@pytest.fixture
def samples(api: httpx2.Client) -> str:
    """The path of the audit of the samples."""
    audits = api.get("/audits").json()["audits"]
    return next(f"/audits/{audit['id']}" for audit in audits if audit["name"] == "samples")


def ended(api: httpx2.Client, audit_id: str) -> dict[str, Any]:
    """An audit when it has ended."""
    for _ in range(600):
        audit = api.get(f"/audits/{audit_id}").json()
        if audit["state"] in {"done", "failed", "cancelled"}:
            return dict(audit)
        time.sleep(0.1)
    raise AssertionError(audit)


def heard_of(api: httpx2.Client, name: str) -> dict[str, Any]:
    """The audit of this name, as soon as the server knows of its upload."""
    for _ in range(600):
        for audit in api.get("/audits").json()["audits"]:
            if audit["name"] == name:
                return dict(audit)
        time.sleep(0.1)
    raise AssertionError(f"nobody has heard of {name}")


def test_an_uploaded_log_becomes_an_audit_that_can_be_read_and_deleted(
    server: Dashboard, api: httpx2.Client, tmp_path: Path
) -> None:
    answer = api.post("/audits", params={"name": "nightly", "file": LOG.name}, content=LOG.read_bytes())
    assert answer.status_code == 202
    made = answer.json()
    assert answer.headers["location"] == made["status_url"] == f"/api/v1/audits/{made['id']}"
    assert made["page_url"] == f"/?audit={made['id']}"
    audit = ended(api, made["id"])
    assert (audit["state"], audit["name"], audit["uploaded_bytes"]) == ("done", "nightly", LOG.stat().st_size)
    assert audit["summary"]["verdict"] == "corrupt"
    file = tmp_path / "fetched.duckdb"
    file.write_bytes(api.get(f"/audits/{made['id']}/file").content)
    with Audit.open(file) as fetched:
        assert fetched.verdict == "corrupt"
    assert api.delete(f"/audits/{made['id']}").status_code == 204
    assert api.get(f"/audits/{made['id']}").status_code == 404
    assert not list(server.folder.rglob(f"*{made['id']}*"))


def test_a_form_brings_several_files_under_names_that_are_safe(server: Dashboard, api: httpx2.Client) -> None:
    content = LOG.read_bytes()
    names = ["../../../escaped.ndjson", "/etc/passwd.ndjson", "a\\..\\b.ndjson", ".hidden", "line\tbreak.ndjson"]
    answer = api.post("/audits", files=[("file", (name, content)) for name in names])
    assert answer.status_code == 202
    audit = ended(api, answer.json()["id"])
    assert (audit["state"], audit["name"]) == ("done", "escaped")
    assert audit["uploaded_bytes"] == len(content) * len(names)
    assert not (server.folder.parent / "escaped.ndjson").exists()
    with Audit.open(server.folder / f"{audit['id']}.duckdb") as made:
        sources = {row[0] for row in made.con.execute("SELECT path FROM input").fetchall()}
    assert not [source for source in sources if source.startswith("/") or ".." in source or "\t" in source]


def test_findings_are_filtered_and_paged_and_prove_what_they_say(api: httpx2.Client, samples: str) -> None:
    everything = api.get(f"{samples}/findings").json()
    assert everything["total"] == len(everything["findings"]) > 5
    (stale,) = api.get(f"{samples}/findings", params={"rule": "stale-snapshot-write"}).json()["findings"]
    assert stale["severity"] == "error"
    assert [witness["position"] for witness in stale["witness"] if witness["event_type"] == "hook_received"] == [8]
    assert f"finding={stale['fingerprint']['instance']}" in stale["page_url"]
    for name, value in {"run": stale["run_id"], "severity": "error", "state": "new"}.items():
        chosen = api.get(f"{samples}/findings", params={name: value}).json()
        column = "run_id" if name == "run" else name
        assert {finding[column] for finding in chosen["findings"]} == {value}
    page = api.get(f"{samples}/findings", params={"limit": 2, "offset": 1}).json()
    assert page["findings"] == everything["findings"][1:3]
    assert api.get(f"{samples}/findings", params={"rule": "' OR 1=1 --"}).json()["total"] == 0


@pytest.mark.parametrize("name", FORMATS)
def test_every_report_can_be_fetched(api: httpx2.Client, samples: str, name: str) -> None:
    answer = api.get(f"{samples}/report", params={"format": name})
    assert answer.status_code == 200
    assert "stale-snapshot-write" in answer.text
    if answer.headers["content-type"] in {"application/json", "application/sarif+json"}:
        json.loads(answer.text)
    assert ("attachment" in answer.headers.get("content-disposition", "")) == (name == "html")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/audits/01ARZ3NDEKTSV4RRFFQ69G5FAV", 404),
        ("GET", "/audits/not-an-id", 422),
        ("GET", "/audits?limit=100000", 422),
        ("GET", "/nothing", 404),
        ("PATCH", "/audits", 405),
        ("POST", "/audits", 400),
        ("GET", "/baseline", 404),
    ],
)
def test_what_goes_wrong_is_a_problem_document(api: httpx2.Client, method: str, path: str, status: int) -> None:
    answer = api.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (f"{FORM}; boundary=x", PART + b"; filename=a\r\n\r\ncut"),
        (f"{FORM}; boundary=x", b"no form at all"),
        (FORM, b"--x--"),
        (f"{FORM}; boundary=x", PART + b"\r\n\r\nvalue\r\n--x--\r\n"),
        ("application/octet-stream", b""),
    ],
    ids=["cut", "nonsense", "no boundary", "no file", "empty"],
)
def test_a_malformed_upload_is_refused_and_leaves_nothing(
    server: Dashboard, api: httpx2.Client, kind: str, body: bytes
) -> None:
    before = api.get("/audits").json()["total"]
    answer = api.post("/audits", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert api.get("/audits").json()["total"] == before
    assert not list((server.folder / "uploads").glob("*"))


def test_an_audit_may_be_deleted_while_its_upload_arrives(server: Dashboard, api: httpx2.Client) -> None:
    def interrupted() -> Iterator[bytes]:
        yield LOG.read_bytes()
        arriving = heard_of(api, "arriving")
        assert arriving["state"] == "receiving"
        assert api.delete(f"/audits/{arriving['id']}").status_code == 204
        yield b"\n"

    with httpx2.Client(base_url=f"{server.url}/api/v1", timeout=30) as client:
        answer = client.post("/audits?name=arriving&file=log.ndjson", content=interrupted())
    assert answer.status_code == 409
    assert "deleted" in answer.json()["detail"]
    assert not list((server.folder / "uploads").glob("*"))


def test_whoever_asks_for_what_a_failed_audit_found_learns_why_there_is_nothing(api: httpx2.Client) -> None:
    made = api.post("/audits", params={"file": "holiday.txt"}, content=b"no log at all\n").json()
    audit = ended(api, made["id"])
    assert audit["state"] == "failed"
    for what in ("findings", "report", "file"):
        answer = api.get(f"/audits/{made['id']}/{what}")
        assert answer.status_code == 409
        assert "retry-after" not in answer.headers
        assert audit["problem"] in answer.json()["detail"]


def test_the_description_names_every_call_and_no_page_loads_scripts_from_elsewhere(server: Dashboard) -> None:
    described = httpx2.get(f"{server.url}/api/openapi.json").json()
    assert {f"{method} {path}" for path, item in described["paths"].items() for method in item} == {
        "get /v1/audits",
        "post /v1/audits",
        "get /v1/audits/{audit_id}",
        "delete /v1/audits/{audit_id}",
        "get /v1/audits/{audit_id}/findings",
        "get /v1/audits/{audit_id}/report",
        "get /v1/audits/{audit_id}/file",
        "get /v1/baseline",
    }
    assert described["servers"] == [{"url": "/api"}]
    for page in ("docs", "redoc"):
        assert httpx2.get(f"{server.url}/api/{page}").status_code == 404


def test_metrics_count_audits_and_findings_and_name_no_run(
    server: Dashboard, api: httpx2.Client, samples: str
) -> None:
    made = api.post("/audits", params={"file": LOG.name}, content=LOG.read_bytes()).json()
    audit = ended(api, made["id"])
    text = httpx2.get(f"{server.url}/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    named = {name.removeprefix("auditor_dashboard_"): float(value) for name, value in values.items()}
    assert named['audits{state="done"}'] >= 2
    assert named['findings{rule="stale-snapshot-write",severity="error"}'] == 1
    assert named["open_findings"] == sum(audit["summary"]["counts"]["new"].values())
    verdicts = {name: value for name, value in named.items() if name.startswith("verdict")}
    assert verdicts == {f'verdict{{verdict="{verdict}"}}': verdict == "corrupt" for verdict in Verdict}
    assert named['jobs_total{state="done"}'] >= 1
    assert named["events_ingested_total"] >= audit["summary"]["counts"]["events"]
    assert named["last_success_timestamp_seconds"] == audit["finished_at"] / 1000
    assert named['uploads_refused_total{reason="bad_request"}'] >= 0
    assert "wrun_" not in text


@pytest.mark.parametrize("newest", ["none", "damaged"])
def test_metrics_are_silent_about_findings_where_none_could_be_read(full: Service, newest: str) -> None:
    (entry,) = full.library.entries()
    if newest == "none":
        full.library.delete(entry.audit_id, "somebody")
    else:
        full.library.file(entry.audit_id).write_bytes(b"no audit")
    text = Metrics(full.library).text().decode()
    assert "auditor_dashboard_audits" in text
    for name in ("findings", "open_findings", "verdict"):
        assert f"auditor_dashboard_{name} " not in text
        assert f"auditor_dashboard_{name}{{" not in text


def test_an_upload_of_200_mb_takes_little_memory(server: Dashboard, api: httpx2.Client) -> None:
    log = (SAMPLES / "healthy-order.ndjson").read_bytes()
    fresh = partial(re.compile(rb"wrun_\w{6}").sub, string=log)
    copies = 200 * MIB // len(log) + 1
    content = (fresh(b"wrun_%06d" % number) for number in range(copies))
    before = peak = server.memory()
    over = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.02):
            peak = max(peak, server.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        answer = api.post("/audits", params={"file": "large.ndjson"}, content=content)
    finally:
        over.set()
        watcher.join()
    assert answer.status_code == 202
    assert api.get(answer.json()["status_url"].removeprefix("/api/v1")).json()["uploaded_bytes"] >= 200 * MIB
    assert api.delete(f"/audits/{answer.json()['id']}").status_code == 204
    assert peak - before < 48 * MIB, f"{(peak - before) / MIB:.0f} MiB"

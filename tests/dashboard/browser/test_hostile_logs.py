"""Whatever a log, a file name or a file says is text: no page changes, and no other host is asked."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from chromium import Visit, settled
from dashboards import Dashboard, running
from logs import Log, entity, manifest, time, write

TEXTS = (
    "<script>window.owned=1</script><img src=http://owned.example/a.png onerror=window.owned=1>",
    "![x](http://owned.example/b.png) [y](javascript:window.owned=1) :red[z] $\\href{http://owned.example}{q}$",
    '</td></svg>]]>--><h1 id="owned">owned</h1><a href="http://owned.example/">owned</a>',
    "# owned\n\n- ![x](http://owned.example/c.png)\n\n| a |\n|---|\n| <b id=owned>b</b> |",
    '=HYPERLINK("http://owned.example/d")',
    "{{ owned }} \x1b[2J \u202edenwo\u2066 :material/owned:",
)
TIMES = (
    *("9999-12-31T23:59:59.999Z", "290000-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000Z"),
    *("infinity", "-infinity", "0044-03-15 (BC) 00:00:00Z"),
)
"""One a text: DuckDB holds all of them, and Python has no date for most."""

FOREIGN = "owned.example"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dashboard, str, list[dict[str, Any]]]]:
    """A dashboard with one audit: every name in it is one of these texts, and in each run there is an odd time."""
    folder = tmp_path_factory.mktemp("hostile")
    logs = []
    for number, bad in enumerate(TEXTS):
        log = Log(f"wrun_{bad}", workflow=bad).life("step", 0, "created", "started", "completed", stepName=bad)
        log.add("step_started", entity("step", 0), data={"stepName": bad}, createdAt=TIMES[number])
        log.add("wait_created", f"wait_{bad}", data={"resumeAt": time(30)}, fence=None, site=bad, writerId=bad)
        log.add(bad, f"hook_{bad}", at=900 + number)
        log.add("run_failed", data={"errorCode": bad, "error": {"message": bad}}, at=950)
        logs.append(log.events)
    path = write(folder / "log.ndjson", manifest("fence", "site", "writerId"), *logs)
    with running(folder / "dashboard") as dashboard:
        name = quote(TEXTS[1], safe="")
        file = quote(TEXTS[0] + ".ndjson", safe="")
        told = dashboard.ask(f"/api/v1/audits?name={name}&file={file}", path.read_bytes())
        dashboard.finished(dashboard.ask(f"/api/v1/audits/{told['id']}")["name"])
        found = dashboard.ask(f"/api/v1/audits/{told['id']}/findings?limit=1000")["findings"]
        yield dashboard, told["id"], found


ADDRESSES = (
    "/?",
    "/findings?",
    "/findings?finding={finding}&",
    "/runs?",
    "/run?run={run}&",
    "/run?run={run}&finding={finding}&",
    "/run?run={run}&tab=events&",
    "/run?run={run}&tab=entities&",
    "/run?run={run}&tab=findings&",
    "/rules?rule=step-restarted-after-outcome&",
    "/data?",
    "/data?tab=imports&",
    "/data?tab=trail&",
    "/query?",
)
OF_EACH = ADDRESSES[1:6]
"""Pages that are looked at once for each of the texts."""


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_page_about_a_hostile_log_is_a_page_like_any_other(
    address: str, hostile: tuple[Dashboard, str, list[dict[str, Any]]], visit: Visit
) -> None:
    dashboard, audit_id, found = hostile
    restarted = [one for one in found if one["rule"] == "step-restarted-after-outcome"]
    assert len(restarted) == len(TEXTS)
    page = visit(f"{dashboard.url}/data?audit={audit_id}")
    for finding in restarted if address in OF_EACH else restarted[:1]:
        asked = address.format(
            run=quote(str(finding["run_id"]), safe=""),
            finding=finding["fingerprint"]["instance"],
        )
        page.goto(f"{dashboard.url}{asked}audit={audit_id}")
        settled(page)
        page.wait_for_timeout(300)
        assert page.evaluate("() => window.owned === undefined && !document.querySelector('#owned')")
        assert not page.evaluate(
            f"""() => [...document.querySelectorAll('[src],[href]')].some(
                node => `${{node.src ?? ''}}${{node.href ?? ''}}`.startsWith('http://{FOREIGN}')
                    || `${{node.href ?? ''}}`.startsWith('javascript:'))"""
        )


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.ndjson", bytes(300 * 1024**2))
    return out.getvalue()


def climber() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../climbed.ndjson", '{"eventType":"run_created"}\n')
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bomb.zip", bomb()),
        ("climber.zip", climber()),
        ("deep.json", b"[" * 200_000),
        ("blank.ndjson", b"\n"),
        ("torn.parquet", b"PAR1" + bytes(64)),
        ("not a zip.zip", b"PK\x03\x04" + bytes(64)),
        ("letters.ndjson", b"\xff\xfe\x00\x01" * 100),
    ],
)
def test_a_hostile_file_ends_in_a_sentence_and_the_server_goes_on(
    name: str, content: bytes, dash: Dashboard, visit: Visit
) -> None:
    told = dash.ask(f"/api/v1/audits?name={quote(name)}&file={quote(name)}", content)
    page = visit(f"{dash.url}/data?tab=imports")
    while dash.ask(f"/api/v1/audits/{told['id']}")["state"] in ("receiving", "queued", "running"):
        page.wait_for_timeout(200)
    page = visit(f"{dash.url}/data?tab=imports")
    assert "Traceback" not in page.content()
    entry = dash.ask(f"/api/v1/audits/{told['id']}")
    assert entry["state"] == "failed" or entry["summary"]["exit_code"] != 0
    assert str(dash.folder) not in str(entry)
    assert not list(Path(dash.folder).parent.rglob("climbed*"))

"""What somebody does after an incident: upload, filter, open, show to a colleague, decide."""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from chromium import Visit, settled
from dashboards import Dashboard, running
from ingest import shapes
from logs import Log, entity, manifest, write
from playwright.sync_api import Page, expect

RULE = "step-restarted-after-outcome"


def restarted() -> Log:
    """A log with one error that every format can show."""
    log = Log().life("step", 0, "created", "started", "completed", stepName="step//./flows//charge")
    return log.add("step_started", entity("step", 0)).add("run_completed")


def cells(page: Page) -> list[str]:
    """The text of the cells of all tables that are in view."""
    page.locator("[data-testid=stDataFrame] table[role=grid] td").first.wait_for(state="attached")
    return page.locator("[data-testid=stDataFrame] table[role=grid] td").all_text_contents()


def upload(page: Page, path: Path, name: str) -> None:
    """Put a file or a folder on the page Data, and ask for an audit of this name."""
    if path.is_dir():
        page.get_by_test_id("stMain").get_by_text("A folder", exact=True).click()
    kind = "[webkitdirectory]" if path.is_dir() else ":not([webkitdirectory])"
    page.get_by_test_id("stFileUploader").locator(f"input[type=file]{kind}").set_input_files(path)
    button = page.get_by_role("button", name="Audit", exact=True)
    expect(button).to_be_enabled(timeout=90_000)
    field = page.get_by_role("textbox", name="Name of the audit")
    field.fill(name)
    field.press("Enter")
    settled(page)
    button.click()


def ndjson(target: Path) -> Path:
    return shapes.ndjson(restarted().events, target.with_suffix(".ndjson"))


def auditor_log(target: Path) -> Path:
    return write(target.with_suffix(".jsonl"), manifest(), restarted().events)


def world_local(target: Path) -> Path:
    return shapes.world_local(restarted().events, target)


def postgres_csv(target: Path) -> Path:
    return shapes.postgres_csv(restarted().events, target.with_suffix(".csv"))


def cli_json(target: Path) -> Path:
    return shapes.cli_array(restarted().events, target.with_suffix(".json"))


def gzipped(target: Path) -> Path:
    return shapes.compressed(ndjson(target), target.with_suffix(".ndjson.gz"))


def zipped(target: Path) -> Path:
    with zipfile.ZipFile(target.with_suffix(".zip"), "w") as archive:
        archive.write(ndjson(target), "export/log.ndjson")
    return target.with_suffix(".zip")


def tarred(target: Path) -> Path:
    with tarfile.open(target.with_suffix(".tar.gz"), "w:gz") as archive:
        archive.add(world_local(target), "workflow-data")
    return target.with_suffix(".tar.gz")


FORMATS: dict[str, Callable[[Path], Path]] = {
    "bare events": ndjson,
    "auditor.log/v1": auditor_log,
    "a world-local folder": world_local,
    "a table of the Postgres world": postgres_csv,
    "what the CLI prints": cli_json,
    "compressed": gzipped,
    "a zip": zipped,
    "a tar of a folder": tarred,
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_log_of_each_format_is_uploaded_and_what_is_wrong_is_seen(
    name: str, dash: Dashboard, visit: Visit, tmp_path: Path
) -> None:
    path = FORMATS[name](tmp_path / "log")
    page = visit(f"{dash.url}/data")
    upload(page, path, name)
    audit_id = dash.finished(name)
    expect(page.get_by_text(re.compile("events")).first).to_be_visible()
    assert RULE in cells(visit(f"{dash.url}/findings?audit={audit_id}"))


def test_a_folder_of_many_files_arrives_whole(dash: Dashboard, visit: Visit, tmp_path: Path) -> None:
    log = Log()
    for ordinal in range(80):
        log.life("step", ordinal, "created", "started", "completed", stepName="charge")
    page = visit(f"{dash.url}/data")
    upload(page, shapes.world_local(log.add("run_completed").events, tmp_path / "log"), "many files")
    audit = dash.ask(f"/api/v1/audits/{dash.finished('many files')}")
    assert audit["summary"]["counts"]["events"] == len(log.events)
    assert audit["summary"]["verdict"] == "sound"


def test_a_file_that_is_no_log_is_named_with_what_to_do(dash: Dashboard, visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "holiday.txt"
    path.write_text("no log at all\n", "utf-8")
    page = visit(f"{dash.url}/data")
    upload(page, path, "holiday")
    expect(page.get_by_text("is no event log that auditor knows").first).to_be_visible(timeout=60_000)
    assert "Traceback" not in page.content()


def test_filters_stand_in_the_address_and_a_fresh_browser_sees_the_same(
    samples: tuple[Dashboard, str, dict[str, str]], visit: Visit
) -> None:
    dashboard, audit_id, _ = samples
    page = visit(f"{dashboard.url}/findings?audit={audit_id}")
    everything = cells(page)
    page.get_by_role("textbox", name="Search").fill("refused")
    page.get_by_role("textbox", name="Search").press("Enter")
    page.wait_for_url(re.compile(r"q=refused"))
    settled(page)
    page.wait_for_timeout(500)
    some = cells(page)
    assert 0 < len(some) < len(everything)
    assert cells(visit(page.url)) == some


def test_a_finding_is_shown_to_a_colleague_by_its_link(
    samples: tuple[Dashboard, str, dict[str, str]], visit: Visit
) -> None:
    dashboard, audit_id, stale = samples
    (finding,) = (
        found
        for found in dashboard.ask(f"/api/v1/audits/{audit_id}/findings?rule=stale-snapshot-write")["findings"]
        if found["fingerprint"]["instance"] == stale["finding"]
    )
    page = visit(f"{dashboard.url}/findings?audit={audit_id}&finding={stale['finding']}")
    expect(page.get_by_text(finding["because"]).first).to_be_visible()
    shown = cells(page)
    for witness in finding["witness"]:
        assert any(witness["role"] in cell for cell in shown)


def test_the_timeline_opens_on_the_window_of_the_finding(
    samples: tuple[Dashboard, str, dict[str, str]], visit: Visit
) -> None:
    dashboard, audit_id, stale = samples
    page = visit(f"{dashboard.url}/run?audit={audit_id}&run={stale['run']}&finding={stale['finding']}")
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    drawn = page.evaluate(
        """() => [...document.querySelectorAll('.js-plotly-plot')].map(g => ({
            names: g._fullData.map(d => d.name),
            points: g._fullData.reduce((n, d) => n + (d.x || []).length, 0),
            texts: (g._fullLayout.annotations || []).map(a => a.text || ''),
            arrows: (g._fullLayout.annotations || []).filter(a => a.showarrow).length,
            bands: (g._fullLayout.shapes || []).length}))"""
    )[0]
    assert drawn["arrows"] >= 1
    assert drawn["bands"] >= 1
    assert any("unseen" in text for text in drawn["texts"])
    assert 0 < drawn["points"] < 2_000


def test_a_decision_survives_a_restart(tmp_path: Path, visit: Visit) -> None:
    folder = tmp_path / "dashboard"
    with running(folder, ndjson(tmp_path / "log")) as dashboard:
        audit_id = dashboard.finished("log.ndjson")
        (found,) = dashboard.ask(f"/api/v1/audits/{audit_id}/findings?rule={RULE}")["findings"]
        page = visit(f"{dashboard.url}/findings?audit={audit_id}&finding={found['fingerprint']['instance']}")
        page.get_by_role("radio", name="ignored").or_(page.get_by_role("button", name="ignored")).first.click()
        settled(page)
        page.get_by_role("textbox", name="Why").fill("the charge is idempotent")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_text("ignored for good", exact=False).first).to_be_visible()
    with running(folder) as dashboard:
        page = visit(f"{dashboard.url}/findings?audit={audit_id}&finding={found['fingerprint']['instance']}")
        expect(page.get_by_text("ignored for good", exact=False).first).to_be_visible()
        expect(page.get_by_text("the charge is idempotent").first).to_be_visible()
        with urlopen(f"{dashboard.url}/api/v1/baseline") as answer:  # noqa: S310 - our own server
            assert found["fingerprint"]["pattern"] in answer.read().decode()


def test_two_visitors_at_once_do_not_disturb_each_other(
    samples: tuple[Dashboard, str, dict[str, str]], visit: Visit, tmp_path: Path
) -> None:
    dashboard, audit_id, _ = samples
    dashboard.upload(ndjson(tmp_path / "other"), "other")
    other = dashboard.finished("other")
    first = visit(f"{dashboard.url}/findings?audit={audit_id}&rule=stale-snapshot-write")
    second = visit(f"{dashboard.url}/findings?audit={other}")
    assert RULE in cells(second)
    first.get_by_role("textbox", name="Search").fill("unseen")
    first.get_by_role("textbox", name="Search").press("Enter")
    first.wait_for_url(re.compile("q=unseen"))
    assert "q=" not in second.url
    assert other in second.url
    assert audit_id in first.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_and_page_follow_the_scheme_of_the_system(
    scheme: str, samples: tuple[Dashboard, str, dict[str, str]], visit: Visit
) -> None:
    dashboard, audit_id, stale = samples
    page = visit(f"{dashboard.url}/run?audit={audit_id}&run={stale['run']}", scheme=scheme)
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    background = page.evaluate(
        "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
    )
    ink = page.evaluate("() => document.querySelector('.js-plotly-plot')._fullLayout.font.color")
    assert (brightness(background) < 80) == (scheme == "dark")
    assert (brightness(ink) > 128) == (scheme == "dark")


def brightness(colour: str) -> float:
    """0 (black) to 255 (white), of `rgb(…)` or `#rrggbb`."""
    if colour.startswith("#"):
        return sum(int(colour[i : i + 2], 16) for i in (1, 3, 5)) / 3
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


def test_an_empty_dashboard_says_what_to_do_and_the_samples_are_one_click_away(
    tmp_path: Path, visit: Visit
) -> None:
    with running(tmp_path / "dashboard") as dashboard:
        page = visit(f"{dashboard.url}/")
        page.get_by_role("link", name=re.compile("Upload")).first.click()
        settled(page)
        page.get_by_role("button", name="Load the sample logs").click()
        audit_id = dashboard.finished("sample logs")
        found = dashboard.ask(f"/api/v1/audits/{audit_id}/findings?limit=1000")["findings"]
        assert "stale-snapshot-write" in {one["rule"] for one in found}

"""Who cannot see a page, or has no mouse, can use it: axe finds no serious violation on any of them."""

from __future__ import annotations

from pathlib import Path

import axe_playwright_python
import pytest
from chromium import Visit
from dashboards import Dashboard
from playwright.sync_api import Page

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text("utf-8")
PAGES = {
    "overview": "/?",
    "findings": "/findings?",
    "a finding": "/findings?finding={finding}&",
    "runs": "/runs?",
    "a run": "/run?run={run}&",
    "a run around its finding": "/run?run={run}&finding={finding}&",
    "events": "/run?run={run}&tab=events&",
    "states": "/run?run={run}&tab=states&",
    "rules": "/rules?",
    "a rule": "/rules?rule=stale-snapshot-write&",
    "data": "/data?",
    "query": "/query?",
}


def violations(page: Page) -> list[str]:
    page.evaluate(AXE)
    found = page.evaluate("() => axe.run()")["violations"]
    return [
        f"{violation['id']}: {node['html'][:300]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_serious_violation(
    name: str, scheme: str, samples: tuple[Dashboard, str, dict[str, str]], visit: Visit
) -> None:
    dashboard, audit_id, stale = samples
    page = visit(f"{dashboard.url}{PAGES[name].format(**stale)}audit={audit_id}", scheme=scheme)
    assert violations(page) == []

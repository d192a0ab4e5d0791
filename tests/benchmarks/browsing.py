"""Measure the dashboard in a real Chromium: `python -m tests.benchmarks.browsing`, a part of `make bench`.

From the request to the drawn figure: the page of a run of 1,000, 5,000 and 20,000 events, by turns (target: 20,000
within 1.5 times 1,000), and the overview of a large log. Then the server's memory, over ten uploads.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from auditor import audit
from tests.chromium import chromium, settled
from tests.dashboards import Dashboard, running

from .kept_logs import Logs
from .ratios import by_turns, row
from .tables import text

SIZES = (1_000, 5_000, 20_000)
UPLOADS = 10
_START = 1_795_300_000_000
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(ms: int, low: int) -> str:
    """A ULID of this time; `low` is what follows it."""
    number = (ms << 80) | low
    return "".join(_DIGITS[number >> shift & 31] for shift in range(125, -1, -5))


def events(run: str, count: int) -> Iterator[dict[str, Any]]:
    """The log of one run: four steps at a time, a wait now and then, and a stale write every 400 events."""
    position, tail, known = 0, "none", "none"

    def event(kind: str, entity: str | None = None, fence: str | None = None, **data: Any) -> dict[str, Any]:
        nonlocal position, tail
        position += 1
        at = _START + position * 250
        made = {
            "runId": run,
            "position": position,
            "eventId": f"evnt_{ulid(at, position)}",
            "eventType": kind,
            "createdAt": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at / 1000)) + f".{at % 1000:03}Z",
            "specVersion": 3,
            "eventData": data,
            "fence": {"kind": "tail", "value": fence} if fence else None,
            "tailAtCommit": tail,
        }
        tail = made["eventId"]
        return made | ({"correlationId": entity} if entity else {})

    yield event("run_created", workflowName="workflow//./flows//long", deploymentId="dpl_1")
    yield event("run_started")
    ordinal = 0
    while position < count - 20:
        known = tail
        batch = []
        for number in range(4):
            ordinal += 1
            kind = "wait" if ordinal % 9 == 0 else "step"
            entity = f"{kind}_{ulid(_START, ordinal)}"
            batch.append((kind, entity))
            stale = number == 3 and position % 400 < 12
            data = {"resumeAt": "2026-01-01T00:00:00.000Z"} if kind == "wait" else {"stepName": f"step {ordinal}"}
            yield event(f"{kind}_created", entity, known if stale else tail, **data)
        for kind, entity in batch:
            if kind == "step":
                yield event("step_started", entity)
        for kind, entity in reversed(batch):
            yield event(f"{kind}_completed", entity, tail if kind == "wait" else None)
    yield event("run_completed", fence=tail)


def write(path: Path, count: int) -> str:
    """The log of a run of about so many events; its run id."""
    run = f"wrun_{ulid(_START, count)}"
    manifest = {
        "record": "manifest",
        "schema": "auditor.log/v1",
        "producer": "benchmark",
        "fields": ["runId", "position", "eventId", "eventType", "createdAt", "fence", "tailAtCommit"],
    }
    with path.open("w", encoding="utf-8") as out:
        for record in (manifest, *events(run, count)):
            out.write(json.dumps(record) + "\n")
    return run


def drawn(browser: Browser, url: str, ready: str) -> float:
    """Seconds from the request to what `ready` selects, in a fresh context."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    started = time.perf_counter()
    page.goto(url)
    page.locator(ready).first.wait_for(timeout=120_000)
    settled(page)
    seconds = time.perf_counter() - started
    context.close()
    return seconds


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000, help="size of the log of the overview")
    parser.add_argument("--rounds", type=int, default=5)
    folder = Path(tempfile.gettempdir()) / "auditor-benchmarks"
    parser.add_argument("--folder", type=Path, default=folder, help=f"where logs are kept (default: {folder})")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        runs = {size: write(folder / f"{size}.ndjson", size) for size in SIZES}
        audit(*(folder / f"{size}.ndjson" for size in SIZES), save=folder / "long.duckdb").close()
        audit(Logs(options.folder, 1).ndjson(options.events), save=folder / "large.duckdb").close()
        with (
            running(folder / "dashboard", folder / "long.duckdb", folder / "large.duckdb") as dashboard,
            chromium() as browser,
        ):
            long, large = (dashboard.finished(name) for name in ("long", "large"))
            figure = ".js-plotly-plot .main-svg"
            urls = [f"{dashboard.url}/run?audit={long}&run={runs[size]}" for size in SIZES]
            ways = [partial(drawn, browser, url, figure) for url in urls]
            ways.append(partial(drawn, browser, f"{dashboard.url}/?audit={large}", figure))
            for way in ways:
                way()
            taken = by_turns(ways, options.rounds)
            rows = [
                row(f"run page, {size:,} events against {SIZES[0]:,}", 1.5, of_size, taken[0])
                for size, of_size in zip(SIZES[1:], taken[1:], strict=False)
            ]
            what = f"overview, {options.events:,} events, against the page of a run of {SIZES[0]:,}"
            rows.append(row(what, 1.5, taken[-1], taken[0]))
            print(text(rows))
            uploads(dashboard, folder / f"{SIZES[-1]}.ndjson")
    return 0


def uploads(dashboard: Dashboard, log: Path) -> None:
    """Upload the same log ten times, and print the server's memory after each."""
    memory = [dashboard.memory()]
    for number in range(UPLOADS):
        dashboard.upload(log, f"upload-{number}")
        memory.append(dashboard.memory())
    said = ", ".join(f"{size / 1024**2:,.0f}" for size in memory)
    print(f"\nserver's memory over {UPLOADS} uploads of {log.stat().st_size / 1e6:,.0f} MB: {said} MiB")


if __name__ == "__main__":
    sys.exit(main())

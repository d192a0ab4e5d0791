"""Pages of the dashboard without a browser, and audits for them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

import dashboard
from auditor import Audit
from dashboard.library import Library

SAMPLES = Path(__file__).parents[1] / "sample_logs"
MAIN = Path(dashboard.__file__).with_name("main.py")


def put(library: Library, audit_file: Path, name: str, *, keep_payloads: bool = False) -> str:
    """A finished audit in the folder, as the worker leaves it. Returns its id."""
    audit_id = library.begin(name, "somebody", keep_payloads=keep_payloads, state="queued")
    shutil.copy(audit_file, library.file(audit_id))
    library.uploads(audit_id).rmdir()
    with Audit.open(audit_file) as made:
        report = made.report
    summary = {key: report[key] for key in ("verdict", "exit_code", "counts", "fence_coverage")}
    with library.state.change() as con:
        con.execute(
            """
            UPDATE audit SET state = 'done', finished_at = created_at + 1, summary = ?, audit_bytes = ?
            WHERE audit_id = ?
            """,
            [json.dumps(summary), audit_file.stat().st_size, audit_id],
        )
    return audit_id


def visit(page: str, **params: Any) -> AppTest:
    """Run a page as a visitor who follows a link to it."""
    app = AppTest.from_file(str(MAIN), default_timeout=30)
    app.query_params.update({name: str(value) for name, value in params.items()})
    # `switch_page` takes files only, and our pages are functions; Streamlit knows a page by the hash of its path.
    app._page_hash = calc_hash("" if page == "overview" else page)
    return app.run()

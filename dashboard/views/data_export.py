"""How a log gets out of the SDK, and how a large one gets in here."""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

import streamlit as st

from .. import service
from ..settings import MIB, Auth

_EXPORT = """
# The events of one run. The CLI cuts arrays off without a word (20 rows by default): always say a limit.
npx workflow inspect events --runId RUN_ID --json --limit 1000 > events.json
npx workflow inspect runs --json > runs.json

# Development: the local world is a folder of files; pack it, or upload the folder as it is.
tar -czf world.tar.gz .workflow-data

# PostgreSQL: one table a file; `auditor check postgresql://USER@HOST/DB` reads the server itself.
psql -c "COPY workflow.workflow_events TO STDOUT CSV HEADER" > workflow_events.csv
"""

_FORMATS = """
| What | How it is recognised | What it can show |
|---|---|---|
| `auditor.log/v1` | NDJSON whose first line is a manifest | what its manifest says: fences, refusals, hashes |
| Local world | a folder or archive with `events/` | events and entities; the order of each run |
| `workflow inspect … --json` | an array or a page of objects | events; says so if a page had more |
| World tables | CSV or Parquet with the columns of the table, or SQLite | events; stored steps, waits, hooks |

Upload the tables of one world together: an audit that has events and entities compares both.
`auditor schema log` prints the contract of the first one, which a world of your own can write.
"""


def draw() -> None:
    """Draw it."""
    limit = service.current().settings.limits.page_upload // MIB
    with st.expander(f"Logs larger than {limit} MB"):
        st.markdown("The page holds an upload in memory. The API writes it to disk as it comes:")
        st.code(command(), language="bash", wrap_lines=True)
        st.markdown("On the machine of the dashboard a path is enough:")
        st.code("auditor dashboard LOG_OR_FOLDER", language="bash", wrap_lines=True)
    with st.expander("How to export a log"):
        st.code(_EXPORT.strip(), language="bash", wrap_lines=True)
        st.markdown(_FORMATS)


def command() -> str:
    """How to send a file to the API of this server."""
    token = "" if service.current().settings.auth is Auth.NONE else " -H 'Authorization: Bearer TOKEN'"
    return f"curl{token} -X POST -T FILE {shlex.quote(f'{address()}/api/v1/audits?name=NAME&file=FILE')}"


def address() -> str:
    """Where this server is, as the visitor reached it."""
    settings = service.current().settings
    asked = urlsplit(st.context.url or "")
    return f"{asked.scheme or 'http'}://{asked.netloc or f'{settings.host}:{settings.port}'}"

"""`auditor rules new`: a rule of your own to start from, which works as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click

from auditor.check.catalogue import load, rule_files
from auditor.check.template import rule_template
from auditor.errors import UsageError

DEFAULT_FOLDER = Path("audit-rules")
"""Where rules of one's own are, unless somebody says so."""

_KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@click.command(short_help="Write a new rule, with samples, to start from.")
@click.argument("name")
@click.option("--group", default="custom", show_default=True, help="The rule's group: the folder of its file.")
@click.option(
    "--rules",
    "folder",
    type=click.Path(path_type=Path),
    default=DEFAULT_FOLDER,
    show_default=True,
    metavar="DIR",
    help="The folder of your rules.",
)
def new(name: str, group: str, folder: Path) -> None:
    """Write a rule called NAME that works, with a sample of each kind, to make your own of."""
    for word in (name, group):
        if not _KEBAB.fullmatch(word):
            raise UsageError(f"{word!r} is not kebab-case, such as slow-payment")
    path = folder / group / f"{name}.sql"
    samples = path.with_suffix(".samples")
    known = load([folder] if folder.is_dir() and rule_files(folder) else [])
    taken = [str(known[name].path)] if name in known else [str(p) for p in (path, samples) if p.exists()]
    if taken:
        raise UsageError(f"there is a rule of this name already: {taken[0]}")
    files = {path: rule_template(name)} | {samples / f"{sample}.ndjson": log for sample, log in _samples()}
    try:
        samples.mkdir(parents=True)
        for target, text in files.items():
            target.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"{samples.parent}: the rule cannot be written: {error.strerror or error}") from None
    click.echo("written:")
    for target in files:
        click.echo(f"  {target}")
    click.echo(
        f"\nnext: change the SELECT (`auditor schema audit` lists the relations) and the samples, then\n"
        f"  auditor rules test {folder}\n  auditor check --rules {folder} PATH"
    )


def _samples() -> Iterator[tuple[str, str]]:
    yield "fires-third-retry", sample_log(retries=3)
    yield "holds-second-retry", sample_log(retries=2)
    yield "cannot-tell-the-start-is-missing", sample_log(retries=3, complete=False)


def sample_log(*, retries: int, complete: bool = True) -> str:
    """The log of a run with a step that was retried so many times, as NDJSON."""
    types = ["run_created", "run_started", "step_created", "step_started"]
    types += ["step_retrying", "step_started"] * retries + ["step_completed", "run_completed"]
    fields = ["runId", "eventId", "eventType", "correlationId", "createdAt", "specVersion", "eventData"]
    manifest = {
        "record": "manifest",
        "schema": "auditor.log/v1",
        "producer": "auditor rules new",
        "fields": fields,
    }
    events = [_event(place, event_type) for place, event_type in enumerate(types, 1)]
    return "".join(json.dumps(row) + "\n" for row in [manifest, *(events if complete else events[2:])])


def _event(place: int, event_type: str) -> dict[str, object]:
    data: dict[str, object] = {}
    if event_type == "run_created":
        context = {"workflowCoreVersion": "4.8.9"}
        data = {"workflowName": "workflow//./flows//order", "deploymentId": "dpl_1", "executionContext": context}
    elif event_type in ("step_created", "step_started"):
        data = {"stepName": "step//./flows//charge"}
    step = {"correlationId": "step_01KAP2D0000000000000000001"} if event_type.startswith("step_") else {}
    return {
        "eventType": event_type,
        "specVersion": 3,
        "runId": "wrun_01KAP2D0000000000000000000",
        "eventId": f"evnt_01KAP2D000{place:016d}",
        "createdAt": f"2026-11-22T12:00:{place:02d}.000Z",
        **step,
        **({"eventData": data} if data else {}),
    }

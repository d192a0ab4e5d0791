"""What `/metrics` says, for Prometheus. Nothing of a log becomes a label but the ids of rules."""

from __future__ import annotations

import threading
from collections import Counter as Count
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import duckdb
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from auditor import InputError, Verdict

from .library import Entry, Library
from .queries import metrics as queries

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_PREFIX = "auditor_dashboard"
_STATES = ("receiving", "queued", "running", "done", "failed", "cancelled")
_ABORTED = 499
_SECONDS = (1, 5, 15, 60, 300, 900, 3600)


class Metrics:
    """Counts since the process started, and what the folder holds now."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._registry = CollectorRegistry()
        self._refused = Counter(
            f"{_PREFIX}_uploads_refused", "Uploads that were refused.", ["reason"], registry=self._registry
        )
        self._ended = Counter(f"{_PREFIX}_jobs", "Audits that have ended.", ["state"], registry=self._registry)
        self._seconds = Histogram(
            f"{_PREFIX}_job_duration_seconds",
            "From the upload of a log to the end of its audit.",
            registry=self._registry,
            buckets=_SECONDS,
        )
        self._events = Counter(f"{_PREFIX}_events_ingested", "Events read.", registry=self._registry)
        self._rejects = Counter(f"{_PREFIX}_rejects", "Rows that could not be read.", registry=self._registry)
        self._registry.register(_Folder(library))
        self._counted = {row["audit_id"] for row in queries.ended(library.state)}

    def refused(self, status: int) -> None:
        """An upload was refused, with this status."""
        reason = "aborted" if status == _ABORTED else HTTPStatus(status).name.lower()
        self._refused.labels(reason).inc()

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        with self._lock:
            for row in queries.ended(self._library.state):
                if row["audit_id"] not in self._counted:
                    self._count(row)
        return generate_latest(self._registry)

    def _count(self, row: dict[str, Any]) -> None:
        self._counted.add(row["audit_id"])
        self._ended.labels(row["state"]).inc()
        if row["finished_at"] is not None:
            self._seconds.observe((row["finished_at"] - row["created_at"]) / 1000)
        self._events.inc(row["events"])
        self._rejects.inc(row["rejects"])


class _Folder:
    """What the folder holds when somebody asks."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def describe(self) -> Iterator[Metric]:
        """Nothing: else the folder would be read to find out."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read it."""
        entries = self._library.entries()
        audits = GaugeMetricFamily(f"{_PREFIX}_audits", "Audits in the folder.", labels=["state"])
        states = Count(entry.state for entry in entries)
        for state in _STATES:
            audits.add_metric([state], states[state])
        yield audits
        yield GaugeMetricFamily(f"{_PREFIX}_queue_length", "Audits that wait.", value=states["queued"])
        done = [entry for entry in entries if entry.is_done]
        finished = max((entry.finished_at or 0 for entry in done), default=0)
        yield GaugeMetricFamily(
            f"{_PREFIX}_last_success_timestamp_seconds",
            "When an audit was last finished; 0: never.",
            value=finished / 1000,
        )
        if done:
            yield from self._newest(done[0])

    def _newest(self, entry: Entry) -> Iterator[Metric]:
        """What one audit says; nothing if it cannot be read, as none found is not the same as none."""
        try:
            with self._library.reading(entry.audit_id) as con:
                rows = queries.findings(con)
        except (InputError, duckdb.Error):  # damaged, or deleted since we looked
            return
        verdict = GaugeMetricFamily(f"{_PREFIX}_verdict", "1 for that of the newest audit.", labels=["verdict"])
        for each in Verdict:
            verdict.add_metric([each.value], entry.summary is not None and entry.summary["verdict"] == each)
        yield verdict
        findings = GaugeMetricFamily(
            f"{_PREFIX}_findings", "Findings of the newest audit.", labels=["rule", "severity"]
        )
        for row in rows:
            findings.add_metric([row["rule"], row["severity"]], row["findings"])
        yield findings
        new = sum(row["new"] for row in rows)
        yield GaugeMetricFamily(f"{_PREFIX}_open_findings", "New findings of the newest audit.", value=new)

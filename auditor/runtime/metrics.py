"""What a worker counts, in the form that Prometheus scrapes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """The counters of one worker, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.ticks = self._counter("ticks", "Ticks of runs, by what they came to.", "result")
        self.appends = self._counter(
            "appends", "Decisions that were committed, by the site that made them.", "site"
        )
        self.conflicts = self._counter("fence_conflicts", "Decisions that a fence refused, by site.", "site")
        self.retries = self._counter("fence_retries", "Decisions that were made again after a conflict.", "site")
        self.exhausted = self._counter(
            "fence_retries_exhausted",
            "Ticks that gave up after too many conflicts and went back to the queue.",
            "site",
        )
        self.divergences = self._counter("divergences", "Replays that left the history of their run.")
        self.steps = self._counter("steps", "Attempts of steps, by what they came to.", "result")
        self.failures = self._counter("failures", "Messages that could not be handled, by error.", "error")
        self.running = Gauge(
            "auditor_worker_running", "Ticks and steps under way.", ["kind"], registry=self.registry
        )

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"auditor_worker_{name}", meaning, labels, registry=self.registry)

    def totals(self) -> dict[str, float]:
        """Every counter with its labels, `fence_conflicts{site=suspension}`, and its value."""
        found = {}
        for metric in self.registry.collect():
            for sample in metric.samples:
                if sample.name.endswith("_total"):
                    labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                    name = sample.name.removeprefix("auditor_worker_").removesuffix("_total")
                    found[f"{name}{{{labels}}}" if labels else name] = sample.value
        return found

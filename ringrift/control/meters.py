"""What the controller measures of itself, for `/metrics`: in memory, from its start on."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

_BEAT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_PASS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)


class Meters:
    """Histograms and counters of one controller, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.beat_seconds = Histogram(
            "ringrift_beat_seconds",
            "From a heartbeat's arrival to its commit.",
            buckets=_BEAT,
            registry=self.registry,
        )
        self._passes = Histogram(
            "ringrift_reconciler_pass_seconds",
            "Passes of a reconciler.",
            ["reconciler"],
            buckets=_PASS,
            registry=self.registry,
        )
        self._failures = Counter(
            "ringrift_reconciler_failures",
            "Passes of a reconciler that failed.",
            ["reconciler"],
            registry=self.registry,
        )

    def passed(self, reconciler: str, seconds: float) -> None:
        """Note a pass that went well."""
        self._passes.labels(reconciler).observe(seconds)

    def failed(self, reconciler: str) -> None:
        """Note a pass that failed."""
        self._failures.labels(reconciler).inc()

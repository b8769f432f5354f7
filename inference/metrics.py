"""What Prometheus reads at `/metrics`: counters that survive nothing, and what is served.

Written here because a library would be a sixth package of dependencies for forty lines of text.
"""

from __future__ import annotations

import os
import resource
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from inference.models import ModelSet

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Upper bounds of the latency buckets, seconds."""
Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Counts requests; safe to use from every thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._requests: Counter[Labels] = Counter()
        self._errors: Counter[Labels] = Counter()
        self._fallbacks: Counter[Labels] = Counter()
        self._buckets: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def answered(self, ai_type: str, difficulty: int, seconds: float) -> None:
        """Count a move that was answered after `seconds`."""
        kind: Labels = (("ai_type", ai_type), ("difficulty", str(difficulty)))
        with self._guard:
            self._requests[(*kind, ("outcome", "success"))] += 1
            self._buckets.setdefault(kind, [0] * (len(BOUNDS) + 1))[bisect_left(BOUNDS, seconds)] += 1
            self._sums[kind] = self._sums.get(kind, 0.0) + seconds

    def failed(self, code: str) -> None:
        """Count a request that was refused or failed, by the error's code."""
        with self._guard:
            self._errors[(("error_type", code),)] += 1

    def fell_back(self, ai_type: str, instead: str, board: str) -> None:
        """Count a move that another player than the level's had to make, for want of a model."""
        labels = (("ai_type", ai_type), ("fallback_method", instead), ("board_type", board))
        with self._guard:
            self._fallbacks[labels] += 1

    def text(self, models: ModelSet, healthy: bool, present: int) -> str:
        """Return the whole page; `present` requests are searched or wait."""
        with self._guard:
            lines = [*self._counted(), *self._latencies()]
        lines += _family("ringrift_inference_healthy", "gauge", {(): int(healthy)})
        lines += _family("ringrift_inference_requests_in_progress", "gauge", {(): present})
        served: dict[Labels, float] = {
            (("config", key), ("sha256", model.sha256)): model.generation
            for key, model in sorted(models.models.items())
        }
        lines += _family("ringrift_inference_model_generation", "gauge", served)
        lines += _family("process_resident_memory_bytes", "gauge", {(): _resident()})
        lines += _family("process_cpu_seconds_total", "counter", {(): _cpu_seconds()})
        return "\n".join(lines) + "\n"

    def _counted(self) -> Iterator[str]:
        yield from _family("ai_move_requests_total", "counter", self._requests)
        yield from _family("ringrift_ai_errors_total", "counter", self._errors)
        yield from _family("ringrift_ai_fallbacks_total", "counter", self._fallbacks)

    def _latencies(self) -> Iterator[str]:
        name = "ai_move_latency_seconds"
        yield f"# TYPE {name} histogram"
        for labels, counts in sorted(self._buckets.items()):
            below = 0
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
                below += count
                yield _sample(f"{name}_bucket", (*labels, ("le", bound)), below)
            yield _sample(f"{name}_sum", labels, self._sums[labels])
            yield _sample(f"{name}_count", labels, below)


def _family(name: str, kind: str, values: Mapping[Labels, float]) -> Iterator[str]:
    yield f"# TYPE {name} {kind}"
    for labels, value in sorted(values.items()):
        yield _sample(name, labels, value)


def _sample(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{key}="{text}"' for key, text in labels)
    return f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"


def _resident() -> int:
    """Return the process's resident memory in bytes; its highest where the present one is not told."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

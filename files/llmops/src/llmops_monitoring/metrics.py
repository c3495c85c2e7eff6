"""Prometheus metrics of this process, on request: what was called, and how delivery is doing.

It needs the extra `prometheus`.
"""

import contextlib
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import REGISTRY, Collector

from llmops_monitoring.event import MetricEvent
from llmops_monitoring.transport.base import TransportStats
from llmops_monitoring.transport.queue import Dropped

# From a cache's answer to a long generation.
_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
# An application that puts ids into names shall not fill Prometheus with them.
_MOST_NAMES = 500
_OTHER: Final = "other"
_UNKNOWN: Final = "unknown"

Operation = tuple[str, str]


@dataclass(slots=True)
class _Durations:
    buckets: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS) + 1))
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.buckets[bisect_left(_BUCKETS, seconds)] += 1
        self.seconds += seconds


class _Names:
    """The values of a label, no more than so many."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def bounded(self, name: str) -> str:
        if name not in self._known:
            if len(self._known) >= _MOST_NAMES:
                return _OTHER
            self._known.add(name)
        return name


class Metrics(Collector):
    """A collector for a registry of prometheus_client.

    Its numbers are those of this process; a forked child begins at zero.
    """

    def __init__(self, stats: Callable[[], TransportStats]) -> None:
        """Tell what `stats` of a transport says, and what `observe` is given."""
        self._stats = stats
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget all, as in a forked child."""
        self._lock = threading.Lock()
        self._operations, self._errors, self._models = _Names(), _Names(), _Names()
        self._durations: dict[Operation, _Durations] = {}
        self._failed: Counter[tuple[str, str, str]] = Counter()
        self._tokens: Counter[tuple[str, str]] = Counter()
        self._cost: dict[str, float] = {}

    def register(self) -> None:
        """Be asked by whoever asks prometheus-client's registry."""
        REGISTRY.register(self)

    def unregister(self) -> None:
        """Be asked no more; it is safe to call this twice."""
        with contextlib.suppress(KeyError):
            REGISTRY.unregister(self)

    def observe(self, event: MetricEvent) -> None:
        """Count an event."""
        with self._lock:
            operation = (
                self._operations.bounded(event.operation_name),
                self._operations.bounded(event.operation_type),
            )
            self._durations.setdefault(operation, _Durations()).add(event.duration_ms / 1000)
            if event.error:
                error = self._errors.bounded(event.error_type or _UNKNOWN)
                self._failed[*operation, error] += 1
            tokens = event.token_metrics
            model = self._models.bounded((tokens and tokens.model) or _UNKNOWN)
            if tokens is not None:
                self._tokens[model, "input"] += tokens.input_tokens
                self._tokens[model, "output"] += tokens.output_tokens
            if event.cost is not None:
                self._cost[model] = self._cost.get(model, 0.0) + event.cost

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        with self._lock:
            families = [*self._of_operations(), *self._of_models()]
        yield from families
        yield from _of_delivery(self._stats())

    def _of_operations(self) -> Iterable[Metric]:
        labels = ["operation", "type"]
        calls = CounterMetricFamily(
            "llmops_operations", "Calls that ended, of a sample those that it kept.", labels=labels
        )
        durations = HistogramMetricFamily(
            "llmops_operation_duration_seconds", "How long calls took.", labels=labels
        )
        bounds = [*(str(float(bound)) for bound in _BUCKETS), "+Inf"]
        for operation, one in self._durations.items():
            sums = list(accumulate(one.buckets))
            calls.add_metric(operation, sums[-1])
            durations.add_metric(
                operation, list(zip(bounds, sums, strict=True)), sum_value=one.seconds
            )
        errors = CounterMetricFamily(
            "llmops_errors", "Calls that ended with an exception.", labels=[*labels, "error"]
        )
        for names, count in self._failed.items():
            errors.add_metric(names, count)
        return calls, durations, errors

    def _of_models(self) -> Iterable[Metric]:
        tokens = CounterMetricFamily(
            "llmops_tokens", "Tokens that models counted.", labels=["model", "direction"]
        )
        for names, count in self._tokens.items():
            tokens.add_metric(names, count)
        cost = CounterMetricFamily(
            "llmops_cost_dollars", "What calls with a known price cost.", labels=["model"]
        )
        for model, dollars in self._cost.items():
            cost.add_metric([model], dollars)
        return tokens, cost


def _of_delivery(stats: TransportStats) -> Iterator[Metric]:
    yield CounterMetricFamily("llmops_enqueued", "Calls that were put.", value=stats.enqueued)
    yield CounterMetricFamily("llmops_written", "Events that were written.", value=stats.written)
    dropped = CounterMetricFamily("llmops_dropped", "Calls that got lost.", labels=["reason"])
    # All from the start: an increase from nothing is none.
    for reason in Dropped:
        dropped.add_metric([reason], stats.dropped.get(reason, 0))
    yield dropped
    yield CounterMetricFamily("llmops_retries", "Batches tried again.", value=stats.retried)
    yield GaugeMetricFamily("llmops_queue_calls", "Calls in memory.", value=stats.queued)
    yield GaugeMetricFamily("llmops_spilled_calls", "Events on disk.", value=stats.spilled)
    yield SummaryMetricFamily(
        "llmops_flush_seconds",
        "How long the backend took for its batches.",
        count_value=stats.flushes,
        sum_value=stats.flush_seconds,
    )
    if stats.healthy is not None:
        healthy = GaugeMetricFamily("llmops_backend_healthy", "Whether the last attempt went well.")
        healthy.add_metric([], stats.healthy)
        yield healthy

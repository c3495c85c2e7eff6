"""What a decorated function that does nothing costs, beside others' in the same run.

Ours runs as in a program: its worker makes events and hands batches to a backend that keeps
nothing. OpenTelemetry's SDK has its batch processor and an exporter that does as much, and so has
Langfuse's. Rounds alternate, so that what else the machine does hits all alike. A round is a short
loop of calls: workers share the interpreter with it, so some rounds pay for them, and the tails
show what. Memory is what a process of its own grew by over calls as fast as they come.

Usage: python bench/overhead.py [--rounds N] [--calls N]
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Any

from langfuse import Langfuse, observe
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from llmops_monitoring import (
    MetricEvent,
    MonitorConfig,
    StorageBackend,
    StorageConfig,
    flush,
    health_check,
    initialize_monitoring,
    monitor_llm,
    shutdown,
)

MICRO = 1e6
TEXT = "The quick brown fox jumps over the lazy dog. " * 20
# What the library promises, in microseconds a call and as a share of OpenTelemetry's.
MOST = {"ours": 3.0, "ours async": 3.0, "ours with text": 6.0}
MOST_OF_PEER = 0.2
MOST_TAIL = 50.0

MEMORY_CALLS = 20_000

Measured = dict[str, list[float]]


class Nothing(StorageBackend):
    """Keeps nothing."""

    async def initialize(self) -> None:
        """Need nothing."""

    async def write_event(self, event: MetricEvent) -> None:
        """Forget it."""

    async def write_batch(self, events: Sequence[MetricEvent]) -> None:
        """Forget them."""

    async def close(self) -> None:
        """Leave nothing."""

    async def health_check(self) -> bool:
        """Return that forgetting works."""
        return True

    def supports_batch_writes(self) -> bool:
        """Return that it does."""
        return True


class NoExporter(SpanExporter):
    """Takes spans and forgets them."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Return that all is well."""
        del spans
        return SpanExportResult.SUCCESS


def bare() -> None:
    """Do nothing."""


async def bare_async() -> None:
    """Do nothing."""


@monitor_llm("noop")
def ours() -> None:
    """Do nothing, decorated."""


@monitor_llm("noop")
async def ours_async() -> None:
    """Do nothing, decorated."""


@monitor_llm("text", measure_text=True)
def ours_text() -> str:
    """Return 900 characters, decorated."""
    return TEXT


provider = TracerProvider()
tracer = provider.get_tracer("bench")


@tracer.start_as_current_span("noop")
def theirs() -> None:
    """Do nothing, in a span."""


async def theirs_async() -> None:
    """Do nothing, in a span."""
    with tracer.start_as_current_span("noop"):
        pass


def theirs_attributes() -> None:
    """Do nothing, in a span with ten attributes."""
    with tracer.start_as_current_span("noop") as span:
        for number in range(10):
            span.set_attribute(f"attribute.{number}", number)


# It would send to the address, which nobody has, what its exporter doesn't take.
langfuse_provider = TracerProvider()
langfuse = Langfuse(
    public_key="bench",
    secret_key="bench",  # noqa: S106 - nobody's
    base_url="http://127.0.0.1:9",
    tracer_provider=langfuse_provider,
    span_exporter=NoExporter(),
)


@observe(name="noop")
def langfuses() -> None:
    """Do nothing, observed."""


@observe(name="noop")
async def langfuses_async() -> None:
    """Do nothing, observed."""


SYNC: dict[str, Callable[[], Any]] = {
    "bare": bare,
    "ours": ours,
    "ours with text": ours_text,
    "OpenTelemetry": theirs,
    "OpenTelemetry, ten attributes": theirs_attributes,
    "Langfuse": langfuses,
}
ASYNC: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
    "bare async": bare_async,
    "ours async": ours_async,
    "OpenTelemetry async": theirs_async,
    "Langfuse async": langfuses_async,
}


def each(function: Callable[[], object], calls: int) -> float:
    """Return the microseconds of one call, in a loop of `calls`."""
    rounds = range(calls)
    begin = perf_counter()
    for _ in rounds:
        function()
    return (perf_counter() - begin) / calls * MICRO


async def each_async(function: Callable[[], Awaitable[object]], calls: int) -> float:
    """Return the microseconds of one awaited call, in a loop of `calls`."""
    rounds = range(calls)
    begin = perf_counter()
    for _ in rounds:
        await function()
    return (perf_counter() - begin) / calls * MICRO


def tails(function: Callable[[], object], calls: int) -> tuple[float, float, float]:
    """Return p50, p99 and p99.9 of single calls in microseconds, the clock's own time with them."""
    took = []
    for _ in range(calls):
        begin = perf_counter_ns()
        function()
        took.append(perf_counter_ns() - begin)
    took.sort()
    p50, p99, p999 = (took[int(calls * share)] / 1000 for share in (0.5, 0.99, 0.999))
    return p50, p99, p999


def measure(rounds: int, calls: int) -> Measured:
    """Return the rounds' microseconds a call, by name."""
    found: Measured = {name: [] for name in (*SYNC, *ASYNC)}
    for _ in range(rounds):
        for name, function in SYNC.items():
            found[name].append(each(function, calls))
        for name, waited in ASYNC.items():
            found[name].append(asyncio.run(each_async(waited, calls)))
    return found


def judge(found: Measured) -> list[str]:
    """Print a table, and return what is missed."""
    medians = {name: statistics.median(all_of_it) for name, all_of_it in found.items()}
    print(f"{'a call of a function that does nothing':<42}{'min µs':>8}{'median':>8}{'ratio':>7}")
    missed = []
    for name, median in medians.items():
        peer = medians["OpenTelemetry async" if "async" in name else "OpenTelemetry"]
        print(f"  {name:<40}{min(found[name]):8.2f}{median:8.2f}{median / peer:7.2f}")
        if median > MOST.get(name, median):
            missed.append(f"{name}: {median:.2f} µs, not {MOST[name]}")
        if name in {"ours", "ours async"} and median / peer > MOST_OF_PEER:
            missed.append(f"{name}: {median / peer:.2f} of OpenTelemetry's, not {MOST_OF_PEER}")
    return missed


def judge_tails(calls: int) -> list[str]:
    """Print the tails of single calls while batches are written, and return what is missed."""
    missed = []
    print(f"{'single calls while batches are written':<42}{'p50':>8}{'p99':>8}{'p99.9':>7}")
    for name in ("bare", "ours", "OpenTelemetry", "Langfuse"):
        # Each alone: what the others have still to deliver must not hold it up.
        provider.force_flush()
        langfuse_provider.force_flush()
        flush()
        p50, p99, p999 = tails(SYNC[name], calls)
        print(f"  {name:<40}{p50:8.2f}{p99:8.2f}{p999:7.1f}")
        if name == "ours" and p999 > MOST_TAIL:
            missed.append(f"{name}: p99.9 {p999:.0f} µs, not {MOST_TAIL:.0f}")
    return missed


def judge_memory() -> None:
    """Print what processes grow by, each with another function that is called."""
    print(f"{f'memory after {MEMORY_CALLS:,} calls':<42}{'+MiB':>8}")
    for name in ("bare", "ours", "OpenTelemetry", "Langfuse"):
        grown = subprocess.run(  # noqa: S603 - this program
            [sys.executable, __file__, "--memory", name], check=True, capture_output=True, text=True
        )
        print(f"  {name:<40}{float(grown.stdout):8.1f}")


def memory(function: Callable[[], object]) -> float:
    """Return by how many MiB calls make this process grow."""
    # Imports needed more for a moment: the peak begins anew.
    Path("/proc/self/clear_refs").write_text("5")
    begin = _peak()
    for _ in range(MEMORY_CALLS):
        function()
    return _peak() - begin


def _peak() -> float:
    status = Path("/proc/self/status").read_text().split()
    return int(status[status.index("VmHWM:") + 1]) / 1024


def main() -> None:
    """Measure, print, and fail where a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--memory", choices=SYNC, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    storage = StorageConfig(batch_size=1000, flush_interval_seconds=0.5)
    config = MonitorConfig(storage=storage, max_queue_size=100_000)
    initialize_monitoring(config, backend=Nothing(storage))
    provider.add_span_processor(BatchSpanProcessor(NoExporter()))
    if asked.memory:
        print(memory(SYNC[asked.memory]))
        return
    missed = judge(measure(asked.rounds, asked.calls)) + judge_tails(asked.rounds * asked.calls)
    counters = health_check().counters
    print(f"  counted: {dict(counters)}")
    shutdown()
    provider.shutdown()
    langfuse.shutdown()
    judge_memory()
    for one in missed:
        print(f"missed: {one}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()

"""How many events a second get from one decorated function to their place, and what is lost.

    parquet   one producer to Parquet, as fast as nothing is dropped
    postgres  the same to a PostgreSQL that this program starts (Debian's)
    outage    ten minutes of outage at 1,000 events/s, in less time: the same 600,000 events
    sigkill   a process that makes 1,000 events/s is killed: how many are missing

Usage: python bench/delivery.py [PART …] [--rounds N]
"""

import argparse
import asyncio
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import psycopg
import pyarrow.dataset as ds

from llmops_monitoring import (
    MonitorConfig,
    health_check,
    initialize_monitoring,
    monitor_llm,
    shutdown,
)
from llmops_monitoring.config import StorageConfig
from llmops_monitoring.event import MetricEvent
from llmops_monitoring.storage.base import StorageBackend
from llmops_monitoring.storage.parquet import SCHEMA, ParquetBackend
from llmops_monitoring.storage.postgres import PostgresBackend
from llmops_testing.postgres import Postgres

# What the library promises.
LEAST = {"parquet": 150_000, "postgres": 40_000}
OUTAGE_EVENTS = 600_000
# The queue, a batch and what SQLite holds, however long it lasts.
OUTAGE_MEGABYTES = 100
INTERVAL = 1.0


@monitor_llm("answer")
def answer() -> None:
    """Do nothing, decorated."""


def produce(count: int, high: int) -> float:
    """Return calls a second over `count` calls until all are written, when nothing is dropped."""
    begin, worked = time.perf_counter(), time.process_time()
    for _ in range(count // 500):
        for _ in range(500):
            answer()
        # Whoever is faster than the worker would measure how quickly calls are dropped.
        while health_check().queue_size > high:
            time.sleep(0.001)
    assert shutdown(120)
    seconds = time.perf_counter() - begin
    worked = (time.process_time() - worked) / count * 1e6
    print(f"  {count / seconds:,.0f} events/s, {worked:.1f} µs of a processor each", flush=True)
    return count / seconds


def settings(folder: Path, **storage: Any) -> MonitorConfig:
    """Return settings for much."""
    told = {"output_dir": folder, "batch_size": 5000, "flush_interval_seconds": INTERVAL, **storage}
    return MonitorConfig(storage=StorageConfig(**told), max_queue_size=100_000)


def parquet(count: int = 1_000_000) -> float:
    """Return events a second to Parquet."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "events"
        config = settings(folder)
        monitor = initialize_monitoring(config, backend=ParquetBackend(config.storage))
        assert monitor is not None
        rate = produce(count, 80_000)
        stats = monitor.stats()
        assert (stats.written, dict(stats.dropped)) == (count, {}), stats
        assert ds.dataset(folder, schema=SCHEMA).count_rows() == count
        return rate


def postgres(server: Postgres, count: int = 300_000) -> float:
    """Return rows a second to PostgreSQL."""
    database = server.database()
    with tempfile.TemporaryDirectory() as name:
        told = {"backend": "postgres", "connection_string": database}
        config = settings(Path(name), **told)
        monitor = initialize_monitoring(config, backend=PostgresBackend(config.storage))
        assert monitor is not None
        rate = produce(count, 80_000)
        stats = monitor.stats()
        assert (stats.written, dict(stats.dropped)) == (count, {}), stats
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT count(*) FROM metric_events").fetchone()
    assert row == (count,), row
    return rate


class Down(StorageBackend):
    """Keeps only the ids, and is down at first."""

    down = True

    def __init__(self, config: StorageConfig) -> None:
        """Be down."""
        super().__init__(config)
        self.ids: set[str] = set()
        self.twice = 0

    async def initialize(self) -> None:
        """Be up."""

    async def write_event(self, event: MetricEvent) -> None:
        """Keep one."""
        await self.write_batch([event])

    async def write_batch(self, events: Sequence[MetricEvent]) -> None:
        """Keep all, when it is up."""
        if self.down:
            message = "down"
            raise ConnectionError(message)
        before = len(self.ids)
        self.ids.update(event.event_id for event in events)
        self.twice += len(events) - (len(self.ids) - before)

    async def close(self) -> None:
        """Leave nothing."""

    async def health_check(self) -> bool:
        """Return whether it is up."""
        return not self.down

    def supports_batch_writes(self) -> bool:
        """Return True."""
        return True


def outage() -> bool:
    """Print what became of an outage's events; return whether all came, in bounded memory."""
    with tempfile.TemporaryDirectory() as name:
        spill = Path(name) / "spill.sqlite"
        config = settings(Path(name), batch_size=1000).model_copy(
            update={"overflow": "spill", "spill_path": spill, "max_queue_size": 10_000}
        )
        backend = Down(config.storage)
        monitor = initialize_monitoring(config, backend=backend)
        assert monitor is not None
        memory = megabytes()
        begin = time.perf_counter()
        for _ in range(OUTAGE_EVENTS // 500):
            for _ in range(500):
                answer()
            while health_check().queue_size > 4000:
                time.sleep(0.001)
        monitor.flush(60)
        spilled = time.perf_counter()
        size = sum(path.stat().st_size for path in Path(name).glob("spill*")) / 1e6
        backend.down = False
        while monitor.stats().written < OUTAGE_EVENTS:
            time.sleep(0.05)
        replayed = time.perf_counter()
        stats = monitor.stats()
        shutdown(30)
        grown = megabytes() - memory
        print(
            f"outage: {OUTAGE_EVENTS:,} events, dropped {sum(stats.dropped.values())},"
            f" kept {len(backend.ids):,}, twice {backend.twice};"
            f" spilled {OUTAGE_EVENTS / (spilled - begin):,.0f}/s,"
            f" replayed {OUTAGE_EVENTS / (replayed - spilled):,.0f}/s,"
            f" {size:.0f} MB on disk, memory +{grown:.0f} MB (wanted {OUTAGE_MEGABYTES})"
            " (accelerated: ten minutes at 1,000/s are as many)"
        )
        return len(backend.ids) == OUTAGE_EVENTS and grown <= OUTAGE_MEGABYTES


def megabytes() -> float:
    """Return the most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def victim(folder: Path) -> None:
    """Make a thousand events a second and say how many, until somebody kills this."""
    config = settings(folder, batch_size=100_000)
    initialize_monitoring(config, backend=ParquetBackend(config.storage))
    begin = time.monotonic()
    for number in range(1_000_000):
        answer()
        os.write(1, f"{number + 1}\n".encode())
        time.sleep(max(begin + number / 1000 - time.monotonic(), 0))


def sigkill() -> int:
    """Return how many events a killed process loses."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "events"
        process = subprocess.Popen(  # noqa: S603 - this program
            [sys.executable, __file__, "victim", name + "/events"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        # At another moment of the interval each time.
        wanted = 3500 + os.getpid() * 7919 % 1000 + int(time.time() * 1000) % 1000
        for line in process.stdout:
            if int(line) >= wanted:
                break
        process.send_signal(signal.SIGKILL)
        lines = process.communicate()[0].splitlines()
        count = int(lines[-1]) if lines else wanted

        async def recover() -> None:
            await ParquetBackend(StorageConfig(output_dir=folder)).initialize()

        asyncio.run(recover())
        return count - int(ds.dataset(folder, schema=SCHEMA).count_rows())


@contextmanager
def started() -> Iterator[Postgres]:
    """Give a PostgreSQL of its own."""
    server = Postgres(durable=True)
    try:
        yield server
    finally:
        server.remove()


def rounds(name: str, measure: Callable[[], float], count: int) -> bool:
    """Print the median of some rounds; return whether it is what was promised."""
    rates = [measure() for _ in range(count)]
    median = statistics.median(rates)
    told = ", ".join(f"{rate:,.0f}" for rate in sorted(rates))
    print(f"{name}: {median:,.0f} events/s (wanted {LEAST[name]:,}; {told})", flush=True)
    return median >= LEAST[name]


def main() -> int:
    """Run the parts that are asked for; return 1 when one of them misses what it should reach."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["parquet", "postgres", "outage", "sigkill"])
    parser.add_argument("--rounds", type=int, default=3)
    told = parser.parse_args()
    if told.parts[0] == "victim":
        victim(Path(told.parts[1]))
    good = True
    if "parquet" in told.parts:
        good &= rounds("parquet", parquet, told.rounds)
    if "postgres" in told.parts:
        with started() as server:
            good &= rounds("postgres", lambda: postgres(server), told.rounds)
    if "outage" in told.parts:
        good &= outage()
    if "sigkill" in told.parts:
        lost = sorted(sigkill() for _ in range(told.rounds))
        print(f"sigkill: of 1,000 events/s, lost {lost} (an interval has {INTERVAL * 1000:.0f})")
        good &= lost[-1] <= INTERVAL * 1000 * 1.1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
